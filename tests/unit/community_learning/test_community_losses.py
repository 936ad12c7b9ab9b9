"""The losses against the equations written out term by term, and their gradients against finite differences."""

import community_reference as plain
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from wsis_steps.community_learning.boxes import to_offsets
from wsis_steps.community_learning.losses import (
    activation_loss,
    classification_loss,
    refinement_loss,
    regression_loss,
    segmentation_loss,
    total,
)
from wsis_steps.community_learning.pseudo_labels import Labels

RNG = np.random.default_rng(0)


def normal(*shape: int) -> torch.Tensor:
    return torch.from_numpy(RNG.normal(0, 2, shape))


def leaf(values: torch.Tensor) -> torch.Tensor:
    return values.clone().requires_grad_()


def test_classification_is_equation_3():
    phi, tags = torch.tensor([0.2, 0.999, 0.5], dtype=torch.float64), torch.tensor([True, True, False])
    assert float(classification_loss(phi, tags)) == pytest.approx(plain.l_cls(phi.tolist(), tags.tolist()))
    assert gradcheck(lambda p: classification_loss(p, tags), leaf(phi))


def test_classification_is_finite_where_a_probability_is_0_or_1():
    phi = torch.tensor([0.0, 1.0, 1.0 + 1e-6], requires_grad=True)
    loss = classification_loss(phi, torch.tensor([True, False, False]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(phi.grad).all()


def test_refinement_is_equation_4():
    logits, categories = normal(9, 4), torch.from_numpy(RNG.integers(0, 4, 9))
    weights = torch.from_numpy(RNG.uniform(0, 1, 9))
    expected = plain.l_refine(logits.tolist(), categories.tolist(), weights.tolist())
    assert float(refinement_loss(logits, Labels(categories, weights))) == pytest.approx(expected)
    assert gradcheck(lambda x: refinement_loss(x, Labels(categories, weights)), leaf(logits))


def test_regression_is_equation_5():
    corners = torch.from_numpy(RNG.uniform(0, 50, (12, 2)))
    boxes = torch.cat([corners, corners + torch.from_numpy(RNG.uniform(4, 30, (12, 2)))], dim=1)
    proposals, truths, v = boxes[:9], boxes[9:], normal(9, 4)
    nearest = RNG.integers(0, 3, 9)
    matched = torch.from_numpy(RNG.random(9) < 0.5)
    q = [[bool(matched[r]) and nearest[r] == j for j in range(3)] for r in range(9)]
    targets = to_offsets(proposals, truths[nearest], (1, 1, 1, 1))
    expected = plain.l_reg(v.tolist(), proposals.tolist(), truths.tolist(), q)
    assert float(regression_loss(v, targets, matched)) == pytest.approx(expected)
    assert gradcheck(lambda x: regression_loss(x, targets, matched), leaf(v))


def test_no_loss_uses_what_autocast_on_a_gpu_refuses():
    """The dispatch of CUDA's autocast, on a CPU: it refuses binary cross entropy of probabilities whatever the type."""
    guard = torch._C._IncludeDispatchKeyGuard
    kept = torch.is_autocast_enabled("cuda")
    torch.set_autocast_enabled("cuda", True)
    try:
        with guard(torch._C.DispatchKey.AutocastCUDA):
            classification_loss(torch.rand(4), torch.tensor([True, False, True, False]))
            activation_loss(torch.rand(4, 3), torch.tensor([0, 1, 2, 0]), background=True)
            segmentation_loss(torch.rand(2, 4, 4), torch.rand(2, 4, 4) > 0.5, mean=False)
            with pytest.raises(RuntimeError, match="unsafe to autocast"):
                torch.nn.functional.binary_cross_entropy(torch.rand(4), torch.rand(4))
    finally:
        torch.set_autocast_enabled("cuda", kept)


def test_a_class_that_is_missed_wholly_still_teaches():
    phi = torch.tensor([1e-9, 0.5], requires_grad=True)
    classification_loss(phi, torch.tensor([True, False])).backward()
    assert float(phi.grad[0]) == pytest.approx(-1e9, rel=1e-3)


def test_what_is_not_matched_may_hold_anything():
    targets = torch.tensor([[0.5, 0, 0, 0], [torch.inf, torch.nan, 0, 0]])
    loss = regression_loss(torch.zeros(2, 4), targets, torch.tensor([True, False]))
    assert float(loss) == pytest.approx(0.125 / 2)


def test_activation_is_equation_7():
    logits, categories = normal(8, 5), torch.from_numpy(RNG.integers(0, 5, 8))
    expected = plain.l_cam(logits.tolist(), categories.tolist())
    assert float(activation_loss(logits, categories, background=True)) == pytest.approx(expected)
    assert gradcheck(lambda x: activation_loss(x, categories, background=True), leaf(logits))


def test_activation_without_background_counts_objects_only():
    logits, categories = normal(6, 3), torch.tensor([0, 1, 3, 0, 2, 2])
    kept = [r for r in range(6) if categories[r] > 0]
    expected = plain.l_cam(logits[kept].tolist(), [int(categories[r]) - 1 for r in kept])
    assert float(activation_loss(logits, categories, background=False)) == pytest.approx(expected)


def test_activation_is_finite_for_sure_and_wrong_regions():
    logits = torch.tensor([[80.0, -80.0], [-80.0, 80.0]], requires_grad=True)
    loss = activation_loss(logits, torch.tensor([1, 1]), background=True)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("mean", [False, True])
def test_segmentation_is_equation_9(mean):
    logits, masks = normal(3, 4, 4), torch.from_numpy(RNG.random((3, 4, 4)) < 0.5)
    expected = plain.l_seg(logits.tolist(), masks.tolist()) / (3 if mean else 1)
    assert float(segmentation_loss(logits, masks, mean)) == pytest.approx(expected)
    assert gradcheck(lambda x: segmentation_loss(x, masks, mean), leaf(logits))


def test_of_nothing_every_loss_is_0_and_has_a_gradient():
    nothing = torch.zeros(0, dtype=torch.int64)
    x, maps = torch.zeros(0, 4, requires_grad=True), torch.zeros(0, 3, 3, requires_grad=True)
    terms = {
        "refinement": refinement_loss(x, Labels(nothing, torch.zeros(0))),
        "regression": regression_loss(x, torch.zeros(0, 4), nothing.bool()),
        "activation": activation_loss(x, nothing, background=True),
        "segmentation": segmentation_loss(maps, torch.zeros(0, 3, 3), mean=False),
    }
    total(terms).backward()
    assert float(total(terms).detach()) == 0
    unmatched = regression_loss(torch.ones(2, 4), torch.zeros(2, 4), torch.zeros(2, dtype=torch.bool))
    assert float(unmatched) == 0


def test_the_whole_is_the_sum_of_its_terms():
    assert float(total({"a": torch.tensor(1.5), "b": torch.tensor(2.0)})) == 3.5


def test_half_precision_is_computed_as_float32():
    logits, categories = normal(50, 4).float(), torch.from_numpy(RNG.integers(0, 4, 50))
    labels = Labels(categories, torch.ones(50))
    half = refinement_loss(logits.bfloat16(), labels)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(refinement_loss(logits, labels)), rel=0.02)
