"""The COCO importer against pycocotools' own reader, and what it says of bad files."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO

from wsis_steps.data.coco import find_coco, middle_pixel, read_coco
from wsis_steps.data.records import middle_points
from wsis_steps.engine.errors import InputError
from wsis_steps.vision.masks import run_bounds

HEIGHT, WIDTH = 40, 60


def _polygon(rng, corners=9):
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(4, 18) * rng.uniform(0.5, 1, corners)
    center = rng.uniform([5, 5], [WIDTH - 5, HEIGHT - 5])
    xy = center + radius[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    return np.clip(xy, 0, [WIDTH, HEIGHT]).round(2)


def _annotation(rng, number, image, kind):
    """One annotation, its mask as polygons of one or two parts, uncompressed runs or a compressed string."""
    parts = [_polygon(rng) for _ in range(1 if kind == "polygon" else 2)]
    corners = np.concatenate(parts)
    low, high = corners.min(axis=0), corners.max(axis=0)
    segmentation = [part.ravel().tolist() for part in parts]
    rle = rle_codec.merge(rle_codec.frPyObjects(segmentation, HEIGHT, WIDTH))
    if kind == "runs":
        flat = np.concatenate([[0], rle_codec.decode(rle).ravel(order="F"), [2]])
        changes = np.flatnonzero(np.diff(flat))
        counts = np.diff(np.concatenate([[0], changes])).tolist()
        segmentation = {"size": [HEIGHT, WIDTH], "counts": counts}
    elif kind == "string":
        segmentation = {"size": [HEIGHT, WIDTH], "counts": rle["counts"].decode()}
    return {
        "id": number,
        "image_id": image,
        "category_id": int(rng.choice([3, 7, 90])),
        "iscrowd": int(kind == "runs"),
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "segmentation": segmentation,
        "area": float(rle_codec.area(rle)),
    }


def _content(images=4, seed=0, first=1):
    rng = np.random.default_rng(seed)
    rows, annotations = [], []
    for image in range(first, first + images):
        rows.append({"id": image, "file_name": f"{image:012d}.jpg", "height": HEIGHT, "width": WIDTH})
        for kind in ("polygon", "parts", "runs", "string") if image > first else ():  # the first one is empty
            annotations.append(_annotation(rng, len(annotations) + 1, image, kind))
    # Neither in the order of the ids nor numbered without gaps, as in COCO.
    categories = [{"id": 90, "name": "toothbrush"}, {"id": 3, "name": "car"}, {"id": 7, "name": "train"}]
    return {"images": rows, "annotations": annotations, "categories": categories}


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "annotations").mkdir()
    for split, images, first in (("train", 4, 1), ("val", 2, 100)):
        (tmp_path / f"{split}2017").mkdir()
        content = _content(images, first, first)
        for row in content["images"]:
            Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"{split}2017" / row["file_name"])
        (tmp_path / f"annotations/instances_{split}2017.json").write_text(json.dumps(content))
    return tmp_path


def _change(tree, change):
    path = tree / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_masks_tags_boxes_and_points_agree_with_pycocotools(tree):
    data = read_coco(find_coco(tree))
    assert data.class_names == ["car", "train", "toothbrush"]
    assert [r.split for r in data.records] == ["train"] * 4 + ["val"] * 2
    numbers = {3: 0, 7: 1, 90: 2}
    for split in ("train", "val"):
        oracle = COCO(tree / f"annotations/instances_{split}2017.json")
        for record in (r for r in data.records if r.split == split):
            rows = oracle.loadAnns(oracle.getAnnIds(int(record.id)))
            assert record.path.name == oracle.loadImgs(int(record.id))[0]["file_name"]
            truth = data.truth(record)
            assert truth.categories.tolist() == [numbers[row["category_id"]] for row in rows]
            assert truth.crowd.tolist() == [bool(row["iscrowd"]) for row in rows]
            masks = [oracle.annToMask(row) for row in rows]
            for found, mask in zip(truth.masks, masks, strict=True):
                assert isinstance(found["counts"], bytes)
                np.testing.assert_array_equal(rle_codec.decode(found), mask)
            single = [k for k, row in enumerate(rows) if not row["iscrowd"]]
            assert record.tags == tuple(sorted({int(truth.categories[k]) for k in single}))
            boxes = [[*b[:2], b[0] + b[2], b[1] + b[3]] for b in (rows[k]["bbox"] for k in single)]
            np.testing.assert_allclose(record.boxes[:, :4], np.reshape(boxes, (-1, 4)), atol=1e-4)
            np.testing.assert_array_equal(record.boxes[:, 4], truth.categories[single])
            points = [middle_points(masks[k], np.array([1]))[0] for k in single]
            np.testing.assert_array_equal(record.points[:, :2], np.reshape(points, (-1, 2)))
    assert data.counts == {"annotations": 16, "crowds": 4, "annotations_without_area": 0, "images_without_tags": 2}


def test_a_category_seen_only_as_a_crowd_is_a_tag_on_request(tree):
    def only_crowd(content):
        content["annotations"] = [a for a in content["annotations"] if a["iscrowd"] and a["image_id"] == 2]

    _change(tree, only_crowd)
    by_default, with_crowds = (read_coco(find_coco(tree), crowd_tags=c).records[1] for c in (False, True))
    assert by_default.tags == ()
    assert len(with_crowds.tags) == 1
    assert len(with_crowds.boxes) == len(with_crowds.points) == 0


def test_truth_pickles_and_is_none_outside_its_splits(tree):
    data = read_coco(find_coco(tree), truth=("val",))
    truth = pickle.loads(pickle.dumps(data.truth))
    assert [truth(r) is None for r in data.records] == [True] * 4 + [False] * 2
    assert [len(truth(r).masks) for r in data.records[4:]] == [0, 4]


def test_annotations_without_area_are_counted_and_left_out(tree):
    def flatten(content):
        content["annotations"][0]["segmentation"] = [[5, 5, 9, 5, 7, 5], [1, 2]]

    _change(tree, flatten)
    data = read_coco(find_coco(tree))
    assert data.counts["annotations_without_area"] == 1
    assert len(data.truth(data.records[1]).masks) == 3


def test_pictures_in_subfolders_and_without_a_year(tree):
    (tree / "train2017").rename(tree / "train")
    (tree / "annotations/instances_train2017.json").rename(tree / "annotations/instances_train.json")
    (tree / "train/a").mkdir()
    (tree / "train/000000000001.jpg").rename(tree / "train/a/1.jpg")
    path = tree / "annotations/instances_train.json"
    path.write_text(path.read_text().replace("000000000001.jpg", "a/1.jpg"))
    splits = find_coco(tree)
    assert list(splits) == ["train"]
    assert read_coco(splits).records[0].id == "a_1"


@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1)))
@settings(max_examples=200, deadline=None)
def test_runs_and_middle_pixels_are_those_of_the_decoded_mask(mask):
    rle = rle_codec.encode(np.asfortranarray(mask))
    starts, ends = run_bounds(rle)
    flat = np.zeros(mask.size, np.uint8)
    for a, b in zip(starts, ends, strict=True):
        flat[a:b] = 1
    np.testing.assert_array_equal(flat.reshape(mask.shape, order="F"), mask)
    if mask.any():
        assert middle_pixel(starts, ends, len(mask)) == tuple(middle_points(mask, np.array([1]))[0])


def test_long_runs_need_several_digits():
    mask = np.zeros((700, 900), np.uint8)
    mask[:, 400:401], mask[3, 800] = 1, 1
    starts, ends = run_bounds(rle_codec.encode(np.asfortranarray(mask)))
    assert starts.tolist() == [400 * 700, 800 * 700 + 3]
    assert (ends - starts).tolist() == [700, 1]


def _set(table, row, **values):
    return lambda content: content[table][row].update(values)


def _drop(table, row, key):
    return lambda content: content[table][row].pop(key)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("annotations", 0, category_id=4), ["annotation 1", "category 4"]),
        (_set("annotations", 0, image_id=77), ["annotation 1", "image 77"]),
        (_set("annotations", 0, bbox=[1, 2]), ["annotation", "'bbox' of four numbers"]),
        (_drop("annotations", 0, "segmentation"), ["annotation", "'segmentation'"]),
        (_set("annotations", 0, segmentation={"size": [60, 40], "counts": [2400]}), ["annotation 1", "40x60", "60x40"]),
        (_set("annotations", 0, segmentation={"size": [40, 60], "counts": [7]}), ["annotation 1", "cover 7 pixels"]),
        (
            _set("annotations", 0, segmentation={"size": [40, 60], "counts": "\x01?"}),
            ["annotation 1", "not a compressed"],
        ),
        (_set("annotations", 0, segmentation={"size": [40, 60], "counts": "0ooo0"}), ["annotation 1", "do not fit"]),
        (_set("annotations", 0, segmentation=[["x"] * 6]), ["annotation 1", "no valid segmentation"]),
        (_set("annotations", 0, segmentation=5), ["annotation 1", "no valid segmentation"]),
        (_set("images", 1, file_name="no.jpg"), ["'no.jpg' is not in", "train2017"]),
        (_set("images", 0, id=2), ["image id 2", "000000000001.jpg"]),
        (_drop("images", 0, "height"), ["an image needs", "000000000001.jpg"]),
        (_set("categories", 0, id=3), ["share an id"]),
        (_drop("categories", 0, "name"), ["'name'"]),
        (_set("categories", 0, name="brush"), ["val2017.json has other categories"]),
        (lambda content: content.pop("categories"), ["has no 'categories'"]),
        (lambda content: content.update(images=[], annotations=[]), ["lists no image"]),
    ],
)
def test_one_bad_input_is_one_sentence_that_names_it(tree, change, words):
    _change(tree, change)
    with pytest.raises(InputError) as caught:
        read_coco(find_coco(tree))
    assert "\n" not in str(caught.value)
    for word in ["2017.json", *words]:
        assert word in str(caught.value)


def test_an_image_in_both_splits_and_other_files_are_told_together(tree):
    _change(tree, _set("images", 0, file_name="000000000100.jpg"))
    _change(tree, _set("images", 1, file_name="no.jpg"))
    with pytest.raises(InputError) as caught:
        read_coco(find_coco(tree))
    text = str(caught.value)
    assert "3 problems" in text
    assert "000000000100" in text
    assert "id '000000000100' is also that of" in text


def test_a_picture_of_another_size_is_told_when_its_truth_is_read(tree):
    data = read_coco(find_coco(tree))
    Image.new("RGB", (WIDTH, HEIGHT + 1)).save(data.records[0].path)
    with pytest.raises(InputError, match="is 60x41 but its annotations say 60x40"):
        data.truth(data.records[0])


def test_an_absent_or_broken_file_is_one_sentence(tree, tmp_path_factory):
    with pytest.raises(InputError, match=r"train2017\.zip \(19\.3 GB\)"):
        find_coco(tmp_path_factory.mktemp("empty"))
    splits = find_coco(tree)
    splits["train"][0].write_text("{")
    with pytest.raises(InputError, match=r"instances_train2017\.json is not a JSON file"):
        read_coco(splits)
    splits["train"][0].write_text("[]")
    with pytest.raises(InputError, match="no COCO instance file"):
        read_coco(splits)
