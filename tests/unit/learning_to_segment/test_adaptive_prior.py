"""The adaptive prior against root finding, scans and its grid in double precision; its loss against a loop."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, logsumexp, ndtri, softmax

from wsis_steps.engine.errors import InputError
from wsis_steps.learning_to_segment.adaptive_prior import adaptive_prior, estimate_pixel_labels, pixel_label_loss

BACKGROUND, OBJECT = 0.4, 0.2
SEEDS = st.integers(0, 2**32 - 1)


def prior_of(logits, tags, valid=None, **options) -> torch.Tensor:
    quotas = {"background_quota": BACKGROUND, "object_quota": OBJECT, "method": "bisection"}
    return adaptive_prior(logits, tags, valid, **{**quotas, **options})


def from_differences(differences: np.ndarray) -> torch.Tensor:
    """Logits (1, 2, side, side) with the given log p(object) - log p(background), float64."""
    side = math.isqrt(differences.size)
    maps = np.stack([np.zeros_like(differences), differences]).reshape(1, 2, side, side)
    return torch.from_numpy(maps)


def normal_scores(mean: float, std: float) -> np.ndarray:
    """3,136 differences of a normal distribution: its quantiles, in place of a sample."""
    return mean + std * ndtri((np.arange(56 * 56) + 0.5) / 56**2)


def object_beta(logits: torch.Tensor, **options) -> np.ndarray:
    """Prior of the only class, of each image."""
    return prior_of(logits, torch.ones(len(logits), 1), **options)[:, 1].exp().numpy()


def draw(seed: int, classes: int, side: int = 8, images: int = 3, spread: float = 3.0):
    """Logits with classes far from even, tags, and pixels that count, as a network and a data set might give them."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 1, (images, 1 + classes, side, side)) + rng.normal(0, 1, (images, 1 + classes, 1, 1))
    tags = rng.random((images, classes)) < 0.6
    valid = rng.random((images, side, side)) < 0.8
    return torch.from_numpy(spread * maps).float(), torch.from_numpy(tags), torch.from_numpy(valid)


def scaled_quotas(tags: torch.Tensor) -> np.ndarray:
    """(B, 1 + C); 0 for absent classes."""
    rows = []
    for image in tags.tolist():
        row = np.array([BACKGROUND] + [OBJECT * present for present in image])
        rows.append(row * min(1, 0.9 / row.sum()) if sum(image) >= 3 else row)
    return np.stack(rows)


def shares(labels: torch.Tensor, valid: torch.Tensor | None = None) -> np.ndarray:
    """Mean of each class over the pixels that count, (B, 1 + C)."""
    weights = np.ones(labels[:, 0].shape) if valid is None else valid.numpy()
    return np.einsum("bcyx,byx->bc", labels.double().numpy(), weights) / weights.sum(axis=(1, 2))[:, None]


def estimate(logits, tags, valid=None, **options) -> torch.Tensor:
    return estimate_pixel_labels(logits, prior_of(logits, tags, valid, **options))


def offsets_of(log_prior: torch.Tensor) -> np.ndarray:
    """Logit offsets with the classes that were not raised at 0; -inf for absent classes."""
    values = log_prior.double()
    return (values - values.masked_fill(values.isinf(), torch.inf).amin(dim=1, keepdim=True)).numpy()


# one class


