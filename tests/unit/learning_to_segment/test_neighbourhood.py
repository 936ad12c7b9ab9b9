"""The neighbourhood loss against loops in double precision, pydensecrf, finite differences and the CRF of Prop. 3.1."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydensecrf.densecrf import DIAG_KERNEL, NORMALIZE_AFTER, DenseCRF2D
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from wsis_steps.engine.errors import InputError
from wsis_steps.learning_to_segment import neighbourhood as module
from wsis_steps.learning_to_segment.neighbourhood import AppearanceKernel, Neighbourhood, neighbourhood_loss
from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain

HEIGHT, WIDTH, CLASSES = 7, 9, 4
SEEDS = st.integers(0, 2**32 - 1)
MEANS, NORMALIZATIONS, SELF = ("exponentiated", "weighted"), ("per_kernel", "joint"), (True, False)
OPTIONS = [
    {"mean": m, "normalization": n, "exclude_self": e} for m, n, e in itertools.product(MEANS, NORMALIZATIONS, SELF)
]


def around(pictures, valid=None, normalization="per_kernel", **options):
    return Neighbourhood(pictures, valid, LearningToSegmentTrain(kernel_normalization=normalization, **options))


def loss_of(logits, neighbourhood, gradient="stop"):
    return neighbourhood_loss(logits, neighbourhood, gradient)


def draw_pictures(rng, images=2, height=HEIGHT, width=WIDTH) -> torch.Tensor:
    """uint8 (images, 3, height, width): a dark and a bright half with noise, and one pixel like no other."""
    halves = np.where(np.arange(width) < width // 2, 40, 190)
    pictures = halves + rng.normal(0, 15, (images, 3, height, width))
    pictures[:, :, 1, 1] = (255, 0, 255)
    return torch.from_numpy(pictures.clip(0, 255).astype(np.uint8))


def draw(seed=0, images=2):
    """Pictures and valid pixels, and logits in double precision."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 2, (images, CLASSES, HEIGHT, WIDTH)))
    return draw_pictures(rng, images), torch.from_numpy(rng.random((images, HEIGHT, WIDTH)) < 0.8), logits


def literal_kernels(picture, valid, exclude_self=True, color=20.0, position=15.0, near=0.75):
    """Both kernels (N, N) of a picture (3, h, w), pixel by pixel; columns of invalid pixels are 0."""
    picture = np.asarray(picture, float)
    places = list(np.ndindex(*picture.shape[1:]))
    appearance, smoothness = np.zeros((2, len(places), len(places)))
    for (i, (y, x)), (j, (v, u)) in itertools.product(enumerate(places), enumerate(places)):
        if (exclude_self and i == j) or not valid[v, u]:
            continue
        apart = (y - v) ** 2 + (x - u) ** 2
        change = ((picture[:, y, x] - picture[:, v, u]) ** 2).sum()
        appearance[i, j] = math.exp(-change / (2 * color**2) - apart / (2 * position**2)) + 2**-30
        if max(abs(y - v), abs(x - u)) <= math.ceil(4 * near):
            smoothness[i, j] = math.exp(-apart / (2 * near**2))
    return appearance, smoothness


def literal_distribution(kernels, probabilities, mean, normalization, weights=(10.0, 3.0), temperature=1.0):
    """p_neighb (N, L) of probabilities (N, L)."""
    if normalization == "joint":
        total = sum(weight * kernel for weight, kernel in zip(weights, kernels, strict=True))
        average = total @ probabilities / total.sum(1, keepdims=True)
        exponent = temperature * average
    else:
        exponent = sum(w * k @ probabilities / k.sum(1, keepdims=True) for w, k in zip(weights, kernels, strict=True))
        average = exponent / sum(weights)
    return average if mean == "weighted" else softmax(exponent, axis=1)


def rows(maps) -> np.ndarray:
    """Maps (L, h, w) as (N, L)."""
    return np.asarray(maps).reshape(len(maps), -1).T


