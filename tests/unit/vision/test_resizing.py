"""Resizing of pictures: antialiased in every loader, exact at the border, one place with labels, points and boxes."""

from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from artifacts import CLASSES, provenance, write_images, write_labels, write_semantic
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from proposal_sets import random_proposals, square_boxes
from tiny_settings import BESTIE, CLASSIFIER, COMMUNITY_LEARNING, INITIALISE, LEARNING_TO_SEGMENT, MASKRCNN

from wsis_steps.__main__ import main as run_command
from wsis_steps.annotation_consistency import samples as consistency_samples
from wsis_steps.annotation_consistency.region_graph import build_graph
from wsis_steps.annotation_consistency.settings import AnnotationConsistencyInitialise
from wsis_steps.bestie import infer as bestie_infer
from wsis_steps.bestie import samples as bestie_samples
from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.classifier.network import activation_maps
from wsis_steps.classifier.settings import ClassifierTrain
from wsis_steps.classifier.train import TaggedPictures
from wsis_steps.classifier.views import view_square, view_whole
from wsis_steps.commands.predictors import detect
from wsis_steps.community_learning import samples as community_samples
from wsis_steps.community_learning.inference import make_views
from wsis_steps.community_learning.settings import CommunityLearningInfer, CommunityLearningTrain
from wsis_steps.learning_to_segment import infer as segment_infer
from wsis_steps.learning_to_segment.samples import TaggedSamples
from wsis_steps.learning_to_segment.settings import LearningToSegmentInfer, LearningToSegmentTrain
from wsis_steps.maskrcnn.network import Transform, build_maskrcnn
from wsis_steps.maskrcnn.settings import MaskrcnnTrain
from wsis_steps.vision import images
from wsis_steps.vision.backbones import build_backbone
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.images import Geometry, fit, flip_and_rot90, random_crop
from wsis_steps.vision.models import save_model

FILL = (1, 2, 3)
SCALES = st.floats(0.1, 3)


def white_noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_noise_shrunk_from_12_megapixels_is_as_smooth_as_pil_makes_it():
    noise = white_noise(3000, 4000)
    found = fit(3000, 4000, 321, 321).picture(noise).std()
    image = Image.fromarray(noise)
    triangle, box = (np.asarray(image.resize((321, 321), how)).std() for how in (Image.BILINEAR, Image.BOX))
    assert 0.9 * triangle < found < 1.1 * box and box < 8


@settings(max_examples=25, deadline=None)
@given(height=st.integers(90, 300), width=st.integers(90, 300), vertical=st.floats(3, 9), horizontal=st.floats(3, 9))
def test_shrinking_smooths_whatever_the_size(height, width, vertical, horizontal):
    noise = white_noise(height, width)
    to_height, to_width = max(round(height / vertical), 8), max(round(width / horizontal), 8)
    found = fit(height, width, to_height, to_width).picture(noise).astype(float)
    box = np.asarray(Image.fromarray(noise).resize((to_width, to_height), Image.BOX)).astype(float)
    assert found.std() < 1.2 * box.std() and abs(found.mean() - noise.mean()) < 1


# --- every way of a picture into a network; each test makes it some six times smaller


def prepared(picture, folder):
    views = [view_square(64), view_whole(80, 8)]  # of the classifier
    others = [bestie_infer.prepare(80, 32), segment_infer.prepare(LearningToSegmentInfer(size=64))]
    return [see(picture) for see in (*views, *others)]


def trained_on(picture, folder):
    tagged = Images(write_images(folder / "images.h5"))
    classifier = TaggedPictures(tagged, ClassifierTrain(**CLASSIFIER | {"resize": 64, "color_jitter": (0, 0, 0, 0)}))
    semantic = TaggedSamples(tagged, None, LearningToSegmentTrain(**LEARNING_TO_SEGMENT | {"resize": 64}))
    rng = np.random.default_rng(0)
    return [classifier.draw(0, picture, rng)[0], semantic.draw(0, picture, rng)["picture"]]


def trained_on_by_bestie(picture, folder):
    options = BestieTrain(**BESTIE | {"long_side": 65, "crop": 64, "scale": (1, 1), "photometric": False})
    tagged, maps = Images(write_images(folder / "images.h5")), Maps(write_semantic(folder / "semantic.h5"))
    samples = bestie_samples.TrainingSamples(tagged, maps, Instances(write_labels(folder / "labels.h5")), options)
    samples.maps[0] = np.zeros(picture.shape[:2], np.uint8), np.zeros(picture.shape[:2], np.uint8)  # of its size
    return [samples.draw(0, picture, np.random.default_rng(0))["picture"]]


