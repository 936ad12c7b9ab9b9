"""The steps and `wsis predict` with a region classifier, on squares of two classes."""

import json

import cv2
import numpy as np
import pytest
import torch
from artifacts import SIZE, square_mask, write_images, write_labels
from calls import call
from frozen import FROZEN
from proposal_sets import square_boxes, square_regions, write_proposals

from wsis_steps.__main__ import main
from wsis_steps.vision.backbones import build_backbone
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.masks import decode
from wsis_steps.vision.models import load_any_model
from wsis_steps.vision.regions import RegionProposals


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    write_images(folder / "images.h5")
    write_labels(folder / "labels.h5")
    square_regions(folder / "proposals.h5")
    extracted = call("classifier.extract", FROZEN, images=folder / "images.h5", features=folder / "features.h5")
    assert extracted.status == 0, extracted.errors
    return folder


def train(folder, model="model.pt", proposals="proposals.h5", **settings):
    names = ("images", "features", "labels")
    files = {name: folder / f"{name}.h5" for name in names} | {"proposals": folder / proposals}
    return call("region_classifier.train", settings, **files, model=folder / model)


def infer(folder, shard="1/1", predictions="val.h5", **settings):
    files = {"images": folder / "images.h5", "model": folder / "model.pt", "proposals": folder / "proposals.h5"}
    return call("region_classifier.infer", settings, **files, predictions=folder / predictions, shard=shard)


@pytest.fixture(scope="module")
def predicted(made):
    done = [train(made, l2_penalty=1e-4), infer(made)]
    assert [outcome.status for outcome in done] == [0, 0], [outcome.errors for outcome in done]
    return made


def test_evaluation_images_get_regions_with_probabilities(predicted):
    images, found = Images(predicted / "images.h5"), Instances(predicted / "val.h5")
    assert list(found.ids) == [images.ids[i] for i in images.members("val")]
    assert found.class_names == images.class_names and sum(map(len, found))
    for image in found:
        assert (np.diff(image.scores) <= 0).all() and (image.scores >= 0.01).all()


def test_training_is_repeatable_and_its_file_says_how_features_were_made(predicted):
    assert train(predicted, "again.pt", l2_penalty=1e-4).status == 0
    first, second = (load_any_model(predicted / name)[0] for name in ("model.pt", "again.pt"))
    assert all((first.state[name] == second.state[name]).all() for name in first.state)
    assert first.settings["extraction"]["long_sides"] == FROZEN["long_sides"]


def test_it_finds_the_squares_of_images_that_it_has_not_seen(predicted):
    found = Instances(predicted / "val.h5")
    for identity, image in zip(found.ids, found, strict=True):
        (best,) = decode(image.at(np.array([0])).rles, SIZE, SIZE)
        square = square_mask(int(identity.removeprefix("image")))
        assert (best & square).sum() > 0.5 * (best | square).sum()


def test_shards_join_to_the_same_predictions(predicted):
    for k in (1, 2):
        assert infer(predicted, f"{k}/2", f"part{k}.h5").status == 0
    join_shards([predicted / f"part{k}.h5" for k in (1, 2)], predicted / "joined.h5")
    whole, joined = Instances(predicted / "val.h5"), Instances(predicted / "joined.h5")
    assert list(joined.ids) == list(whole.ids)
    assert [image.rles for image in joined] == [image.rles for image in whole]


def test_proposals_that_are_boxes_are_refused(made):
    square_boxes(made / "boxes.h5")
    refused = train(made, "no.pt", "boxes.h5")
    assert refused.status == 2 and "needs regions" in refused.errors[0] and not (made / "no.pt").exists()


def test_weights_that_changed_behind_the_features_are_told(made, tmp_path):
    for name in ("images.h5", "labels.h5", "proposals.h5"):
        (tmp_path / name).symlink_to(made / name)
    files = {"images": tmp_path / "images.h5", "features": tmp_path / "features.h5"}
    torch.manual_seed(1)
    torch.save(build_backbone("small", 8).state_dict(), tmp_path / "weights.pth")
    assert call("classifier.extract", {**FROZEN, "weights": str(tmp_path / "weights.pth")}, **files).status == 0
    torch.manual_seed(2)
    torch.save(build_backbone("small", 8).state_dict(), tmp_path / "weights.pth")
    refused = train(tmp_path)
    assert refused.status == 2 and "was made with other weights than" in refused.errors[0]


def test_labels_on_no_region_are_refused(made, tmp_path):
    for name in ("images.h5", "features.h5", "labels.h5"):
        (tmp_path / name).symlink_to(made / name)
    regions = {}
    for identity in Instances(made / "labels.h5").ids:
        only = RegionProposals(
            np.float32([[0, 0, 2, 2]]), np.ones(1, np.float32),
            np.pad(np.zeros((2, 2), np.int32), (0, SIZE - 2), constant_values=1), np.array([[True, False]]),
        )  # fmt: skip
        regions[identity] = only, SIZE, SIZE
    write_proposals(tmp_path / "proposals.h5", "regions", regions)
    refused = train(tmp_path)
    assert refused.status == 2 and "no region is on a label" in refused.errors[0]


def test_new_images_need_proposals_that_can_be_made(predicted, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    words = ["predict", str(tmp_path / "a.png"), "--model", str(predicted / "model.pt"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and not (tmp_path / "out/instances.json").exists()


def test_new_images_are_predicted(predicted, tmp_path):
    grouped = {"images": predicted / "images.h5", "proposals": predicted / "grouped.h5"}
    assert call("proposals.group_regions", {"mode": "fast", "count": 50}, **grouped).status == 0
    assert train(predicted, "grouped.pt", "grouped.h5").status == 0
    picture = np.random.default_rng(0).integers(0, 256, (60, 40, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    words = ["predict", str(tmp_path / "a.png"), "--model", str(predicted / "grouped.pt"), "--score", "0.01"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--out", str(tmp_path / "out")])
    assert ended.value.code == 0
    found = json.loads((tmp_path / "out/instances.json").read_text())
    assert found["annotations"] and all(one["score"] >= 0.01 for one in found["annotations"])
    with pytest.raises(SystemExit) as ended:
        main([*words, "--short_side", "32", "--out", str(tmp_path / "other")])
    assert ended.value.code == 2