@pytest.mark.parametrize("mean", [-40, -12, -3, -1.5, 0, 0.5, 1.2, 4, 15, 70])
@pytest.mark.parametrize("std", [0.01, 1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_class_is_the_root_nearest_to_an_even_prior(mean, std, dtype):
    differences = normal_scores(mean, std)
    low, high = (
        brentq(lambda b, share=share: expit(differences + b).mean() - share, -200, 200, xtol=1e-12)
        for share in (OBJECT, 1 - BACKGROUND)
    )
    found = prior_of(from_differences(differences).to(dtype), torch.ones(1, 1))[0]
    assert float(found[1] - found[0]) == pytest.approx(
        min(max(0, low), high), abs=2e-5 if dtype.itemsize == 4 else 1e-6
    )


@pytest.mark.parametrize(
    ("mean", "std", "beta", "tolerance"),
    [(0, 1, 0.5, 1e-6), (-3, 2, 0.673, 0.015), (4, 1, 0.0283, 1e-3), (-12, 3, 0.99989, 2e-5), (15, 1, 5e-7, 3e-8)],
)
def test_measured_values(mean, std, beta, tolerance):
    sample = np.random.default_rng(1).normal(mean, std, 56 * 56)
    for differences in (normal_scores(mean, std), sample):
        assert object_beta(from_differences(differences).float()) == pytest.approx(beta, abs=tolerance)


@pytest.mark.parametrize("mean", [-5, -3, -1, 0, 1, 2.5, 4])
@pytest.mark.parametrize("size", [999, 100])
def test_grid_is_the_bisection_rounded_to_the_feasible_point(mean, size):
    logits = from_differences(normal_scores(mean, 2))
    exact, grid = object_beta(logits), object_beta(logits, method="grid", grid_size=size)
    steps = exact * (size + 1)
    towards = np.floor(steps + 1e-6) if exact < 0.5 else np.ceil(steps - 1e-6)
    if exact != 0.5:
        assert grid * (size + 1) == pytest.approx(towards, abs=1e-4)
    assert abs(grid - 0.5) >= abs(exact - 0.5) - 1e-9 and abs(grid - exact) < 1 / (size + 1)


@pytest.mark.parametrize(("mean", "std"), [(-12, 3), (15, 1), (0, 30), (-2, 1), (3, 4)])
def test_grid_is_the_papers_search(mean, std):
    differences = normal_scores(mean, std)
    best = None
    for i in range(1, 20):  # with 19 points, the even and most uneven priors and many that are not feasible
        beta = i / 20
        share = np.mean(beta * expit(differences) / (beta * expit(differences) + (1 - beta) * expit(-differences)))
        missed = max(OBJECT - share, 0) + max(BACKGROUND - (1 - share), 0)
        entropy = -beta * math.log(beta) - (1 - beta) * math.log(1 - beta)
        rank = (missed == 0, entropy if missed == 0 else -missed)
        if best is None or rank > best[0]:
            best = rank, beta
    found = object_beta(from_differences(differences), method="grid", grid_size=19)
    assert found == pytest.approx(best[1], abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from([0.5, 3, 20]), st.sampled_from([1e-3, 0.1, 2]))
def test_every_other_prior_is_less_even_or_misses_a_quota(seed, spread, change):
    logits, _, _ = draw(seed, 1, spread=spread, images=1)
    found = prior_of(logits, torch.ones(1, 1))[0].double()
    differences = (logits[0, 1] - logits[0, 0]).double().numpy()
    offset = float(found[1] - found[0])
    for moved in (offset - change, offset + change):
        share = expit(differences + moved).mean()
        feasible = OBJECT - 1e-6 < share < 1 - BACKGROUND + 1e-6
        assert abs(moved) > abs(offset) or not feasible


def test_saturated_probabilities_meet_the_quotas():
    certain = np.where(np.arange(64) < 3, 80.0, -120.0)  # 5 % of the pixels sure of the object, the others of not
    logits = from_differences(certain).float()
    np.testing.assert_allclose(shares(estimate(logits, torch.ones(1, 1)))[0], [0.8, 0.2], atol=1e-5)
    impossible = torch.log(logits.softmax(dim=1))
    assert impossible.isinf().any()
    np.testing.assert_allclose(shares(estimate(impossible, torch.ones(1, 1)))[0], [0.8, 0.2], atol=1e-3)


# several classes


def raise_class_by_class(maps: np.ndarray, quotas: np.ndarray) -> np.ndarray:
    """Offsets after each class that is short has been raised to its quota in turn, 300 times; (classes,) float64."""
    offsets = np.zeros(len(maps))
    for _, label in itertools.product(range(300), range(len(maps))):
        others = np.delete(maps + offsets[:, None], label, axis=0)
        differences = maps[label] - logsumexp(others, axis=0)
        if expit(differences + offsets[label]).mean() < quotas[label] - 1e-13:
            offsets[label] = brentq(
                lambda b, d=differences, q=quotas[label]: expit(d + b).mean() - q, -100, 100, xtol=1e-12
            )
    return offsets


@pytest.mark.parametrize("classes", [1, 2, 3, 4])
def test_equals_raising_class_by_class(classes):
    logits, _, _ = draw(classes, classes, side=6, images=2, spread=1.0)
    tags = torch.ones(2, classes)
    found = offsets_of(prior_of(logits, tags))
    for image in range(2):
        maps = logits[image].flatten(1).double().numpy()
        expected = raise_class_by_class(maps, scaled_quotas(tags)[image])
        np.testing.assert_allclose(found[image], expected, atol=2e-5)


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.integers(1, 6), st.sampled_from([0.1, 1, 3, 10]), st.booleans())
def test_quotas_hold_and_no_class_is_raised_without_need(seed, classes, spread, masked):
    logits, tags, valid = draw(seed, classes, spread=spread, images=9)
    valid = valid if masked else None
    prior = prior_of(logits, tags, valid)
    labels = estimate_pixel_labels(logits, prior)
    present = torch.cat([torch.ones(len(tags), 1, dtype=torch.bool), tags], dim=1)
    assert not labels[~present].any() and prior[~present].isneginf().all()
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(labels[:, 0].shape))
    torch.testing.assert_close(prior.exp().sum(dim=1), torch.ones(len(prior)))
    found, quotas = shares(labels, valid), scaled_quotas(tags)
    assert (found >= quotas - 1e-4).all()
    raised = (offsets_of(prior) > 1e-3) & tags.any(dim=1).numpy()[:, None]
    np.testing.assert_allclose(found[raised], quotas[raised], atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_sure_classes_that_compete_for_pixels_meet_their_quotas(classes):
    """The background is sure everywhere and the objects look alike, so what one gains another loses."""
    rng = np.random.default_rng(classes)
    maps = rng.normal(0, 1, (4, 1 + classes, 16, 16))
    maps[:, 0] += 25
    maps[:, 2:] = maps[:, 1:2] * 4 + 0.05 * maps[:, 2:]
    tags = torch.ones(4, classes)
    found = shares(estimate(torch.from_numpy(maps).float(), tags))
    np.testing.assert_allclose(found[:, 1:], scaled_quotas(tags)[:, 1:], atol=1e-5)


@pytest.mark.parametrize(("seed", "classes", "spread", "tolerance"), [(22, 5, 10, 1e-4), (6, 6, 40, 5e-3)])
def test_a_class_that_was_raised_too_far_comes_back(seed, classes, spread, tolerance):
    """Few pixels and sure classes: among these are images whose classes pass their quota on the way."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 1, (100, 1 + classes, 8, 8)) + rng.normal(0, 1, (100, 1 + classes, 1, 1))
    logits, tags = torch.from_numpy(spread * maps).float(), torch.from_numpy(rng.random((100, classes)) < 0.6)
    prior = prior_of(logits, tags)
    found, quotas = shares(estimate_pixel_labels(logits, prior)), scaled_quotas(tags)
    assert (found >= quotas - tolerance).all()
    raised = (offsets_of(prior) > 1e-3) & tags.any(dim=1).numpy()[:, None]
    np.testing.assert_allclose(found[raised], quotas[raised], atol=tolerance)


def test_scaling_of_the_quotas():
    """Whatever lacks its quota everywhere gets just that: 0.4 + 0.2 n holds up to n = 2, then sums to 0.9."""
    for classes, expected in ((1, 0.2), (2, 0.2), (3, 0.9 * 0.2 / 1.0), (6, 0.9 * 0.2 / 1.6)):
        logits = torch.zeros(1, 1 + classes, 4, 4)
        logits[:, 0] = 9
        found = shares(estimate(logits, torch.ones(1, classes)))[0]
        np.testing.assert_allclose(found[1:], expected, atol=1e-6)
    custom = shares(estimate(logits, torch.ones(1, 6), background_quota=0.1, object_quota=0.1))[0]
    np.testing.assert_allclose(custom[1:], 0.1, atol=1e-6)


@settings(max_examples=12, deadline=None)
@given(SEEDS, st.permutations(range(5)))
def test_permuting_classes_permutes_the_labels(seed, order):
    logits, tags, valid = draw(seed, 5)
    permuted = estimate(logits[:, [0] + [1 + c for c in order]], tags[:, order], valid)
    torch.testing.assert_close(
        permuted, estimate(logits, tags, valid)[:, [0] + [1 + c for c in order]], atol=1e-4, rtol=0
    )


@settings(max_examples=12, deadline=None)
@given(SEEDS, st.sampled_from(["bisection", "grid"]))
def test_images_of_a_batch_do_not_influence_each_other(seed, method):
    logits, tags, valid = draw(seed, 4, images=4)
    together = estimate(logits, tags, valid, method=method, grid_size=99)
    for b in range(len(logits)):
        one = slice(b, b + 1)
        alone = estimate(logits[one], tags[one], valid[one], method=method, grid_size=99)
        torch.testing.assert_close(together[one], alone, atol=1e-4, rtol=0)


def test_grid_leaves_images_of_other_than_one_tag_to_the_bisection():
    logits, _, _ = draw(0, 3, images=4)
    tags = torch.tensor([[0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]])
    bisection, grid = (prior_of(logits, tags, method=method, grid_size=9) for method in ("bisection", "grid"))
    torch.testing.assert_close(bisection[1:], grid[1:])
    alone = prior_of(logits[:1, [0, 2]], torch.ones(1, 1), method="grid", grid_size=9)
    torch.testing.assert_close(grid[:1, [0, 2]], alone)
    tenths = float(grid[0, 2].exp() * 10)
    assert tenths == pytest.approx(round(tenths), abs=1e-5) and not torch.allclose(grid[0], bisection[0])


def test_none_is_an_even_prior_and_so_are_quotas_of_zero():
    logits, tags, _ = draw(0, 4)
    tags[0] = torch.tensor([True, False, True, True])
    for options in ({"method": "none"}, {"background_quota": 0, "object_quota": 0}):
        prior = prior_of(logits, tags, **options)
        np.testing.assert_allclose(prior[0].exp(), [0.25, 0.25, 0, 0.25, 0.25])


def test_an_image_without_a_tag_is_all_background():
    logits, _, _ = draw(0, 3)
    for method, tags in itertools.product(("bisection", "grid", "none"), (torch.zeros(3, 3), torch.eye(3) * 1.0)):
        tags = tags.clone()
        tags[1] = 0
        labels = estimate(logits, tags, method=method)
        assert (labels[1, 0] == 1).all() and not labels[1, 1:].any()


# pixels that do not count, number formats, devices


def test_padding_changes_nothing():
    logits, tags, _ = draw(4, 3)
    padded = torch.nn.functional.pad(logits, (0, 3, 0, 2), value=torch.nan)
    valid = torch.zeros(3, 10, 11, dtype=torch.bool)
    valid[:, :8, :8] = True
    for method in ("bisection", "grid"):
        expected = prior_of(logits, tags, method=method)
        torch.testing.assert_close(prior_of(padded, tags, valid, method=method), expected, atol=1e-5, rtol=1e-5)
    padded = padded.nan_to_num(50).requires_grad_()
    labels, plain = (estimate_pixel_labels(maps, expected) for maps in (padded, logits))
    loss = pixel_label_loss(padded, labels, valid)
    assert loss.item() == pytest.approx(float(pixel_label_loss(logits, plain)), rel=1e-6)
    loss.backward()
    assert padded.grad[:, :, :8, :8].any() and not padded.grad[:, :, 8:].any() and not padded.grad[..., 8:].any()


def test_no_valid_pixel_costs_nothing_and_stays_finite():
    logits, tags, valid = draw(0, 3)
    valid[:] = False
    logits.requires_grad_()
    labels = estimate(logits, tags, valid)
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(labels[:, 0].shape))
    loss = pixel_label_loss(logits, labels, valid)
    loss.backward()
    assert loss == 0 and not logits.grad.any()


def test_log_probabilities_and_logits_are_alike():
    logits, tags, valid = draw(2, 3)
    torch.testing.assert_close(
        estimate(logits.log_softmax(dim=1), tags, valid), estimate(logits, tags, valid), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single_precision(dtype):
    logits, tags, valid = draw(2, 3)
    half = logits.to(dtype)
    with torch.autocast("cpu", dtype):
        prior = prior_of(half, tags, valid)
        labels = estimate_pixel_labels(half, prior)
        loss = pixel_label_loss(half, labels, valid)
    exact = estimate(half.float(), tags, valid)
    assert prior.dtype == labels.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(labels, exact, atol=1e-5, rtol=0)
    assert float(loss) == pytest.approx(float(pixel_label_loss(half.float(), exact, valid)), rel=1e-6)


def test_most_tags_only_saves_work():
    logits, tags, valid = draw(5, 6)
    tags[:, :3] = False
    for most_tags in (3, 6, 9):
        found = estimate(logits, tags, valid, most_tags=most_tags)
        torch.testing.assert_close(found, estimate(logits, tags, valid), atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", ["bisection", "grid", "none"])
def test_waits_for_no_value_of_the_device(method):
    """Tensors of the meta device have no values, so that whatever needs one fails."""
    logits = torch.empty(2, 6, 4, 4, device="meta", requires_grad=True)
    tags = torch.empty(2, 5, device="meta")
    valid = torch.empty(2, 4, 4, dtype=torch.bool, device="meta")
    prior = prior_of(logits, tags, valid, method=method, grid_size=9, most_tags=1)
    assert prior.shape == (2, 6)
    labels = estimate_pixel_labels(logits, prior)
    assert labels.shape == logits.shape and pixel_label_loss(logits, labels, valid).shape == ()


# loss


@pytest.mark.parametrize("masked", [True, False])
def test_loss_is_the_mean_of_cross_entropies(masked):
    logits, tags, valid = draw(6, 3, side=4)
    prior = prior_of(logits, tags, valid if masked else None)
    losses = []
    for b, y, x in np.ndindex(3, 4, 4):
        if masked and not valid[b, y, x]:
            continue
        p = softmax(logits[b, :, y, x].double().numpy())
        weighted = p * np.exp(prior[b].double().numpy())
        q = weighted / weighted.sum()
        losses.append(-(q * np.log(p)).sum())
    labels = estimate_pixel_labels(logits, prior)
    found = pixel_label_loss(logits, labels, valid if masked else None)
    assert float(found) == pytest.approx(np.mean(losses), rel=1e-5)


def test_labels_are_constants_and_the_gradient_is_that_of_finite_differences():
    logits, tags, valid = draw(7, 2, side=3, images=2, spread=1.0)
    logits = logits.double().requires_grad_()
    labels = estimate(logits, tags, valid)
    assert not labels.requires_grad
    assert torch.autograd.gradcheck(lambda maps: pixel_label_loss(maps, labels, valid), [logits])
    pixel_label_loss(logits, labels).backward()
    torch.testing.assert_close(logits.grad, (logits.detach().softmax(dim=1) - labels) / valid.numel())


def test_following_the_gradient_fills_the_quotas():
    """What the loss is for: a network that starts with background alone ends with the object's share of pixels."""
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 1, (1, 2, 16, 16)) + [[[[6]], [[0]]]]).float().requires_grad_()
    assert logits.softmax(dim=1)[:, 1].mean() < 0.02
    for _ in range(60):
        loss = pixel_label_loss(logits, estimate(logits, torch.ones(1, 1)))
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = (logits - 256 * gradient).detach().requires_grad_()
    assert logits.softmax(dim=1)[:, 1].mean().item() == pytest.approx(OBJECT, abs=0.02)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "bisect"}, "'bisection'"),
        ({"background_quota": 1.2}, "1.2"),
        ({"object_quota": -0.1}, "-0.1"),
        ({"tags": torch.ones(2, 3)}, "(2, 2)"),
    ],
)
def test_bad_input_is_refused(options, said):
    arguments = {"logits": torch.zeros(2, 3, 4, 4), "tags": torch.ones(2, 2)} | options
    with pytest.raises(InputError) as error:
        prior_of(**arguments)
    assert said in str(error.value)