def literal_loss(picture, valid, logits, others=None, **options):
    """Sum of KL(p || p_neighb) over the valid pixels of an image; `others`: the logits that p_neighb is of."""
    p, others = softmax(rows(logits), axis=1), softmax(rows(logits if others is None else others), axis=1)
    exclude_self = options.pop("exclude_self", True)
    target = literal_distribution(literal_kernels(picture, valid, exclude_self), others, **options)
    total = 0.0
    for i in np.flatnonzero(valid):
        total += sum(p[i, c] * math.log(p[i, c] / target[i, c]) for c in range(p.shape[1]))
    return total


def mean_field(kernels, start, normalization, **others):
    """Probabilities (N, L) that the mean field's update leaves as they are."""
    current = start
    for _ in range(2000):
        before, current = current, literal_distribution(kernels, current, "exponentiated", normalization, **others)
        if np.abs(before - current).max() < 1e-14:
            return current
    raise AssertionError("no fixed point")


def to_logits(probabilities, height=HEIGHT, width=WIDTH) -> torch.Tensor:
    return torch.from_numpy(np.log(probabilities).T.reshape(1, -1, height, width))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("masked", [False, True])
def test_distribution_and_loss_are_the_written_out_ones(options, masked):
    pictures, valid, logits = draw()
    made = around(pictures.double(), valid if masked else None, temperature=2.5, **options)
    found = made.log_distribution(logits.softmax(1)).exp()
    valid = valid if masked else torch.ones_like(valid)
    literal = {key: value for key, value in options.items() if key != "exclude_self"} | {"temperature": 2.5}
    for image in range(2):
        kernels = literal_kernels(pictures[image], valid[image], options["exclude_self"])
        expected = literal_distribution(kernels, softmax(rows(logits[image]), axis=1), **literal)
        np.testing.assert_allclose(rows(found[image]), expected, atol=1e-9)
    expected = sum(
        literal_loss(*each, temperature=2.5, **options) for each in zip(pictures, valid, logits, strict=True)
    )
    assert float(loss_of(logits, made)) == pytest.approx(expected / int(valid.sum()), rel=1e-7)


@pytest.mark.parametrize(
    ("chosen", "position", "color"),
    [
        ({}, 60 / 4, 20),  # the example of the code of NIPS 2011, its position by four
        ({"kernel_reading": "nips2011"}, 60 / 4, 20),
        ({"kernel_reading": "later"}, 80 / 4, 13),
        ({"kernel_reading": "later", "appearance_position": 3.0}, 3, 13),
        ({"kernel_reading": "nips2011", "appearance_color": 40.0}, 60 / 4, 40),
    ],
)
def test_a_reading_of_the_kernel_sets_what_is_not_given(chosen, position, color):
    pictures, valid, logits = draw(images=1)
    kernels = literal_kernels(pictures[0], valid[0], color=color, position=position)
    expected = literal_distribution(kernels, softmax(rows(logits[0]), axis=1), "exponentiated", "per_kernel")
    found = around(pictures.double(), valid, **chosen).log_distribution(logits.softmax(1)).exp()
    np.testing.assert_allclose(rows(found[0]), expected, atol=1e-9)


def test_single_precision_is_near_double_precision():
    pictures, valid, logits = draw()
    single, double = (around(p, valid) for p in (pictures, pictures.double()))
    p = logits.softmax(1)
    assert single.log_distribution(p).dtype == torch.float32
    torch.testing.assert_close(single.log_distribution(p).double(), double.log_distribution(p), atol=2e-4, rtol=0)
    assert float(loss_of(logits, single)) == pytest.approx(float(loss_of(logits, double)), 1e-4)


@pytest.mark.parametrize("part", [1, 300, 600, 2 * (HEIGHT * WIDTH) ** 2])
def test_parts_that_the_kernel_is_made_in_do_not_matter(part, monkeypatch):
    pictures, _, logits = draw(images=3)
    values = logits.softmax(1)
    whole = AppearanceKernel(pictures.double(), color=13, position=20, exclude_self=True)(values)
    monkeypatch.setattr(module, "CACHE_PART", part)
    kernel = AppearanceKernel(pictures.double(), color=13, position=20, exclude_self=True)
    torch.testing.assert_close(kernel(values), whole, atol=1e-6, rtol=0)  # what is left out is below 2^-30 each
    if part < (HEIGHT * WIDTH) ** 2:
        assert kernel.height < HEIGHT * WIDTH and max(map(max, kernel.firsts)) > 0  # something was left out
    else:
        assert kernel.images == 2


