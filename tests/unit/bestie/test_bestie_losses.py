"""The objective of BESTIE against loops in double precision and finite differences."""

import math

import numpy as np
import pytest
import torch

from wsis_steps.bestie.losses import objective, semantic_loss
from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.bestie.targets import Targets

SHAPE = (2, 5, 6)


def example(classes=3, seed=0):
    """Outputs, semantic map with unsure pixels, pseudo and refined targets, in double precision."""
    make = torch.Generator().manual_seed(seed)

    def normal(channels):
        return torch.randn(SHAPE[0], channels, *SHAPE[1:], generator=make, dtype=torch.float64)

    def weight():
        drawn = torch.rand(SHAPE, generator=make, dtype=torch.float64)
        return torch.where(drawn > 0.5, drawn, 0)

    outputs = {"semantic": normal(classes + 1), "centers": normal(classes), "offsets": normal(2)}
    semantic = torch.randint(0, classes + 2, SHAPE, generator=make).to(torch.uint8)
    semantic[semantic == classes + 1] = 255
    pseudo = Targets(normal(classes), normal(2), (weight() > 0).double())
    return outputs, semantic, pseudo, Targets(normal(classes), normal(2), weight())


def loss_terms(outputs, semantic, pseudo, refined=None, **settings):
    return objective(outputs, semantic, pseudo, refined, BestieTrain(**settings))


def literal_semantic(logits, semantic, share):
    losses, unsure = [], 0
    for b, y, x in np.ndindex(*SHAPE):
        scores, label = [float(v) for v in logits[b, :, y, x]], int(semantic[b, y, x])
        if label == 255:
            unsure += 1
            losses.append(0.0)
        else:
            losses.append(math.log(sum(math.exp(s) for s in scores)) - scores[label])
    if share == 1:
        return sum(losses) / (len(losses) - unsure)
    hardest = sorted(losses, reverse=True)[: int(share * len(losses))]
    return sum(hardest) / len(hardest)


def literal_guided(predicted, target, weight, error):
    total, count = 0.0, 0
    for b, y, x in np.ndindex(*SHAPE):
        count += float(weight[b, y, x]) > 0
        for c in range(predicted.shape[1]):
            total += float(weight[b, y, x]) * error(float(predicted[b, c, y, x] - target[b, c, y, x]))
    return total / count if count else 0.0


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99, 1])
def test_semantic_term_is_the_mean_of_the_hardest_pixels(share):
    outputs, semantic, _, _ = example()
    made = semantic_loss(outputs["semantic"], semantic, share)
    assert float(made) == pytest.approx(literal_semantic(outputs["semantic"], semantic, share), rel=1e-9)


def test_unsure_pixels_count_as_zero_in_the_pool_of_hard_pixels():
    logits = torch.zeros(1, 2, 1, 10)
    semantic = torch.full((1, 1, 10), 255, dtype=torch.uint8)
    semantic[0, 0, :3] = 1
    assert float(semantic_loss(logits, semantic, 0.5)) == pytest.approx(math.log(2) * 3 / 5)
    assert float(semantic_loss(logits, semantic, 1)) == pytest.approx(math.log(2))
    assert float(semantic_loss(logits, torch.full_like(semantic, 255), 1)) == 0


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("with_refined", [True, False])
def test_objective_is_the_weighted_sum_of_its_terms(guided, with_refined):
    outputs, semantic, pseudo, refined = example()
    made = loss_terms(
        outputs, semantic, pseudo, refined if with_refined else None, instance_aware_guidance=guided, hard_pixels=0.3
    )
    labels = [pseudo, refined] if with_refined else [pseudo, pseudo]
    weights = [t.weight if guided else torch.ones(SHAPE) for t in labels]
    center = sum(
        literal_guided(outputs["centers"], t.centers, w, lambda e: e * e) / 2
        for t, w in zip(labels, weights, strict=True)
    )
    offset = sum(
        literal_guided(outputs["offsets"], t.offsets, w, abs) / 2 for t, w in zip(labels, weights, strict=True)
    )
    expected = {
        "semantic": literal_semantic(outputs["semantic"], semantic, 0.3),
        "center": 200 * center,
        "offset": 0.01 * offset,
    }
    expected["total"] = sum(expected.values())
    assert {name: float(value) for name, value in made.items()} == pytest.approx(expected, rel=1e-9)


