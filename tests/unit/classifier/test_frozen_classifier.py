"""A frozen classifier: its cached features, what its head makes of them, and that all who read its model can."""

import re
import shutil
import signal

import cv2
import numpy as np
import pytest
import torch
from calls import call
from frozen import FROZEN, SIZES, extract, infer, learn, make, write_pictures
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional

from wsis_steps.classifier import linear
from wsis_steps.classifier.audit_tags import predict
from wsis_steps.classifier.maps import cached_maps
from wsis_steps.classifier.network import frozen_backbone, load_classifier
from wsis_steps.classifier.settings import ClassifierAuditTags, ClassifierExtract, ClassifierTrain
from wsis_steps.classifier.views import size_of_view, view_whole
from wsis_steps.engine.step import Job
from wsis_steps.vision.backbones import build_backbone
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.models import load_model
from wsis_steps.vision.weights import load_weights

SMALL = ClassifierExtract.model_validate(FROZEN)
TRANSFORMER = {"backbone": "timm/test_vit4", "output_stride": "own"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("frozen"))


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 1000), st.sampled_from([8, 14, 16, 32]))
def test_pictures_keep_their_aspect_to_half_a_cell(height, width, long_side, stride):
    sides = size_of_view(height, width, long_side, stride)
    scale = long_side / max(height, width)
    for side, own in zip(sides, (height, width), strict=True):
        assert side % stride == 0 and side >= stride
        assert side == stride or abs(side - own * scale) <= stride / 2


def test_pictures_are_shrunk_by_area():
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    seen = view_whole(48, 16)(picture)
    assert torch.equal(
        seen, torch.from_numpy(cv2.resize(picture, (48, 32), interpolation=cv2.INTER_AREA)).permute(2, 0, 1)
    )


