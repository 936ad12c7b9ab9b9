"""Masks of JSON lists come back as they are, best first."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proposal_sets import boxes_of
from published_proposals import entry, write_json
from region_proposals import random_masks

from wsis_steps.engine.errors import InputError
from wsis_steps.proposals.importers.coco_masks import doubt_masks, find_masks, read_masks
from wsis_steps.proposals.importers.image_names import ImageNames

NAMES = ImageNames(["a", "000000000007"])
SHAPE = (6, 8)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 6), cap=st.integers(0, 4), seed=st.integers(0, 999), data=st.data())
def test_masks_come_back_best_first(tmp_path_factory, count, cap, seed, data):
    shape = data.draw(st.sampled_from([SHAPE, (1, 1), (1, 9), (9, 1)]))
    rng = np.random.default_rng(seed)
    masks, scores = random_masks(count, *shape, seed), rng.integers(0, 4, count) / 4
    rows = [
        entry("a.jpg", mask, score, runs=k % 2 == 0) for k, (mask, score) in enumerate(zip(masks, scores, strict=True))
    ]
    rows = [
        *rows,
        entry("a", np.zeros(shape, np.uint8), 9),
        entry("other", masks[:1].any(0) + np.ones(shape, np.uint8), 1),
    ]
    path = write_json(tmp_path_factory.mktemp("coco") / "masks.json", rows)
    found = read_masks(find_masks(path, NAMES)["a"], *shape, cap)
    order = sorted(range(count), key=lambda k: (-scores[k], k))[: cap or None]
    np.testing.assert_array_equal(found.masks(slice(None)), masks[order])
    np.testing.assert_array_equal(found.scores, scores[order].astype(np.float32))
    np.testing.assert_array_equal(found.boxes, boxes_of(masks[order]))
    assert (found.height, found.width) == shape and found.boxes.dtype == found.scores.dtype == np.float32


def test_entries_are_of_the_image_that_their_name_or_number_says(tmp_path):
    mask = random_masks(1, *SHAPE, 0)[0]
    numbered = {**entry(99, mask, 0.5), "file_name": "a.png"}  # the number is another data set's
    write_json(tmp_path / "one.json", [entry(7, mask, 0.1), numbered, entry(8, mask, 1.0)])
    write_json(
        tmp_path / "more/two.json", [entry("a", mask, 0.2), {**entry("x", mask, 0.3), "image_id": "000000000007"}]
    )
    found = find_masks(tmp_path, NAMES)
    assert {name: sorted(one.score for one in rows) for name, rows in found.items()} == {
        "a": [0.2, 0.5],
        "000000000007": [0.1, 0.3],
    }


MASK = random_masks(1, *SHAPE, 0)[0]
PLAIN = entry("a", MASK, 0.5)


def test_boxes_are_the_masks_own_whatever_is_said(tmp_path):
    path = write_json(tmp_path / "m.json", [{**PLAIN, "bbox": [-0.4, 0, 8.9, 6]}, {**PLAIN, "bbox": None}])
    found = read_masks(find_masks(path, NAMES)["a"], *SHAPE, 0)
    np.testing.assert_array_equal(found.boxes, boxes_of(np.stack([MASK, MASK])))


def without(key: str) -> dict:
    return {name: value for name, value in PLAIN.items() if name != key}


WRONG = {
    "no list": ({"annotations": []}, "does not hold a list of masks"),
    "a number in place of an entry": ([PLAIN, 7], "entry 2 is not a mask"),
    "no image": ([without("file_name")], "entry 1 needs an 'image_id' or a 'file_name'"),
    "an image that is no name": ([{**PLAIN, "image_id": [1]}], "entry 1 needs an 'image_id'"),
    "an image that is true": ([{**without("file_name"), "image_id": True}], "entry 1 needs an 'image_id'"),
    "no mask": ([PLAIN, without("segmentation")], "entry 2 has no 'segmentation'"),
    "no score": ([without("score")], "entry 1 needs a number as its 'score'"),
    "a score that is a word": ([{**PLAIN, "score": "0.5"}], "entry 1 needs a number as its 'score'"),
    "a score that is NaN": ([{**PLAIN, "score": float("nan")}], "entry 1 needs a number as its 'score'"),
    "a score beyond all floats": ([{**PLAIN, "score": 10**400}], "entry 1 needs a number as its 'score'"),
    "a mask of another size": (
        [entry("a", MASK.T, 1)],
        "entry 1 is not a mask of its image, which is 8x6: .* 6x8",
    ),
    "a mask that is cut": (
        [{**PLAIN, "segmentation": {"size": [6, 8], "counts": "12"}}],
        "entry 1 is not a mask .* do not fit",
    ),
    "a box that is none": ([{**PLAIN, "bbox": [1, 2, 3]}], "entry 1 has a 'bbox' that is not four numbers"),
    "a box outside": ([PLAIN, {**PLAIN, "bbox": [0, 0, 30, 2]}], r"entry 2: its 'bbox' \[0, 0, 30, 2\] lies outside"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_mask_is_refused(tmp_path, case):
    content, words = WRONG[case]
    path = write_json(tmp_path / "masks.json", content)
    with pytest.raises(InputError, match=rf"masks\.json.*{words}"):
        read_masks(find_masks(path, NAMES)["a"], *SHAPE, 0)


@pytest.mark.parametrize("text", ["[", "", "[" * 100_000, "\xff", json.dumps([PLAIN])[:-3]])
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "m.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"m\.json is not a JSON file") as caught:
        find_masks(tmp_path / "m.json", NAMES)
    assert "\n" not in str(caught.value)


def test_unknown_lists_are_refused_or_ignored_as_told(tmp_path):
    path = write_json(tmp_path / "m.json", [{**PLAIN, "point_coords": [[1, 2]], "area": 3, "scores": [0.1, 0.2]}])
    with pytest.raises(InputError, match="entry 1 has an unknown list 'scores'"):
        find_masks(path, NAMES)
    assert len(find_masks(path, NAMES, ["scores"])["a"]) == 1


def boxed(tmp_path, masks, boxes):
    """Entries of image a with a `bbox`, and the size of the image."""
    rows = [entry("a", mask, 0.5, bbox=box) for mask, box in zip(masks, boxes, strict=True)]
    return find_masks(write_json(tmp_path / "m.json", rows), NAMES), {"a": masks[0].shape}


def test_masks_whose_runs_go_along_rows_are_told_by_their_boxes(tmp_path):
    masks = np.zeros((3, 9, 9), np.uint8)
    masks[0, :2, 3:9] = masks[1, 5:9, 1:3] = masks[2, 4:7, :] = 1
    boxes = [[3, 0, 6, 2], [1, 5, 2, 4], [0, 4, 9, 3]]
    corners = [[x, y, x + w, y + h] for x, y, w, h in boxes]
    for said in (boxes, corners, [None] * 3):
        assert doubt_masks(*boxed(tmp_path, masks, said))[1] == []
    with pytest.raises(InputError, match=r"m\.json: entry 1: its 'bbox' shows that its runs are counted along rows"):
        doubt_masks(*boxed(tmp_path, masks.transpose(0, 2, 1), boxes))
    doubts = doubt_masks(*boxed(tmp_path, masks, [boxes[0], [7, 0, 2, 2], [0, 8, 9, 1]]))[1]
    assert len(doubts) == 1 and "67% of the checked masks do not match their 'bbox'" in doubts[0]