def test_without_refined_centers_the_pseudo_centers_count_twice():
    outputs, semantic, pseudo, refined = example()
    made = loss_terms(outputs, semantic, pseudo, refined._replace(centers=None))
    alone, both = loss_terms(outputs, semantic, pseudo), loss_terms(outputs, semantic, pseudo, refined)
    assert made["center"] == alone["center"] != both["center"]
    assert made["offset"] == both["offset"] != alone["offset"]


def test_weights_scale_the_terms():
    outputs, semantic, pseudo, refined = example()
    plain = loss_terms(
        outputs, semantic, pseudo, refined, semantic_weight=1, center_weight=1, offset_weight=1, hard_pixels=1
    )
    scaled = loss_terms(
        outputs, semantic, pseudo, refined, semantic_weight=2, center_weight=3, offset_weight=5, hard_pixels=1
    )
    for name, factor in (("semantic", 2), ("center", 3), ("offset", 5)):
        assert float(scaled[name]) == pytest.approx(factor * float(plain[name]))


def test_guidance_hides_errors_outside_labels_and_its_absence_shows_them():
    outputs, semantic, pseudo, refined = example()
    worse = dict(outputs)
    outside = ((pseudo.weight == 0) & (refined.weight == 0))[:, None]
    worse["centers"] = outputs["centers"] + 7 * outside
    worse["offsets"] = outputs["offsets"] + 7 * outside
    for guided in (True, False):
        before, after = (
            loss_terms(o, semantic, pseudo, refined, instance_aware_guidance=guided) for o in (outputs, worse)
        )
        assert (after["total"] == before["total"]) == guided


def test_labels_of_no_pixel_cost_nothing_and_have_a_gradient():
    outputs, semantic, pseudo, _ = example()
    outputs["centers"].requires_grad_()
    empty = Targets(pseudo.centers * 0, pseudo.offsets * 0, pseudo.weight * 0)
    made = loss_terms(outputs, semantic, empty, empty)
    made["total"].backward()
    assert made["center"] == made["offset"] == 0 and not outputs["centers"].grad.any()


def test_class_agnostic_centers_have_one_channel():
    outputs, semantic, pseudo, refined = example()
    outputs["centers"] = outputs["centers"][:, :1]
    one = [t._replace(centers=t.centers[:, :1]) for t in (pseudo, refined)]
    made = loss_terms(outputs, semantic, *one)
    expected = sum(literal_guided(outputs["centers"], t.centers, t.weight, lambda e: e * e) for t in one)
    assert float(made["center"]) == pytest.approx(100 * expected, rel=1e-9)


def test_half_precision_outputs_are_summed_in_single_precision():
    outputs, semantic, pseudo, refined = example()
    made = loss_terms({n: o.bfloat16() for n, o in outputs.items()}, semantic, pseudo, refined)
    exact = loss_terms({n: o.bfloat16().float() for n, o in outputs.items()}, semantic, pseudo, refined)
    assert made["total"] == exact["total"] and made["total"].dtype != torch.bfloat16


@pytest.mark.parametrize("share", [0.3, 1])
def test_gradients_are_finite_differences(share):
    outputs, semantic, pseudo, refined = example()

    names = ("semantic", "centers", "offsets")

    def total(*maps):
        terms = loss_terms(dict(zip(names, maps, strict=True)), semantic, pseudo, refined, hard_pixels=share)
        return terms["total"], terms["offset"]  # on its own too, as it is a small part of the sum

    assert torch.autograd.gradcheck(total, [outputs[name].requires_grad_() for name in names])