@pytest.mark.parametrize("settings", [{}, {"long_sides": [64, 40]}, TRANSFORMER])
def test_features_are_the_backbone_s_of_each_training_image_at_each_size(tmp_path, settings):
    images = Images(write_pictures(tmp_path / "images.h5"))
    outcome = extract(tmp_path, **settings)
    assert outcome.status == 0
    features = Features(tmp_path / "features.h5")
    stored = sum(cached.nbytes for i in range(len(features)) for cached in features.read(i))
    assert f"features of 7 images are {stored / 1e9:.3g} GB before compression" in outcome.log
    chosen = ClassifierExtract.model_validate({**FROZEN, **settings})
    backbone, pictures = frozen_backbone(chosen), Pictures(images)
    stride = backbone.strides[-1]
    assert features.ids == [f"image{k}" for k in range(len(SIZES) - 1)]
    for i, (height, width) in enumerate(SIZES[:-1]):
        cached = features.read(i)
        assert len(cached) == len(chosen.long_sides)
        for found, long_side in zip(cached, chosen.long_sides, strict=True):
            sides = size_of_view(height, width, long_side, stride)
            assert found.dtype == np.float16 and found.shape[1:] == (sides[0] // stride, sides[1] // stride)
            seen = torch.from_numpy(view_whole(long_side, stride)(pictures.read(i)).numpy())[None]
            with torch.no_grad():
                expected = backbone(backbone.normalize(seen))[-1][0].numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_maps_are_the_head_s_of_the_features(made):
    """At a stride of the features' cells nothing is resized where a picture is seen at its own size."""
    features, maps, images = Features(made / "features.h5"), Maps(made / "maps.h5"), Images(made / "images.h5")
    state = load_model(made / "model.pt", "classifier_train").state
    weights, biases = state["head.0.weight"][:, :, 0, 0].numpy(), state["head.0.bias"].numpy()
    whole = [i for i, size in enumerate(SIZES[:-1]) if max(size) == 64 and not (size[0] % 8 or size[1] % 8)]
    assert len(whole) > 2
    for i in range(len(maps)):
        found, categories = maps.read(i)
        assert categories.tolist() == images.tags[i].nonzero()[0].tolist()
        raw = np.einsum("kc,chw->khw", weights[categories], features.read(i)[0].astype(np.float32))
        raw = np.maximum(raw + biases[categories, None, None], 0)
        expected = raw / (raw.max(axis=(1, 2), keepdims=True) + 1e-5)
        if i in whole:
            np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_classifier_sees_pictures_as_its_features_were_made(made):
    features, images = Features(made / "features.h5"), Images(made / "images.h5")
    model = load_classifier(load_model(made / "model.pt", "classifier_train")).eval()
    for i in range(len(features)):
        seen = view_whole(64, 8)(Pictures(images).read(i))[None]
        with torch.no_grad():
            logits, raw = model(model.backbone.normalize(seen))
            expected = model.head(torch.from_numpy(features.read(i)[0])[None].float())
        torch.testing.assert_close(raw, expected, rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(logits, expected.mean(dim=(2, 3)), rtol=1e-2, atol=1e-2)


def test_maps_of_several_sizes_are_averaged(made):
    head = load_classifier(load_model(made / "model.pt", "classifier_train")).head
    cached, tags = Features(made / "features.h5").read(2), torch.tensor([True, False])
    one, other = cached[0], np.ascontiguousarray(cached[0][:, ::2, ::2])
    both = cached_maps(head, [one, other], tags, (20, 30))
    with torch.no_grad():
        raws = [head(torch.from_numpy(part)[None].float())[0, :1].relu() for part in (one, other)]
    singles = [functional.interpolate(raw[None], (20, 30), mode="bilinear")[0] for raw in raws]
    expected = sum(single / single.max() for single in singles)
    torch.testing.assert_close(both, expected / expected.max(), rtol=0, atol=1e-3)
    assert cached_maps(head, [one], torch.tensor([False, False]), (20, 30)).shape == (0, 20, 30)


def test_jobs_that_share_the_images_make_the_maps_of_one(copy):
    whole = (copy / "maps.h5").read_bytes()
    for k in (1, 2, 3, 4):
        assert infer(copy, shard=f"{k}/4", stride=8).status == 0
        (copy / "maps.h5").rename(copy / f"{k}_of_4.h5")
    join_shards([copy / f"{k}_of_4.h5" for k in (1, 2, 3, 4)], copy / "joined.h5")
    assert (copy / "joined.h5").read_bytes() == whole


def test_the_model_holds_the_backbone_as_it_was(made):
    backbone = build_backbone("small", 8)
    load_weights(backbone, str(made / "model.pt"))  # as the trainings that start from the classifier do
    for key, value in frozen_backbone(SMALL).state_dict().items():
        assert torch.equal(backbone.state_dict()[key], value), key


@pytest.mark.parametrize("long_sides", [(64,), (64, 40)])
def test_tags_are_audited_at_the_sizes_of_the_training(made, tmp_path, long_sides):
    folder = made if len(long_sides) == 1 else make(tmp_path, long_sides=long_sides)
    images, trained = Images(folder / "images.h5"), load_model(folder / "model.pt", "classifier_train")
    files = {"model": folder / "model.pt", "features": None}
    found = predict(Job("classifier_audit_tags", ClassifierAuditTags(size=999), files, {}), images, trained)
    model = load_classifier(trained).eval()
    for i in range(len(images)):
        logits = []
        for long_side in long_sides:
            seen = model.backbone.normalize(view_whole(long_side, 8)(Pictures(images).read(i))[None])
            with torch.no_grad():
                logits.append(model(seen)[0][0])
        np.testing.assert_allclose(found[i], torch.stack(logits).mean(dim=0).sigmoid(), atol=1e-5)
    files["features"] = folder / "features.h5"  # of the training images, in half precision
    cached = predict(Job("classifier_audit_tags", ClassifierAuditTags(), files, {}), images, trained)
    np.testing.assert_allclose(cached, found, atol=0.01)


def test_cues_are_found_in_its_maps(made):
    done = call("classifier.find_peaks", {"kernel": 3, "smoothing": 1}, maps=made / "maps.h5", peaks=made / "peaks.h5")
    assert done.status == 0, done.errors


def test_a_transformer_of_odd_sizes_goes_from_features_to_maps(tmp_path):
    maps = Maps(make(tmp_path, stride=4, **TRANSFORMER) / "maps.h5")
    for i, (height, width) in enumerate(SIZES[:-1]):
        found = maps.read(i)[0]
        assert found.shape[1:] == (-(-height // 4), -(-width // 4)) and ((found >= 0) & (found <= 1)).all()


def test_what_does_not_belong_together_is_refused(copy, tmp_path):
    (outcome,) = [learn(copy, long_sides=[48])]
    assert (
        outcome.status == 2 and "features.h5 was made with long_sides [64], but long_sides is [48]" in outcome.errors[0]
    )
    outcome = learn(copy, frozen=False, long_sides=[480])
    assert outcome.status == 2 and "frozen: true; leave --features out" in outcome.errors[0]
    files = {"images": copy / "images.h5", "model": copy / "other.pt", "metrics": copy / "other"}
    outcome = call("classifier.train", {**FROZEN, "frozen": True}, **files)
    assert outcome.status == 2 and "give --features" in outcome.errors[0]
    outcome = call("classifier.infer", images=copy / "images.h5", model=copy / "model.pt", maps=copy / "maps.h5")
    assert outcome.status == 2 and "from the features of classifier_extract: give --features" in outcome.errors[0]
    assert not (copy / "other.pt").exists()


def test_a_signal_ends_the_fit(copy, monkeypatch):
    (copy / "model.pt").unlink()
    steps, step = [], torch.optim.LBFGS.step

    def signalled(self, closure):
        steps.append(len(steps))
        signal.raise_signal(signal.SIGTERM)  # a second would end the step at once
        return step(self, closure)

    monkeypatch.setattr(torch.optim.LBFGS, "step", signalled)
    monkeypatch.setattr(linear, "AT_ONCE", 1)
    outcome = learn(copy, work=copy / "work", l2_penalty=1e-4)
    assert outcome.status == 143 and len(steps) == 1 and not (copy / "model.pt").exists()


def test_logs_begin_with_the_device(tmp_path, capfd):
    write_pictures(tmp_path / "images.h5")
    torch.save(build_backbone("small", 8).state_dict(), tmp_path / "weights.pth")  # a line on these comes later
    weights = str(tmp_path / "weights.pth")
    works = [(extract, "float32", {"weights": weights}), (learn, "float64", {"weights": weights, "alpha": 0.1})]
    for work, precision, settings in [*works, (infer, "float32", {"flip": False})]:
        assert work(tmp_path, **settings).status == 0
        first, second, *more = [line.partition(" ")[2] for line in capfd.readouterr().err.splitlines()]
        assert first.startswith("classifier_") and second == f"device cpu, 1 threads, precision {precision}" and more


def test_settings_without_effect_are_listed(copy):
    outcome = learn(copy, alpha=0.1, epochs=3, seed=5)
    assert outcome.status == 0
    said = "the classifier is frozen, so these settings have no effect: "
    assert f"{said}alpha, epochs" in outcome.log
    outcome = infer(copy, size=300, scales=[1.0, 2.0], flip=False, stride=8)
    assert outcome.status == 0 and f"{said}size, scales, flip" in outcome.log
    for outcome in (learn(copy), infer(copy)):
        assert outcome.status == 0 and not any("no effect" in line for line in outcome.log)


def test_what_counts_for_a_frozen_classifier_is_said_with_the_setting():
    about = ClassifierTrain.model_fields["frozen"].description
    named = set(re.findall(r"`(\w+)`", about))
    others = [key for key in ClassifierTrain.model_fields if key not in named | {"frozen", "seed"}]
    changed = ClassifierTrain.model_construct(**dict.fromkeys(others, "changed"), frozen=True)
    assert changed.without_effect() == others
    assert named == {"l2_penalty", *ClassifierExtract.model_fields}


@pytest.mark.parametrize("values", [{"l2_penalty": 1.0}, {"long_sides": [320]}])
def test_settings_of_a_frozen_classifier_need_one(values):
    (key,) = values
    with pytest.raises(ValidationError, match=f"only a frozen classifier has {key}; set frozen: true, or leave it out"):
        ClassifierTrain.model_validate(values)
    ClassifierTrain.model_validate({**values, "frozen": True})
    ClassifierTrain.model_validate(ClassifierTrain().model_dump(mode="json"))  # as a step is called


def test_features_of_other_images_are_told(copy):
    assert extract(copy, shard="1/2").status == 0
    for outcome in (learn(copy), infer(copy)):
        assert outcome.status == 2 and "features.h5 does not belong to the training images of" in outcome.errors[0]
    assert extract(copy).status == learn(copy).status == infer(copy).status == 0
    write_pictures(copy / "images.h5", seed=1)  # of the same names, sizes and tags
    for outcome in (learn(copy), infer(copy)):
        assert outcome.status == 2 and "images.h5; delete it and run again." in outcome.errors[0]


def test_features_of_random_weights_may_come_from_several_processors(copy, monkeypatch):
    """These draw other numbers from the same seed; parts of a job are joined, and learned from elsewhere."""
    for k in (1, 2):
        monkeypatch.setattr(
            torch, "manual_seed", lambda seed, k=k: torch.random.default_generator.manual_seed(seed + k)
        )
        assert extract(copy, shard=f"{k}/2").status == 0
        (copy / "features.h5").rename(copy / f"{k}_of_2.h5")
    join_shards([copy / f"{k}_of_2.h5" for k in (1, 2)], copy / "features.h5")
    assert learn(copy).status == infer(copy).status == 0


def test_weights_that_changed_behind_the_features_are_told(tmp_path):
    write_pictures(tmp_path / "images.h5")
    path = tmp_path / "weights.pth"
    torch.manual_seed(1)
    torch.save(build_backbone("small", 8).state_dict(), path)
    assert extract(tmp_path, weights=str(path)).status == 0
    assert learn(tmp_path, weights=str(path)).status == 0
    assert infer(tmp_path, stride=8).status == 0
    torch.manual_seed(2)
    torch.save(build_backbone("small", 8).state_dict(), path)
    outcome = learn(tmp_path, weights=str(path))
    assert outcome.status == 2 and "was made with other weights than" in outcome.errors[0]
    assert extract(tmp_path, weights=str(path)).status == 0
    outcome = infer(tmp_path, stride=8)
    assert outcome.status == 2 and "was made with other weights than" in outcome.errors[0]


def test_features_that_are_no_numbers_leave_no_file(tmp_path):
    write_pictures(tmp_path / "images.h5")
    state = {
        key: value * 1e9 if value.is_floating_point() else value
        for key, value in frozen_backbone(SMALL).state_dict().items()
    }
    torch.save(state, tmp_path / "weights.pth")
    outcome = extract(tmp_path, weights=str(tmp_path / "weights.pth"))
    said = "features of image 'image0' are not finite in float16 with backbone small: choose another classifier_train."
    assert outcome.status == 2 and said in outcome.errors[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.h5", "weights.pth"]
