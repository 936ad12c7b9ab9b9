"""The linear classifier of pixels: against scipy's minimum, and on planted classes."""

import frozen
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.optimize import minimize
from scipy.special import log_softmax

from wsis_steps.classifier.pixels import (
    OPEN,
    PixelClassifier,
    Samples,
    first_labels,
    fit,
    learn,
    maps_of,
    next_labels,
    standardize,
)
from wsis_steps.classifier.settings import ClassifierLearnPixels
from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.maps import Maps


def drawn(seed, count=400, channels=5, classes=3):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    centers = rng.normal(size=(classes, channels))
    features = centers[labels] + rng.normal(size=(count, channels)) * 1.5
    return (features * rng.uniform(0.1, 30, channels) + rng.normal(size=channels)).astype(np.float32), labels


def minimum(features, labels, count, penalty):
    """Probabilities at the minimum that scipy finds."""
    standardized = (features - features.mean(axis=0)) / features.std(axis=0)
    numbers = np.bincount(labels, minlength=count)
    rarity = np.sqrt(np.minimum(numbers.mean() / numbers, 10))[labels]

    def unpack(values):
        return values[count:].reshape(count, -1), values[:count]

    def loss(values):
        weights, biases = unpack(values)
        entropy = -log_softmax(standardized @ weights.T + biases, axis=1)[np.arange(len(labels)), labels]
        return (entropy * rarity).sum() / rarity.sum() + penalty * np.square(weights).sum()

    weights, biases = unpack(minimize(loss, np.zeros(count * (features.shape[1] + 1)), tol=1e-10).x)
    return np.exp(log_softmax(standardized @ weights.T + biases, axis=1))


def test_fit_finds_the_minimum():
    features, labels = drawn(0)
    labels[labels == 2] = np.where(np.arange((labels == 2).sum()) % 12, 0, 2)  # a class of few pixels
    standardized = torch.from_numpy(features.copy())
    standardize(standardized)
    found = fit(standardized, torch.from_numpy(labels), 3, 0.05)
    probabilities = found.probabilities(standardized, torch.ones(3, dtype=torch.bool)).numpy()
    np.testing.assert_allclose(probabilities, minimum(features.astype(float), labels, 3, 0.05), atol=5e-3)


def test_open_pixels_are_not_learned_from():
    features, labels = (torch.from_numpy(part) for part in drawn(1))
    standardize(features)
    alone = fit(features, labels, 3, 0.1)
    beside = fit(torch.cat([features, torch.randn(50, 5)]), torch.cat([labels, torch.full((50,), OPEN)]), 3, 0.1)
    torch.testing.assert_close(alone.weights, beside.weights, rtol=1e-4, atol=1e-5)


def test_first_labels_go_by_shares_of_all_pixels():
    activation = torch.linspace(0, 1, 1000) ** 3
    samples = Samples(torch.zeros(1000, 1), torch.ones(1000, 4, dtype=torch.bool), activation, torch.full((1000,), 2))
    labels = first_labels(samples, ClassifierLearnPixels(least_active=0.3, most_active=0.2))
    assert (labels[:300] == 0).all() and (labels[300:800] == OPEN).all() and (labels[800:] == 3).all()


def test_later_labels_are_among_the_tags_and_certain():
    classifier = PixelClassifier(torch.tensor([[0.0], [1.0], [2.0]]), torch.zeros(3))
    allowed = torch.tensor([[True, True, False], [True, True, True], [True, True, False]])
    samples = Samples(torch.tensor([[3.0], [3.0], [0.1]]), allowed, torch.zeros(3), torch.zeros(3, dtype=torch.int64))
    assert next_labels(classifier, samples, 0.9).tolist() == [1, 2, OPEN]


def planted(seed, images=60, pixels=80):
    """Images of two classes whose pixels lie around a center each; activation is high on a few of their pixels, and on
    some of the background that comes with the first class."""
    rng = np.random.default_rng(seed)
    centers = np.array(
        [[0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 4]], dtype=np.float32
    )  # background, two classes, company
    features, truth, allowed, activation, category = [], [], [], [], []
    for image in range(images):
        tags = [[0], [1], [0, 1]][image % 3]
        kinds = rng.choice(len(tags) + 2, pixels)
        true = np.array([0, 3, *(1 + tag for tag in tags)])[kinds]
        features.append(centers[true] + rng.normal(size=(pixels, 3)))
        truth.append(np.where(true == 3, 0, true))
        allowed.append(np.tile([True, 0 in tags, 1 in tags], (pixels, 1)))
        seen = (true > 0) & (true < 3) & (rng.random(pixels) < 0.5)
        activation.append(np.where(seen, rng.uniform(0.6, 1, pixels), rng.uniform(0, 0.6, pixels)))
        category.append(np.where((true > 0) & (true < 3), true - 1, tags[0]))
    parts = (np.concatenate(part) for part in (features, allowed, activation, category))
    seen, may, active, which = (torch.from_numpy(part) for part in parts)
    return Samples(seen.float(), may, active.float(), which), np.concatenate(truth)