def trained_on_by_community_learning(picture, folder):
    tagged, boxes = Images(write_images(folder / "images.h5")), Proposals(square_boxes(folder / "boxes.h5"))
    options = CommunityLearningTrain(**COMMUNITY_LEARNING | {"short_sides": [64], "long_side": 80})
    samples = community_samples.TrainingSamples(tagged, boxes, options)
    return [samples.draw(0, picture, np.random.default_rng(0))["picture"]]


def trained_on_by_annotation_consistency(picture, folder):
    size, rng = picture.shape[:2], np.random.default_rng(0)
    graphs = SimpleNamespace(
        images=Images(write_images(folder / "images.h5")),
        read=lambda i: build_graph(random_proposals(rng, "regions", 4, *size), None, *size),
    )
    options = AnnotationConsistencyInitialise(**INITIALISE | {"long_side": 80})
    samples = consistency_samples.TrainingSamples(graphs, options, 4)
    return [samples.draw(0, picture, rng)["picture"]]


def predicted(picture, folder):
    """Through `wsis predict`, with a model file of a training at 64 pixels."""
    settings = MaskrcnnTrain(**MASKRCNN | {"min_size": 64, "max_size": 80})
    network, seen = build_maskrcnn(settings, len(CLASSES)), []
    made = replace(provenance(step="maskrcnn_train"), settings=settings.model_dump_json())
    save_model(folder / "model.pt", network, made)
    Image.fromarray(picture).save(folder / "picture.png")

    def look(model, pictures, *rest):
        forward = model.backbone.forward
        model.backbone.forward = lambda batch: seen.append(batch) or forward(batch)
        return detect(model, pictures, *rest)

    words = [folder / "picture.png", "--model", folder / "model.pt", "--out", folder / "found", "--threads", 1]
    with patch("wsis_steps.commands.predictors.detect", look), pytest.raises(SystemExit) as ended:
        run_command(["predict", *map(str, words)])
    assert not ended.value.code
    [batch] = seen
    mean, deviation = (part[:, None, None] for part in (network.transform.image_mean, network.transform.image_std))
    return [255 * (batch[0, :, :64, :80] * deviation + mean)]


def seen_by_maskrcnn(picture, folder):
    transform = Transform(64, 80, build_backbone("small"))
    image = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    target = {"boxes": torch.zeros(0, 4), "masks": torch.zeros(0, *picture.shape[:2])}
    return [255 * transform.eval().resize(image)[0], 255 * transform.train().resize(image, target)[0]]


def seen_by_community_learning(picture, folder):
    def network(pictures):
        seen.append(pictures[0])
        return []

    seen, network.backbone = [], SimpleNamespace(normalize=lambda pictures: pictures.float())
    options = CommunityLearningInfer(short_sides=(64,), long_side=80)
    make_views(network, torch.from_numpy(picture).permute(2, 0, 1), options)
    return seen


def seen_for_activation_maps(picture, folder):
    def network(pictures):
        seen.append(pictures[0])
        return torch.zeros(1, 1), torch.ones(1, 1, 4, 4)

    seen = []
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    activation_maps(network, image, torch.ones(1, 1), scales=(1 / 6,), flip=True)
    return seen


@pytest.mark.parametrize(
    "ways",
    [
        prepared,
        trained_on,
        trained_on_by_bestie,
        trained_on_by_community_learning,
        trained_on_by_annotation_consistency,
        seen_by_maskrcnn,
        seen_by_community_learning,
        seen_for_activation_maps,
        predicted,
    ],
)
def test_every_network_sees_noise_shrunk_smoothly(ways, tmp_path):
    picture = white_noise(384, 480)
    image = Image.fromarray(picture)
    triangle, box = (np.asarray(image.resize((80, 64), how)).std() for how in (Image.BILINEAR, Image.BOX))
    found = ways(picture, tmp_path)
    assert found
    for seen in found:
        assert seen.shape[-1] <= 96
        assert 0.9 * triangle < seen.float().std() < 1.15 * box, f"aliased: {seen.float().std()}"  # 74 before


# --- exactness


def any_geometry(seed: int, height: int, width: int, vertical: float, horizontal: float) -> Geometry:
    return random_crop(np.random.default_rng(seed), height, width, 70, (vertical, horizontal), rot90=True)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 150), st.integers(5, 150), SCALES, SCALES)