def lattice(picture, probabilities, appearance=0.0, smoothness=0.0, near=3.0) -> np.ndarray:
    """softmax over labels of the weighted sum of pydensecrf's filtered probabilities, (L, h, w)."""
    count, height, width = probabilities.shape
    field = DenseCRF2D(width, height, count)
    field.setUnaryEnergy(np.zeros((count, height * width), np.float32))
    common = {"kernel": DIAG_KERNEL, "normalization": NORMALIZE_AFTER}
    if smoothness:
        field.addPairwiseGaussian(sxy=near, compat=smoothness, **common)
    if appearance:
        field.addPairwiseBilateral(sxy=15, srgb=20, rgbim=np.ascontiguousarray(picture), compat=appearance, **common)
    state = field.startInference()
    np.asarray(state[0])[:] = probabilities.reshape(count, -1)
    field.stepInference(*state)
    return np.array(state[0]).reshape(probabilities.shape)


def photograph(seed=0, height=40, width=48):
    """A picture with smooth regions and an edge, and probabilities that are noisy around a region's class."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    inside = (x - 20) ** 2 + (y - 18) ** 2 < 150
    picture = 90 + x[..., None] + 70 * inside[..., None] + rng.normal(0, 5, (height, width, 3))
    logits = rng.normal(0, 1, (5, height, width)) + 2 * (np.arange(5)[:, None, None] == inside + 1)
    return picture.clip(0, 255).astype(np.uint8), softmax(logits, axis=0).astype(np.float32)


@pytest.mark.parametrize("kernels", ["appearance", "smoothness", "both"])
def test_exponentiated_mean_is_pydensecrfs_up_to_the_lattice(kernels):
    picture, p = photograph()
    weights = {
        "appearance_weight": 10.0 * (kernels != "smoothness"),
        "smoothness_weight": 3.0 * (kernels != "appearance"),
    }
    made = around(
        torch.from_numpy(picture).permute(2, 0, 1)[None], exclude_self=False, smoothness_position=3.0, **weights
    )
    found = made.log_distribution(torch.from_numpy(p)[None])[0].exp().numpy()
    expected = lattice(picture, p, *weights.values())
    assert np.abs(found - expected).mean() < 0.003
    assert np.abs(found - p).mean() > 0.05  # so the agreement is not that of a filter that does nothing


def test_weighted_mean_is_pydensecrfs_up_to_the_lattice():
    picture, p = photograph()
    logarithm = np.log(lattice(picture, p, appearance=1.0))
    expected = logarithm + (1 - logarithm.sum(axis=0)) / len(p)  # undoes the softmax, as the means of a pixel sum to 1
    pictures = torch.from_numpy(picture).permute(2, 0, 1)[None]
    made = around(pictures, mean="weighted", smoothness_weight=0, exclude_self=False)
    found = made.log_distribution(torch.from_numpy(p)[None])[0].exp().numpy()
    assert np.abs(found - expected).mean() < 0.001


def test_best_mean_field_of_an_explicit_crf_has_no_neighbourhood_loss():
    """Proposition 3.1: the factorized distribution nearest to the CRF prior of Eq. 13 and 14 meets Eq. 15.

    The four pixels are the corners of a rectangle in space and in color, so the weights around each have one sum, and
    the normalized kernel of Eq. 12 times that sum is the CRF's own.
    """
    corners = np.array([(100, 100, 100), (108, 100, 100), (100, 110, 100), (108, 110, 100)])
    picture, size, classes = corners.T.reshape(3, 2, 2), 4, 3
    weights = (1.2, 1.0)
    kernel = sum(w * k for w, k in zip(weights, literal_kernels(picture, np.ones((2, 2), bool)), strict=True))
    np.testing.assert_allclose(kernel.sum(1), kernel.sum(1)[0])
    masks = list(itertools.product(range(classes), repeat=size))
    energy = [sum(kernel[i, j] for i, j in itertools.combinations(range(size), 2) if z[i] == z[j]) for z in masks]
    log_crf = log_softmax(energy)

    def divergence(parameters):
        log_q = log_softmax(parameters.reshape(size, classes), axis=1)
        log_mask = np.array([sum(log_q[i, label] for i, label in enumerate(z)) for z in masks])
        return float((np.exp(log_mask) * (log_mask - log_crf)).sum())

    start = np.random.default_rng(0).normal(0, 1, size * classes)
    best = minimize(divergence, start, method="BFGS", options={"gtol": 1e-9}).x.reshape(size, classes)
    q = softmax(best, axis=1)
    assert divergence(best) < divergence(np.zeros(size * classes)) - 0.01 and q.max() < 0.99  # neither even nor sure
    options = {"appearance_weight": weights[0], "smoothness_weight": weights[1], "normalization": "joint"}
    made = around(torch.from_numpy(picture)[None].double(), temperature=float(kernel.sum(1)[0]), **options)
    np.testing.assert_allclose(rows(made.log_distribution(to_logits(q, 2, 2).exp())[0].exp()), q, atol=1e-5)
    assert float(loss_of(to_logits(q, 2, 2), made)) < 1e-9
    assert float(loss_of(torch.from_numpy(start.reshape(1, 2, 2, 3)).permute(0, 3, 1, 2), made)) > 0.01


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_fixed_points_of_the_mean_fields_update_have_no_neighbourhood_loss(normalization):
    pictures, _, logits = draw(images=1)
    kernels = literal_kernels(pictures[0], np.ones((HEIGHT, WIDTH), bool))
    start = softmax(rows(logits[0]), axis=1)
    found = mean_field(kernels, start, normalization, temperature=6.0)
    assert np.abs(found - 1 / CLASSES).max() > 0.1  # not the fixed point at which all classes are alike
    made = around(pictures.double(), normalization=normalization, temperature=6.0)
    logits_found = to_logits(found).requires_grad_()
    loss = loss_of(logits_found, made)
    loss.backward()
    assert abs(float(loss.detach())) < 1e-9 < 0.1 < float(loss_of(logits, made))
    assert float(logits_found.grad.abs().max()) < 1e-7


@pytest.mark.parametrize("gradient", ["stop", "full"])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_gradients_are_finite_differences(options, gradient):
    rng = np.random.default_rng(1)
    pictures, valid = draw_pictures(rng, 2, 3, 4), torch.from_numpy(rng.random((2, 3, 4)) < 0.8)
    logits = torch.from_numpy(rng.normal(0, 2, (2, 3, 3, 4)))
    made = around(pictures.double(), valid, temperature=2.0, **options)
    variable = logits.clone().requires_grad_()
    loss_of(variable, made, gradient).backward()

    def loss(moved):
        others = logits if gradient == "stop" else moved
        parts = zip(pictures, valid, moved, others, strict=True)
        return sum(literal_loss(*each, temperature=2.0, **options) for each in parts) / int(valid.sum())

    chosen = rng.choice(logits.numel(), 6, replace=False)
    for place in (np.unravel_index(i, logits.shape) for i in chosen):
        up, down = logits.clone(), logits.clone()
        up[place] += 1e-5
        down[place] -= 1e-5
        assert float(variable.grad[place]) == pytest.approx((loss(up) - loss(down)) / 2e-5, abs=1e-8, rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from(OPTIONS))
def test_invariants(seed, options):
    pictures, valid, logits = draw(seed)
    made, p = around(pictures, valid, **options), logits.softmax(1).float()
    found = made.log_distribution(p)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(2, HEIGHT, WIDTH))
    loss = loss_of(logits, made)
    assert float(loss) >= 0
    # names of classes
    order = torch.from_numpy(np.random.default_rng(seed).permutation(CLASSES))
    torch.testing.assert_close(made.log_distribution(p[:, order]), found[:, order], atol=1e-4, rtol=0)
    # images alone
    alone = [around(pictures[i : i + 1], valid[i : i + 1], **options) for i in range(2)]
    torch.testing.assert_close(torch.cat([a.log_distribution(p[i : i + 1]) for i, a in enumerate(alone)]), found)
    # mirrored images
    mirrored = around(pictures.flip(3), valid.flip(2), **options).log_distribution(p.flip(3))
    torch.testing.assert_close(mirrored.flip(3), found, atol=1e-3, rtol=0)
    # colors that all change alike
    shifted = around(pictures.float() + 50, valid, **options)
    torch.testing.assert_close(loss_of(logits, shifted), loss, atol=1e-4, rtol=1e-4)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from(NORMALIZATIONS), st.booleans())
def test_weighted_mean_leaves_one_distribution_for_all_pixels_as_it_is(seed, normalization, exclude_self):
    pictures, _, logits = draw(seed)
    same = logits[:, :, :1, :1].expand_as(logits)
    made = around(pictures, mean="weighted", normalization=normalization, exclude_self=exclude_self)
    torch.testing.assert_close(made.log_distribution(same.softmax(1)).exp(), same.softmax(1).float())
    assert abs(float(loss_of(same, made))) < 1e-5


@pytest.mark.parametrize("gradient", ["stop", "full"])
def test_padded_pixels_neither_give_nor_receive(gradient):
    pictures, _, logits = draw()
    valid = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
    valid[:, :5, :6] = True
    cropped = around(pictures[:, :, :5, :6])
    expected = loss_of(logits[:, :, :5, :6], cropped, gradient)
    for seed in range(2):
        _, _, others = draw(seed + 1)
        variable = torch.where(valid[:, None], logits, others).requires_grad_()
        loss = loss_of(variable, around(pictures, valid), gradient)
        loss.backward()
        torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-4)
        assert not variable.grad[~valid[:, None].expand_as(logits)].any() and variable.grad.any()


def test_no_valid_pixel_costs_nothing():
    pictures, valid, logits = draw()
    logits.requires_grad_()
    loss = loss_of(logits, around(pictures, torch.zeros_like(valid)), "full")
    loss.backward()
    assert loss.detach() == 0 and not logits.grad.any()


@pytest.mark.parametrize("gradient", ["stop", "full"])
@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("spread", [100.0, 1e4, math.inf])
def test_sure_and_impossible_classes_stay_finite(spread, mean, gradient):
    pictures, valid, logits = draw()
    logits = torch.where(logits == logits.amax(1, keepdim=True), 0.0, -spread)
    logits = torch.cat([logits, torch.full_like(logits[:, :1], -spread)], dim=1).requires_grad_()  # seen nowhere
    loss = loss_of(logits, around(pictures, valid, mean=mean), gradient)
    loss.backward()
    assert 0 < float(loss.detach()) < 100 and logits.grad.isfinite().all()


def test_a_pixel_like_no_other_has_the_mean_of_all_others():
    pictures = torch.zeros(1, 3, HEIGHT, WIDTH, dtype=torch.uint8)
    pictures[:, :, 3, 3] = 255
    p = draw(images=1)[2].softmax(1)
    found = around(pictures, mean="weighted", smoothness_weight=0).log_distribution(p).exp()[0, :, 3, 3]
    others = (p[0].sum((1, 2)) - p[0, :, 3, 3]) / (HEIGHT * WIDTH - 1)
    torch.testing.assert_close(found, others.float(), atol=1e-5, rtol=0)


def test_half_precision_is_computed_in_single_precision():
    pictures, valid, logits = draw()
    made = around(pictures, valid)
    exact = loss_of(logits.bfloat16().float(), made)
    assert loss_of(logits.bfloat16(), made) == exact
    variable = logits.float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = loss_of(variable, around(pictures, valid), "full")
        mixed.backward()
    assert mixed == loss_of(variable, made, "full")


def test_kernels_without_weight_are_refused():
    with pytest.raises(InputError, match="both 0"):
        around(draw()[0], appearance_weight=0, smoothness_weight=0)


def test_shapes_that_do_not_fit_are_refused():
    pictures, valid, logits = draw()
    with pytest.raises(InputError, match="shape"):
        around(pictures[:, :2])
    with pytest.raises(InputError, match="valid"):
        around(pictures, valid[:, 1:])
    with pytest.raises(InputError, match="do not fit"):
        loss_of(logits[..., 1:], around(pictures))
