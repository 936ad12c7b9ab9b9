"""The images to look at next: least sure labels, and those that changed since the round before."""

import json

import numpy as np
import pytest
from artifacts import SIZE, nothing, provenance, square_mask, write_images

from wsis_steps.__main__ import main
from wsis_steps.report.next_images import doubts, next_html, round_before
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.masks import describe, encode

TRAIN = 4


def instance(mask, score=1.0, category=0):
    return describe(encode(mask[None]), np.array([category]), scores=np.array([score]))


@pytest.fixture
def rounds(tmp_path):
    """images.h5 and two rounds: image 0 stays, 1 has a low score, 2 lost its instance, a third of 3's is the same."""
    (tmp_path / "shared/data").mkdir(parents=True)
    (tmp_path / "one/labels").mkdir(parents=True)
    write_images(tmp_path / "shared/data/images.h5", train=TRAIN, val=2)
    whole, third = np.zeros((2, SIZE, SIZE), bool)
    whole[4:16, 4:16] = third[4:8, 4:16] = True
    same = instance(square_mask(1))
    content = {
        "round00": [same, instance(whole), same, instance(whole)],
        "round01": [same, instance(whole, 0.6), nothing(), instance(third)],
    }
    ids = [f"image{k}" for k in range(TRAIN)]
    for name, found in content.items():
        write_instances(tmp_path / f"one/labels/{name}.h5", provenance(), ids, [SIZE] * TRAIN, [SIZE] * TRAIN, found)
    return tmp_path


def test_what_changed_or_is_unsure_comes_first(rounds):
    images = Images(rounds / "shared/data/images.h5")
    before, labels = (Instances(rounds / f"one/labels/round0{k}.h5") for k in range(2))
    found = doubts(labels, before, images)
    assert [doubt.place for doubt in found] == [2, 3, 1, 0]
    assert [doubt.value for doubt in found] == pytest.approx([1, 2 / 3, 0.4, 0])
    assert [doubt.why for doubt in found] == [
        "tagged, but no instance", "overlap with the round before 33 %", "mean score 0.60",
        "overlap with the round before 100 %",
    ]  # fmt: skip
    alone = doubts(before, None, images)
    assert [(doubt.place, doubt.value) for doubt in alone] == [(k, 0) for k in range(TRAIN)]


def test_the_round_before_is_found_by_its_name(rounds):
    folder = rounds / "one/labels"
    assert round_before(folder / "round01.h5") == folder / "round00.h5"
    assert round_before(folder / "round00.h5") is None and round_before(folder / "round03.h5") is None
    assert round_before(folder / "round01_corrected.h5") is None


def test_the_section_lists_the_last_labels_of_each_run_once(rounds):
    images = Images(rounds / "shared/data/images.h5")
    paths = [rounds / f"one/labels/round0{k}.h5" for k in range(2)]
    made = [(run, f"labels/round0{k}", path) for run in ("one", "same") for k, path in enumerate(paths)]
    text = next_html(made, {path: Instances(path) for path in paths}, images)
    places = [text.index(f"<td>image{k}</td>") for k in (2, 3, 1, 0)]
    assert places == sorted(places) and text.count("<td>one</td>") == TRAIN and "<td>same</td>" not in text
    assert next_html([], {}, images) == ""


def test_corrected_labels_are_no_longer_doubtful(rounds):
    images = Images(rounds / "shared/data/images.h5")
    paths = {name: rounds / f"one/labels/{name}.h5" for name in ("round00", "round00_corrected")}
    sure = [instance(square_mask(1))] * TRAIN
    ids = [f"image{k}" for k in range(TRAIN)]
    write_instances(paths["round00_corrected"], provenance(), ids, [SIZE] * TRAIN, [SIZE] * TRAIN, sure)
    unsure = [instance(square_mask(1), 0.2)] * TRAIN
    write_instances(paths["round00"], provenance(), ids, [SIZE] * TRAIN, [SIZE] * TRAIN, unsure)
    made = [("one", f"labels/{name}", path) for name, path in paths.items()]
    text = next_html(made, {path: Instances(path) for path in paths.values()}, images)
    assert "0.80" not in text and text.count("0.00") == TRAIN


@pytest.mark.parametrize("order", ["file", "doubtful"])
def test_exports_have_this_order_on_request(rounds, order):
    out = rounds / "out"
    words = ["export", rounds / "one/labels/round01.h5", "--format", "label_studio", "--out", out, "--order", order]
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    assert ended.value.code == 0
    tasks = json.loads((out / "label_studio_train.json").read_text())
    names = [task["data"]["image"].rsplit("/", 1)[1].split(".")[0] for task in tasks]
    assert names == [f"image{k}" for k in ((2, 3, 1, 0) if order == "doubtful" else range(TRAIN))]
    results = [len(task["predictions"][0]["result"]) for task in tasks]
    assert results == [int(name != "image2") for name in names]