def test_rounds_learn_more_of_an_object_than_its_activation_shows():
    samples, truth = planted(0)
    wanted = ClassifierLearnPixels(rounds=4, least_active=0.3, most_active=0.2)
    features = samples.features.clone()  # learning standardizes its own
    found = learn(samples, wanted).probabilities(features, samples.allowed).argmax(dim=1).numpy()
    first = first_labels(samples, wanted).numpy()
    objects = truth > 0
    assert (first[objects] == truth[objects]).mean() < 0.55
    assert (found[objects] == truth[objects]).mean() > 0.9
    assert (found[~objects] == 0).mean() > 0.85


def test_classes_that_no_pixel_is_certain_of_keep_their_first_labels():
    samples, truth = planted(0)
    features = samples.features.clone()
    once = learn(planted(0)[0], ClassifierLearnPixels(rounds=1, least_active=0.3, most_active=0.2))
    again = learn(samples, ClassifierLearnPixels(rounds=3, certainty=1, least_active=0.3, most_active=0.2))
    torch.testing.assert_close(
        again.probabilities(features, samples.allowed), once.probabilities(features, samples.allowed)
    )


def test_a_rare_class_does_not_vanish():
    samples, truth = planted(0)
    rare = torch.from_numpy(truth == 2) & (torch.arange(len(truth)) % 40 > 0)  # a fortieth of the second class is left
    kept = Samples(*(part[~rare] for part in (samples.features, samples.allowed, samples.activation, samples.category)))
    features = kept.features.clone()
    wanted = ClassifierLearnPixels(rounds=5, certainty=0.999, least_active=0.3, most_active=0.2)
    found = learn(kept, wanted).probabilities(features, kept.allowed).argmax(dim=1)
    truth = torch.from_numpy(truth)[~rare]
    assert (found[truth == 2] == 2).float().mean() > 0.5


def test_activation_that_is_the_same_everywhere_is_refused():
    samples, _ = planted(0)
    samples.activation.fill_(0.5)
    with pytest.raises(InputError, match="be separated from the background; check classifier_train first"):
        learn(samples, ClassifierLearnPixels())


def test_no_pixel_is_background_and_class_at_first():
    with pytest.raises(ValidationError, match="least_active and most_active .* together they exceed 1"):
        ClassifierLearnPixels(least_active=0.8, most_active=0.5)


def test_maps_are_the_probabilities_of_tagged_classes_at_the_largest_size():
    generator = np.random.default_rng(0)
    classifier = PixelClassifier(*(torch.from_numpy(generator.normal(size=s).astype(np.float32)) for s in ((4, 3), 4)))
    features = [
        generator.normal(size=(3, 2, 3)).astype(np.float16),
        generator.normal(size=(3, 4, 6)).astype(np.float16),
    ]
    tags = np.array([False, True, True])
    found = maps_of(classifier, features[1:], tags)
    logits = np.tensordot(classifier.weights.numpy(), features[1].astype(np.float32), 1)
    logits += classifier.biases.numpy()[:, None, None]
    exponents = np.exp(logits[[0, 2, 3]])
    np.testing.assert_allclose(found, (exponents / exponents.sum(axis=0))[1:], rtol=1e-4)
    both = maps_of(classifier, features, tags)
    assert both.shape == (2, 4, 6) and both.min() >= 0 and both.sum(axis=0).max() <= 1
    constant = [np.ones((3, h, h), np.float16) for h in (2, 5)]
    assert maps_of(classifier, constant, tags) == pytest.approx(
        np.broadcast_to(maps_of(classifier, constant[:1], tags)[:, :1, :1], (2, 5, 5)), abs=1e-6
    )
    assert maps_of(classifier, constant, np.zeros(3, bool)).shape == (0, 5, 5)


def test_the_step_maps_the_tags_of_each_image_and_says_so_again(tmp_path):
    frozen.make(tmp_path, long_sides=[32, 64])
    assert frozen.learn_pixels(tmp_path, rounds=2).status == 0
    first = (tmp_path / "probabilities.h5").read_bytes()
    maps, found, features = (
        kind(tmp_path / f"{name}.h5")
        for kind, name in ((Maps, "maps"), (Maps, "probabilities"), (Features, "features"))
    )
    assert found.ids == maps.ids and set(found.supervision) == {"tags"}
    for i in range(len(maps)):
        own, categories = found.read(i)
        assert categories.tolist() == maps.categories(i).tolist()
        assert own.shape[1:] == max(one.shape[1:] for one in features.read(i)) and own.min(initial=0) >= 0
        assert own.astype(float).sum(axis=0).max() < 1.01
    assert frozen.learn_pixels(tmp_path, rounds=2).status == 0
    assert (tmp_path / "probabilities.h5").read_bytes() == first
    assert frozen.learn_pixels(tmp_path, rounds=2, seed=1).status == 0
    assert (tmp_path / "probabilities.h5").read_bytes() != first