def test_outside_is_the_fill_and_inside_is_not_mixed_with_it(seed, height, width, vertical, horizontal):
    geometry = any_geometry(seed, height, width, vertical, horizontal)
    found = geometry.picture(np.full((height, width, 3), 255, np.uint8), FILL)
    inside = geometry.labels(np.ones((height, width), np.uint8)) > 0
    assert (found[inside] == 255).all() and (found[~inside] == FILL).all()
    # labels take the nearest pixel: they are inside where the target's center is
    y, x = np.mgrid[:70, :70] + 0.5
    inverse = np.linalg.inv(geometry.matrix[:, :2])
    places = np.stack([x - geometry.matrix[0, 2], y - geometry.matrix[1, 2]], axis=-1) @ inverse.T
    beyond = np.maximum(-places, places - [width, height]).max(axis=-1)
    clear = np.abs(beyond) > 0.01
    assert np.array_equal(inside[clear], (beyond <= 0)[clear])


@st.composite
def drawn_rectangle(draw):
    """A rectangle x1, y1, x2, y2 in units of its picture's 12 x 9."""
    x1, y1 = draw(st.integers(0, 10)), draw(st.integers(0, 7))
    return [x1, y1, draw(st.integers(x1 + 1, 12)), draw(st.integers(y1 + 1, 9))]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), drawn_rectangle(), st.integers(1, 7), st.integers(1, 7), st.integers(1, 3))
def test_what_ends_between_pixels_still_does_after_whole_factors(seed, rectangle, down, across, times):
    """Shrunk by `down` and `across`, enlarged by `times`: picture, labels and box of a rectangle stay one."""
    box = np.array([rectangle]) * [across, down, across, down]
    labels = np.zeros((9 * down, 12 * across), np.uint8)
    labels[box[0, 1] : box[0, 3], box[0, 0] : box[0, 2]] = 1
    picture = np.repeat(labels[..., None] * np.uint8(255), 3, axis=2)
    scaled = fit(*labels.shape, 9 * times, 12 * times)
    turned = flip_and_rot90(np.random.default_rng(seed), scaled.height, scaled.width, rot90=True)
    geometry = scaled.then(turned)
    moved = geometry.boxes(box)[0]
    x1, y1, x2, y2 = np.rint(moved).astype(int)
    wanted = np.zeros((geometry.height, geometry.width), np.uint8)
    wanted[y1:y2, x1:x2] = 1
    np.testing.assert_allclose(moved, [x1, y1, x2, y2], atol=1e-9)
    np.testing.assert_array_equal(geometry.labels(labels), wanted)
    found = geometry.picture(picture)[..., 0]
    if times <= min(down, across):
        np.testing.assert_array_equal(found, 255 * wanted)
    else:  # enlarging rounds corners
        for line in (np.s_[(y1 + y2) // 2], np.s_[:, (x1 + x2) // 2]):
            np.testing.assert_array_equal(found[line] > 127, wanted[line] > 0)
    middle = geometry.points(np.array([[(box[0, 0] + box[0, 2] - 1) / 2, (box[0, 1] + box[0, 3] - 1) / 2, 0]]))
    np.testing.assert_allclose(middle[0, :2], [(x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2], atol=1e-9)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(40, 400), st.integers(40, 400), st.data())
def test_a_rectangle_keeps_its_place_and_area_under_any_map(seed, height, width, data):
    """Sums over the picture against the moved box: an oracle that samples nothing."""
    vertical, horizontal = data.draw(st.floats(20 / height, 60 / height)), data.draw(st.floats(20 / width, 60 / width))
    geometry = any_geometry(seed, height, width, vertical, horizontal)
    x1, y1, x2, y2 = width // 4, height // 3, width // 4 + width // 2, height // 3 + height // 2
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y1:y2, x1:x2] = 255
    box = geometry.boxes(np.array([[x1, y1, x2, y2]]))[0]
    assume((box[:2] >= 2).all() and (box[2:] <= 68).all())
    with patch.object(images, "LARGE", data.draw(st.sampled_from([images.LARGE, 400]))):  # halved first, or not
        share = geometry.picture(picture, (0, 0, 0))[..., 0] / 255
    wide, high = box[2:] - box[:2]
    assert share.sum() == pytest.approx(wide * high, rel=0.03, abs=2)
    y, x = np.mgrid[:70, :70] + 0.5
    center = np.array([(share * x).sum(), (share * y).sum()]) / share.sum()
    np.testing.assert_allclose(center, (box[:2] + box[2:]) / 2, atol=0.06)
    labels = geometry.labels((picture[..., 0] > 0).astype(np.uint8))
    to_edge = np.minimum(np.abs(x[..., None] - box[[0, 2]]), np.abs(y[..., None] - box[[1, 3]])).min(axis=-1)
    assert np.array_equal((share > 0.5)[to_edge > 0.75], (labels > 0)[to_edge > 0.75])
