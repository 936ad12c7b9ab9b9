"""The COCO reader against pycocotools' own, what it says of bad files, the layouts, and the writer."""

import json
import pickle

import cv2
import numpy as np
import pytest
from authors import Mark, Picture
from authors.coco import write
from imports import imported
from middle_points import middle_points
from mutations import JUNK, damaged
from PIL import Image
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.coco import looks_like, read
from wsis_steps.formats.coco_writer import write_coco
from wsis_steps.formats.labelled import LabelledImage, Labels
from wsis_steps.formats.notes import SHAPE_REASONS
from wsis_steps.vision.masks import decode, describe, encode

HEIGHT, WIDTH = 40, 60
BOTH = ("train", "val")


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


def _save(path, size=(WIDTH, HEIGHT)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "annotations").mkdir()
    for split, images, first in (("train", 4, 1), ("val", 2, 100)):
        content = _content(images, first, first)
        for row in content["images"]:
            _save(tmp_path / f"{split}2017" / row["file_name"])
        (tmp_path / f"annotations/instances_{split}2017.json").write_text(json.dumps(content))
    return tmp_path


def _change(tree, change, split="train"):
    path = tree / f"annotations/instances_{split}2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _said(root, annotations=None, **settings):
    with pytest.raises(InputError) as caught:
        imported(read, root, annotations, **settings)
    return caught.value


def test_masks_tags_boxes_and_points_agree_with_pycocotools(tree):
    data = imported(read, tree, truth=BOTH)
    assert data.class_names == ["car", "train", "toothbrush"]
    assert [r.split for r in data.records] == ["train"] * 4 + ["val"] * 2
    numbers = {3: 0, 7: 1, 90: 2}
    for split in BOTH:
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
    counts = {"shapes": 16, "masks": 12, "crowds": 4, "images_without_tags": 2, "images_with_crowds_only": 0}
    assert counts.items() <= data.counts.items()
    assert not data.left_out
    assert [doubt.partition(" (")[0] for doubt in data.doubts] == [
        "Classes that a picture has only as a region of several objects"
    ]


def test_ids_are_the_names_of_coco_2017(tree):
    data = imported(read, tree)
    assert [record.id for record in data.records] == [f"{n:012d}" for n in (1, 2, 3, 4, 100, 101)]


def test_a_category_seen_only_as_a_crowd_is_no_tag(tree):
    def only_crowd(content):
        content["annotations"] = [a for a in content["annotations"] if a["iscrowd"] and a["image_id"] == 2]

    _change(tree, only_crowd)
    data = imported(read, tree)
    record = data.records[1]
    assert record.tags == () and len(record.boxes) == len(record.points) == 0
    assert data.counts["images_with_crowds_only"] == 1
    [doubt] = data.doubts
    assert "Classes that a picture has only as a region of several" in doubt and "box: 1 (" in doubt
    assert "000000000002.jpg" in doubt and "`data_import_dataset.crowds: objects`" in doubt


def test_brush_masks_of_cvat_beside_polygons_are_doubted_or_objects(tmp_path):
    leaf, stem = Mark("polygon", "leaf", [(10, 10), (40, 10), (40, 40), (10, 40)]), np.zeros((80, 120), np.uint8)
    stem[50:70, 60:90] = 1
    write(tmp_path, [Picture("a.jpg", (leaf, Mark("mask", "stem", stem))), Picture("b.jpg", (leaf,))])
    content = json.loads((tmp_path / "coco.json").read_text())
    for row in content["annotations"]:
        row["iscrowd"] = int(isinstance(row["segmentation"], dict))
    (tmp_path / "coco.json").write_text(json.dumps(content))
    data = imported(read, tmp_path, truth=BOTH)
    [doubt] = data.doubts
    assert "a.jpg': annotation 2, 'stem')" in doubt and "`data_import_dataset.crowds: objects`" in doubt
    data = imported(read, tmp_path, truth=BOTH, crowds="objects")
    record = next(record for record in data.records if record.path.name == "a.jpg")
    assert not data.doubts and record.tags == (0, 1) and len(record.points) == len(record.boxes) == 2
    assert data.truth(record).crowd.tolist() == [False, False] and data.counts["crowds"] == 0


def test_a_turned_box_of_cvat_is_the_turned_rectangle(tmp_path):
    write(tmp_path, [Picture("a.jpg", (Mark("box", "leaf", (30, 30, 90, 50)),))])
    change(tmp_path / "coco.json", lambda rows: rows[0].update(attributes={"occluded": False, "rotation": 30.0}))
    data = imported(read, tmp_path, truth=BOTH)
    corners = cv2.boxPoints(((60, 40), (60, 20), 30))  # OpenCV turns clockwise, too
    wanted = cv2.fillPoly(np.zeros((80, 120), np.uint8), [np.rint(corners).astype(np.int32)], 1)
    found = decode(data.truth(data.records[0]).masks, 80, 120)[0]
    assert (found & wanted).sum() > 0.9 * (found | wanted).sum()
    change(tmp_path / "coco.json", lambda rows: rows[0].update(attributes={"rotation": "x"}))
    with pytest.raises(InputError, match="annotation 1: its 'rotation': 'x' is no number"):
        imported(read, tmp_path)


def test_keypoints_of_objects_are_counted(tmp_path):
    write(tmp_path, [Picture("a.jpg", (Mark("box", "leaf", (30, 30, 90, 50)),))])
    keypoints = {"keypoints": [35, 35, 2, 0, 0, 0, 60, 40, 1], "num_keypoints": 2}
    change(tmp_path / "coco.json", lambda rows: rows[0].update(keypoints))
    data = imported(read, tmp_path)
    assert data.left_out == {"keypoints_of_objects": 2} and data.counts["shapes"] == 1
    assert "Left out: keypoints of objects: 2 (the first: " in data.omissions[0]


def test_what_is_marked_to_be_ignored_are_pixels_that_do_not_count(tmp_path):
    marks = (Mark("box", "leaf", (10, 10, 40, 40)), Mark("box", "leaf", (50, 20, 80, 70)))
    write(tmp_path, [Picture("a.jpg", marks), Picture("b.jpg", marks[:1])])
    change(tmp_path / "coco.json", lambda rows: rows[0].update(ignore=1))
    data = imported(read, tmp_path, truth=BOTH, without_mask="leave_out")
    record = next(record for record in data.records if record.path.name == "a.jpg")
    assert record.boxes[:, :4].tolist() == [[50, 20, 80, 70]] and data.counts["shapes"] == 3
    assert decode([data.truth(record).ignore], 80, 120).sum() == 900
    change(tmp_path / "coco.json", lambda rows: rows[0].update(ignore="maybe"))
    assert "annotation 1: its 'ignore' is 'maybe', neither 0 nor 1" in str(_said(tmp_path))


@pytest.mark.parametrize(
    ("last", "doubted"),
    [
        ({}, True),
        ({"area": 24 * 30}, False),  # of the box as it is read
        ({"bbox": [30, 10, 24, 30]}, False),  # no corners
        ({"bbox": [20, 10, 100, 30]}, False),  # ends on the side
        ({"bbox": [20, 10, 24, 30], "segmentation": [[20, 10, 44, 10, 44, 40, 20, 40]]}, False),
    ],
)
def test_boxes_that_may_be_two_corners_throughout_are_doubted(last, doubted, tmp_path):
    write(tmp_path, [Picture("a.jpg", (Mark("box", "leaf", (10, 10, 40, 40)),) * 4)])

    def as_corners(rows):
        for row, box in zip(rows, ([5, 8, 50, 40], [10, 8, 30, 35], [20, 10, 24, 30], [2, 3, 40, 50]), strict=True):
            row.update(bbox=box, area=0)
        rows[2].update(last)

    change(tmp_path / "coco.json", as_corners)
    doubts = imported(read, tmp_path).doubts
    assert any("may just as well be two corners" in doubt for doubt in doubts) == doubted


def change(file, work):
    """Changes the annotations of a file."""
    content = json.loads(file.read_text())
    work(content["annotations"])
    file.write_text(json.dumps(content))


def test_truth_pickles_and_is_none_outside_its_splits(tree):
    data = imported(read, tree, truth=("val",))
    truth = pickle.loads(pickle.dumps(data.truth))
    assert [truth(r) is None for r in data.records] == [True] * 4 + [False] * 2
    assert [len(truth(r).masks) for r in data.records[4:]] == [0, 4]


def test_annotations_without_area_are_counted_and_left_out(tree):
    def flatten(content):
        content["annotations"][0].update(segmentation=[[5, 5, 9, 5, 7, 5]], bbox=[5, 5, 4, 0])

    _change(tree, flatten)
    data = imported(read, tree, truth=BOTH)  # COCO itself has such slivers, which are no objects that lack a mask
    assert data.left_out == {"shapes_without_area": 1}
    assert len(data.truth(data.records[1]).masks) == 3


def test_boxes_in_shares_beside_masks_are_refused(tree):
    def share(content):
        for row in content["annotations"]:
            row["bbox"] = [0.1, 0.2, 0.3, 0.4]

    _change(tree, share)
    assert "Shapes that lie in the first pixel" in str(_said(tree))


def test_a_part_of_a_mask_that_is_none_is_not_dropped_without_a_word(tree):
    _change(tree, lambda content: content["annotations"][0]["segmentation"].append([1, "a"]))
    assert "annotation 1: 'a' is no number" in str(_said(tree))
    _change(tree, lambda content: content["annotations"][0]["segmentation"].pop())
    _change(tree, lambda content: content["annotations"][0]["segmentation"].append([1, 2]))
    assert "Masks with parts of fewer than three corners: 1 (the first: " in imported(read, tree).doubts[0]


def test_a_polygon_of_two_corners_leaves_its_box_where_that_is_good(tmp_path):
    corners = [(10, 10), (40, 40)]
    write(tmp_path, [Picture("a.jpg", (Mark("polygon", "leaf", corners), Mark("box", "leaf", (50, 20, 80, 70))))])
    record, data = (found := imported(read, tmp_path)).records[0], found
    np.testing.assert_allclose(record.boxes[:, :4], [(10, 10, 40, 40), (50, 20, 80, 70)])
    assert "Polygons with fewer than three corners: 1 (the first: " in data.doubts[0] and not data.left_out
    change(tmp_path / "coco.json", lambda rows: rows[0].update(bbox=[10, 10, 400, 30]))
    assert "`unknown_shapes: skip` leaves such shapes out" in str(_said(tmp_path))
    data = imported(read, tmp_path, unknown_shapes="skip")
    assert data.left_out == {"polygons_of_too_few_corners": 1} and data.counts["objects_without_a_mask"] == 2


def test_pictures_in_subfolders_and_without_a_year(tree):
    (tree / "train2017").rename(tree / "train")
    (tree / "annotations/instances_train2017.json").rename(tree / "annotations/instances_train.json")
    (tree / "annotations/instances_val2017.json").unlink()
    (tree / "train/a").mkdir()
    (tree / "train/000000000001.jpg").rename(tree / "train/a/1.jpg")
    path = tree / "annotations/instances_train.json"
    path.write_text(path.read_text().replace("000000000001.jpg", "a\\\\1.jpg"))  # Windows' slash, as JSON has it
    data = imported(read, tree, val_share=0)
    assert {record.split for record in data.records} == {"train"}
    assert data.records[0].id == "a_1"


BOX = {"bbox": [10, 10, 30, 20], "area": 600}
SQUARE = [10, 10, 40, 10, 40, 30, 10, 30]


def _plain(names=("x.jpg",), annotations=(BOX,), **more):
    """A file of pictures with an annotation each."""
    images = [{"id": k, "file_name": name, "height": HEIGHT, "width": WIDTH} for k, name in enumerate(names, 1)]
    rows = [{"id": k, "image_id": k, "category_id": 1, **row} for k, row in enumerate(annotations, 1)]
    return {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "crate"}], **more}


def _single(folder, content, names=("x.jpg",)):
    """A single file with its pictures."""
    for name in names:
        _save(folder / name)
    file = folder / "coco.json"
    file.write_text(json.dumps(content))
    return file


def test_one_file_alone_is_divided_and_finds_its_pictures_below_the_root(tmp_path):
    names = [f"{k % 2}/{k}.jpg" for k in range(10)]
    content = _plain([f"{k}.jpg" for k in range(10)], [BOX] * 10)
    data = imported(read, tmp_path, _single(tmp_path, content, names), val_share=0.2)
    assert sorted(record.id for record in data.records) == sorted(f"{k % 2}_{k}" for k in range(10))
    assert sum(record.split == "val" for record in data.records) == 2


@pytest.mark.parametrize("nothing", [None, [], {}, "", [[]], "missing"])
def test_an_object_without_a_mask_keeps_its_box_tag_and_point(tmp_path, nothing):
    row = {**BOX, "segmentation": nothing}
    if nothing == "missing":
        del row["segmentation"]
    file = _single(tmp_path, _plain(annotations=[row]))
    [record] = imported(read, tmp_path, file).records
    assert record.tags == (0,) and record.boxes.tolist() == [[10, 10, 40, 30, 0]]
    assert record.points.tolist() == [[24.5, 19.5, 0]]  # the middle of the box
    for root, annotations in ((tmp_path, file), (tmp_path, None)):  # as a file and as a folder
        assert "Objects without a mask in the split train: 1 " in str(_said(root, annotations, truth=BOTH))
    data = imported(read, tmp_path, file, truth=BOTH, without_mask="leave_out")
    assert data.truth(data.records[0]).masks == [] and data.counts["objects_without_a_mask"] == 1


def test_a_mask_needs_no_box(tmp_path):
    file = _single(tmp_path, _plain(annotations=[{"segmentation": [SQUARE]}]))
    [record] = imported(read, tmp_path, file).records
    assert record.boxes.tolist() == [[10, 10, 40, 30, 0]] and len(record.points) == 1


def _with(content, **values):
    content["annotations"][0].update(values)
    return content


@pytest.mark.parametrize("image", [7, "7", 7.0, " 7 "])
@pytest.mark.parametrize("category", [3, "3"])
@pytest.mark.parametrize("listed", [7, "7"])
def test_ids_are_numbers_or_text(tmp_path, image, category, listed):
    content = _with(_plain(categories=[{"id": "3", "name": "crate"}]), image_id=image, category_id=category)
    content["images"][0]["id"] = listed
    [record] = imported(read, tmp_path, _single(tmp_path, content)).records
    assert record.tags == (0,)


def test_ids_may_be_words_and_zeros_before_a_number_are_of_a_word(tmp_path):
    names = ["x.jpg", "y.jpg"]
    content = _plain(names, [BOX, {**BOX, "bbox": [0, 0, 30, 20]}])
    for rows, key in ((content["images"], "id"), (content["annotations"], "image_id")):
        rows[0][key], rows[1][key] = "7", "007"
    content["categories"] = [{"id": "z9", "name": "a"}, {"id": "b1", "name": "b"}, {"id": 10, "name": "c"}]
    content["categories"].append({"id": 9, "name": "d"})
    for row in content["annotations"]:
        row["category_id"] = "z9"
    data = imported(read, tmp_path, _single(tmp_path, content, names))
    assert data.class_names == ["d", "c", "b", "a"]  # by id: numbers, then words
    assert [record.boxes[0, 0] for record in data.records] == [10, 0]


@pytest.mark.parametrize(
    ("value", "crowd"), [(0, False), (1, True), ("0", False), ("1", True), (None, False), (True, True)]
)
def test_crowds_are_told_by_numbers_or_text(tmp_path, value, crowd):
    file = _single(tmp_path, _plain(annotations=[{**BOX, "segmentation": [SQUARE], "iscrowd": value}]))
    data = imported(read, tmp_path, file, truth=BOTH)
    [record] = data.records
    assert data.truth(record).crowd.tolist() == [crowd] and record.tags == (() if crowd else (0,))


def test_a_crowd_without_a_mask_gives_nothing_and_is_counted(tmp_path):
    content = _plain(["x.jpg", "y.jpg"], [{**BOX, "iscrowd": 1}, {**BOX, "segmentation": [SQUARE]}])
    file = _single(tmp_path, content, ["x.jpg", "y.jpg"])
    data = imported(read, tmp_path, file, val_share=0)
    assert data.left_out == {"crowds_without_a_mask": 1} and data.counts["shapes"] == 1
    record = data.records[0]
    assert record.tags == () and len(record.boxes) == len(record.points) == 0
    assert "Objects without a mask in the split train: 1 " in str(_said(tmp_path, file, truth=BOTH, val_share=0))


@pytest.mark.parametrize("counts", ["text", "list"])
def test_run_length_codes_are_text_or_lists(tmp_path, counts):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:30, 10:40] = 1
    code = encode(mask[None])[0]
    runs = [10 * HEIGHT + 10, 20, *[20, 20] * 29, 20 * HEIGHT + 10]
    value = {"size": [HEIGHT, WIDTH], "counts": code["counts"].decode() if counts == "text" else runs}
    data = imported(read, tmp_path, _single(tmp_path, _plain(annotations=[{**BOX, "segmentation": value}])), truth=BOTH)
    np.testing.assert_array_equal(decode(data.truth(data.records[0]).masks, HEIGHT, WIDTH)[0], mask)


def test_boxes_as_corners_are_told_by_the_mask_and_by_the_area(tmp_path):
    corners = {"bbox": [10, 10, 40, 30], "area": 600}
    file = _single(tmp_path, _plain(annotations=[corners]))
    text = str(_said(tmp_path, file))
    assert "Shapes that do not match their areas: 1 (" in text and "annotation 1); its numbers look like two c" in text
    places = (corners["bbox"], [30, 10, 20, 20], [35, 9, 20, 20])
    rows = [{"bbox": box, "area": (600, 400, 400)[k], "image_id": 1} for k, box in enumerate(places)]
    doubts = imported(read, tmp_path, _single(tmp_path, _plain(annotations=rows))).doubts
    assert any("would as two corners: 1 (the first" in doubt for doubt in doubts)
    file = _single(tmp_path, _plain(annotations=[{**corners, "bbox": [20, 15, 50, 35], "segmentation": [[
        20, 15, 50, 15, 50, 35, 20, 35]]}]))  # fmt: skip
    assert "annotation 1: its box (20, 15, 70, 50) does not match its mask" in str(_said(tmp_path, file))
    file = _single(tmp_path, _plain(annotations=[{"bbox": [0.1, 0.1, 0.5, 0.5]}]))
    assert "look like shares of the sides, not pixels" in str(_said(tmp_path, file))


def test_a_picture_of_another_size_is_refused_whatever_truth_says(tree):
    _save(tree / "train2017/000000000001.jpg", (WIDTH, HEIGHT + 1))
    for truth in (BOTH, ()):
        text = str(_said(tree, truth=truth))
        assert "000000000001.jpg" in text and "is 60x41, but 60x40 by the file" in text


def test_sizes_need_not_be_stated(tmp_path):
    content = _plain(annotations=[{**BOX, "segmentation": [SQUARE]}])
    del content["images"][0]["height"], content["images"][0]["width"]
    assert len(imported(read, tmp_path, _single(tmp_path, content)).records) == 1


def _roboflow(folder, splits=("train", "valid", "test"), used=(1, 2)):
    """What Roboflow exports: category 0 groups the others and has no image."""
    names = ["rust-detection", "pit", "crack"]
    categories = [
        {"id": k, "name": name, "supercategory": "rust-detection" if k else "none"} for k, name in enumerate(names)
    ]
    for split in splits:
        content = _plain([f"{split}{k}.jpg" for k in used], [BOX] * len(used), categories=categories)
        for row, category in zip(content["annotations"], used, strict=True):
            row["category_id"] = category
        for image in content["images"]:
            _save(folder / split / image["file_name"])
        (folder / split / "_annotations.coco.json").write_text(json.dumps(content))
    return folder


def test_roboflows_folders_are_read_without_the_parent_and_without_test(tmp_path):
    data = imported(read, _roboflow(tmp_path))
    assert looks_like(tmp_path)
    assert data.class_names == ["pit", "crack"]
    assert [(record.id, record.split) for record in data.records] == [
        ("train1", "train"), ("train2", "train"), ("valid1", "val"), ("valid2", "val"),
    ]  # fmt: skip
    assert data.left_out == {
        "pictures_of_other_subsets": 2, "shapes_of_pictures_left_out": 2, "categories_without_images": 1,
    }  # fmt: skip


def test_a_test_file_without_annotations_stops_nothing(tree):
    (tree / "annotations/instances_test2017.json").write_text(json.dumps({"images": [{}, {}]}))
    assert imported(read, tree).left_out == {"pictures_of_other_subsets": 2}


def test_pictures_of_a_split_without_a_folder_lie_anywhere(tree):
    (tree / "val2017").rename(tree / "elsewhere")
    assert [record.split for record in imported(read, tree).records] == ["train"] * 4 + ["val"] * 2


def test_a_parent_with_images_and_a_class_without_any_stay(tmp_path):
    assert imported(read, _roboflow(tmp_path / "a", used=(0, 1, 2))).class_names == ["rust-detection", "pit", "crack"]
    assert imported(read, _roboflow(tmp_path / "b", used=(1,))).class_names == ["pit", "crack"]
    # in val only
    _roboflow(tmp_path / "c", ("train",), (1, 2))
    _roboflow(tmp_path / "c", ("valid",), (0,))
    assert imported(read, tmp_path / "c").class_names == ["rust-detection", "pit", "crack"]


def test_a_parent_may_have_the_name_of_a_class(tmp_path):
    for file in _roboflow(tmp_path, ("train", "valid"), (1,)).rglob("*.json"):
        content = json.loads(file.read_text())
        content["categories"] = [
            {"id": 0, "name": "pit", "supercategory": "none"}, {"id": 1, "name": "pit", "supercategory": "pit"},
        ]  # fmt: skip
        file.write_text(json.dumps(content))
    assert imported(read, tmp_path).class_names == ["pit"]


def test_one_file_of_roboflow_alone_is_divided(tmp_path):
    file = _roboflow(tmp_path, ("train",)) / "train/_annotations.coco.json"
    for root, annotations in ((tmp_path, file), (tmp_path / "train", None)):
        data = imported(read, root, annotations, val_share=0.5)
        assert sorted(record.split for record in data.records) == ["train", "val"]


@pytest.mark.parametrize("folder", ["images/{}", "images", "{}", "{}2017", "images/{}2017", "."])
def test_pictures_lie_where_tools_put_them(tmp_path, folder):
    for split in ("Train", "validation"):
        content = _plain([f"{split}/a.jpg" if folder in ("images", ".") else "a.jpg"])
        place = tmp_path / folder.format(split) / content["images"][0]["file_name"]
        _save(place)
        (tmp_path / "annotations").mkdir(exist_ok=True)
        year = "2017" if "2017" in folder else ""
        (tmp_path / f"annotations/instances_{split}{year}.json").write_text(json.dumps(content))
    if folder not in ("images", "."):  # one name in two splits is an id in two splits
        _save(tmp_path / folder.format("Train") / "b.jpg")
        (tmp_path / folder.format("Train") / "a.jpg").unlink()
        file = next((tmp_path / "annotations").glob("*Train*"))
        file.write_text(file.read_text().replace("a.jpg", "b.jpg"))
    data = imported(read, tmp_path)
    assert looks_like(tmp_path)
    assert [record.split for record in data.records] == ["train", "val"] and not data.left_out
    if folder not in ("images", "."):
        assert [record.id for record in data.records] == ["b", "a"]


def test_the_default_subset_of_cvat_is_divided(tmp_path):
    content = _plain([f"in/{k}.jpg" for k in range(4)], [BOX] * 4)
    for image in content["images"]:
        _save(tmp_path / "images/default" / image["file_name"])
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_default.json").write_text(json.dumps(content))
    data = imported(read, tmp_path, val_share=0.25)
    assert sorted(record.id for record in data.records) == [f"in_{k}" for k in range(4)]
    assert sum(record.split == "val" for record in data.records) == 1


def test_pictures_that_no_file_lists_are_counted_in_the_folders_of_the_splits(tree):
    for name in ("train2017/more.jpg", "val2017/a/more.jpg", "elsewhere/more.jpg", "train2017/.hidden/more.jpg"):
        _save(tree / name)
    assert imported(read, tree).left_out == {"pictures_not_listed": 2}


def test_annotations_in_another_folder_than_the_pictures(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("export")
    (tree / "annotations").rename(other / "annotations")
    for folder in (other, other / "annotations"):
        assert len(imported(read, tree, folder).records) == 6


def test_two_files_of_one_split_or_of_none_are_not_guessed(tree):
    path = tree / "annotations/instances_train2017.json"
    (tree / "annotations/instances_train2014.json").write_text(path.read_text())
    assert "instances_train2014.json and" in str(_said(tree)) and "both of the subset train" in str(_said(tree))
    for file in list((tree / "annotations").glob("*train*")):
        file.unlink()
    (tree / "annotations/instances_val2017.json").rename(tree / "annotations/instances_minival2017.json")
    assert "no annotations of train or val" in str(_said(tree))


def test_a_folder_with_one_file_of_any_name_is_read_and_with_two_refused(tmp_path):
    file = _single(tmp_path, _plain())
    assert looks_like(tmp_path) and looks_like(file)
    assert len(imported(read, tmp_path).records) == 1
    (tmp_path / "other.json").write_text(file.read_text())
    assert "2 COCO files" in str(_said(tmp_path)) and "'coco.json', 'other.json'" in str(_said(tmp_path))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '[{"annotations": []}]', '{"shapes": []}', '{"images": {}}', "\x00\xff", '{"a": "images"}']
)
def test_other_files_do_not_look_like_it(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    assert not looks_like(tmp_path / "a.json") and not looks_like(tmp_path) and not looks_like(tmp_path / "none")


def test_what_is_missing_in_somebodys_own_folder_is_said_without_an_advice_to_download(tmp_path):
    _save(tmp_path / "a.jpg")
    text = str(_said(tmp_path))
    assert "annotations/instances_train.json" in text and "_annotations.coco.json" in text and "zip" not in text


def _set(table, row, **values):
    return lambda content: content[table][row].update(values)


def _drop(table, row, key):
    return lambda content: content[table][row].pop(key)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            _set("annotations", 0, category_id=4),
            ["annotation 1: it is of category 4", "valid: 3, 7, 90"],
        ),
        (_set("annotations", 0, image_id=77), ["annotation 1: it is of image 77", "does not list"]),
        (_drop("annotations", 0, "image_id"), ["annotation 1: it has no 'image_id'"]),
        (_set("annotations", 0, image_id=None), ["annotation 1: its 'image_id' is None"]),
        (_set("annotations", 0, category_id=[3]), ["annotation 1: its 'category_id' is [3]"]),
        (_set("annotations", 0, id=None, image_id=77), ["entry 1 of 'annotations'"]),
        (_set("annotations", 0, bbox=[1, 2]), ["annotation 1: its 'bbox': [1, 2]", "x, y, width and height"]),
        (_set("annotations", 0, bbox=["a", 2, 3, 4]), ["annotation 1: its 'bbox'", "'a' is no number"]),
        (_set("annotations", 0, bbox=[1, 2, 10**400, 4]), ["annotation 1: its 'bbox'", "is no number"]),
        (_set("annotations", 0, bbox=[1, 2, float("nan"), 4]), ["annotation 1: its 'bbox'", "no number"]),
        (_set("annotations", 0, bbox={}), ["annotation 1: its 'bbox'"]),
        (_set("annotations", 0, area="big"), ["annotation 1: its 'area': 'big' is no number"]),
        (_set("annotations", 0, area=float("inf")), ["annotation 1: its 'area'"]),
        (_set("annotations", 0, iscrowd="no"), ["annotation 1: its 'iscrowd' is 'no'"]),
        (_set("annotations", 0, iscrowd=[]), ["annotation 1: its 'iscrowd' is []"]),
        (
            lambda content: content["annotations"][0].update(segmentation=[], bbox=None),
            ["annotation 1: it has neither"],
        ),
        (lambda content: content["annotations"].insert(0, 5), ["entry 1 of 'annotations': it is 5"]),
        (_set("annotations", 0, segmentation={"size": [60, 40], "counts": [2400]}), ["annotation 1", "40x60", "60x40"]),
        (_set("annotations", 0, segmentation={"size": [40, 60], "counts": [7]}), ["annotation 1", "do not add up"]),
        (
            _set("annotations", 0, segmentation={"size": [40, 60], "counts": "\x01?"}),
            ["annotation 1", "not a compressed"],
        ),
        (_set("annotations", 0, segmentation={"size": [40, 60], "counts": "0ooo0"}), ["annotation 1", "do not fit"]),
        (_set("annotations", 0, segmentation=[["x"] * 6]), ["annotation 1", "'x' is no number"]),
        (_set("annotations", 0, segmentation=5), ["annotation 1", "it is 5; expected is a list of polygons"]),
        (_set("images", 1, file_name="no.jpg"), ["no picture 'no.jpg' in", "train2017"]),
        (_set("images", 0, file_name=5), ["image 1 of the list needs an 'id' and a 'file_name'"]),
        (lambda content: content["images"].insert(0, None), ["image 1 of the list needs"]),
        (_set("images", 0, id=2), ["the id 2 of image", "000000000001.jpg"]),
        (_drop("images", 0, "height"), ["000000000001.jpg", "60x40, but 60x0 by the file"]),
        (_set("images", 0, width="wide"), ["000000000001.jpg", "its 'width' is 'wide', not a whole number of pixels"]),
        (_set("images", 0, width=-60), ["000000000001.jpg", "its 'width' is -60"]),
        (_set("categories", 0, id=3), ["share an id"]),
        (_drop("categories", 0, "name"), ["'name'"]),
        (lambda content: content["categories"].append("x"), ["category 4 of the list needs an 'id' and a 'name'"]),
        (lambda content: content.pop("categories"), ["has no list 'categories'"]),
        (lambda content: content.update(images=[], annotations=[]), ["lists no image"]),
    ],
)
def test_bad_input_is_a_sentence_that_names_it(tree, change, words):
    _change(tree, change)
    error = _said(tree)
    told = [sentence for sentence in error.sentences if all(word in sentence for word in words)]
    assert len(told) == 1 and "train2017.json" in told[0] and "\n" not in told[0]


def test_one_bad_annotation_is_one_sentence(tree):
    _change(tree, _set("annotations", 0, bbox=[1, 2]))
    assert len(_said(tree).sentences) == 1


def test_all_bad_annotations_are_told_at_once(tree):
    for row in range(3):
        _change(tree, _set("annotations", row, bbox=[row]))
    _change(tree, _set("annotations", 3, segmentation=[[1, "a"]]))
    assert [f"annotation {k}:" in sentence for k, sentence in enumerate(_said(tree).sentences, 1)] == [True] * 4


def test_other_categories_in_val_than_in_train_are_refused(tree):
    _change(tree, _set("categories", 0, name="brush"))
    text = str(_said(tree).sentences[0])
    assert "val2017.json has other categories than" in text and "'brush', 'toothbrush' is not in both" in text


def test_other_files_are_told_together_and_pictures_of_one_name_apart(tree):
    _change(tree, _set("images", 0, file_name="../val2017/000000000100.jpg"))
    _change(tree, _set("images", 1, file_name="no.jpg"))
    assert len(_said(tree).sentences) == 2
    _save(tree / "train2017/000000000100.jpg")
    _change(tree, _set("images", 0, file_name="000000000100.jpg"))
    _change(tree, _set("images", 1, file_name="000000000002.jpg"))
    ids = {record.id for record in imported(read, tree, truth=BOTH).records}
    assert {"train2017_000000000100", "val2017_000000000100"} <= ids


@pytest.mark.parametrize(
    "name", ["000000000001.jpg", "000000000001", "./000000000001.jpg", "train2017/000000000001.jpg"]
)
def test_a_picture_that_is_listed_twice_is_told(tree, name):
    _change(tree, _set("images", 1, file_name=name))
    assert "is also the picture of image '000000000001.jpg'" in str(_said(tree))


def test_an_absent_or_broken_file_is_one_sentence(tree, tmp_path_factory):
    assert "train2017.zip (19.3 GB)" in str(_said(tmp_path_factory.mktemp("empty")))
    assert "gone.json does not exist" in str(_said(tree, tree / "gone.json"))
    file = tree / "annotations/instances_train2017.json"
    file.write_text("{")
    assert "instances_train2017.json is not a JSON file" in str(_said(tree))
    file.write_text("[]")
    assert "not a COCO instance file" in str(_said(tree))


def test_whatever_is_damaged_loses_no_shape_without_a_word(tmp_path):
    square = encode(np.ones((1, HEIGHT, WIDTH), np.uint8))[0]["counts"].decode()
    masks = [{"size": [HEIGHT, WIDTH], "counts": square}, [SQUARE]]
    content = _plain(annotations=[{**BOX, "segmentation": mask, "iscrowd": 0} for mask in masks] + [BOX])
    for row in content["annotations"]:
        row["image_id"] = 1
    content["annotations"][0]["bbox"] = [0, 0, WIDTH, HEIGHT]
    file = _single(tmp_path, content)
    assert imported(read, tmp_path, file).counts["shapes"] == 3
    told = 0
    for changed in damaged(content, (*JUNK, 10**30, [[[[]]]])):
        file.write_text(json.dumps(changed))
        try:
            data = imported(read, tmp_path, file)
            left_out = sum(count for reason, count in data.left_out.items() if reason in SHAPE_REASONS)
            assert data.counts["shapes"] + left_out == len(changed["annotations"])
        except InputError as error:
            told += 1
            assert str(tmp_path) in str(error)
    assert told > 50


CLASSES = ("b & w <cat>", "dog", "zebra")


def _labels():
    """Three images with random blobs, the last without any."""
    images = []
    for k, (height, width) in enumerate([(40, 50), (33, 21), (16, 16)]):
        count = 3 if k < 2 else 0
        noise = np.random.default_rng(k).normal(size=(count, height, width)).astype(np.float32)
        masks = np.array([cv2.GaussianBlur(plane, (0, 0), 3) > 0.06 for plane in noise]).reshape(-1, height, width)
        instances = describe(encode(masks), np.arange(count), scores=np.linspace(0.3, 0.9, count))
        suffix = ".jpg" if k == 0 else ".png"
        picture = cv2.imencode(suffix, np.full((height, width, 3), 40 * k, np.uint8))[1].tobytes()
        images.append(LabelledImage(f"im {k}", picture, suffix, height, width, instances))
    return Labels(images, 3, CLASSES, "train", True, "test")


def test_what_is_written_comes_back_to_the_same_codes_classes_boxes_and_pictures(tmp_path):
    labels = _labels()
    write_coco(tmp_path, labels)
    assert looks_like(tmp_path)
    data = imported(read, tmp_path, truth=("train",), val_share=0)
    assert data.class_names == list(CLASSES)
    for record, image in zip(data.records, labels.images, strict=True):
        assert record.id == image.id and record.path.read_bytes() == image.data
        truth = data.truth(record)
        assert [rle["counts"] for rle in truth.masks] == [rle["counts"] for rle in image.instances.rles]
        assert truth.categories.tolist() == image.instances.categories.tolist()
        np.testing.assert_array_equal(record.boxes[:, :4], image.instances.boxes)


def test_pycocotools_reads_the_masks_boxes_areas_and_classes(tmp_path):
    labels = _labels()
    oracle = COCO(str(write_coco(tmp_path, labels)))
    assert [row["name"] for row in oracle.loadCats(oracle.getCatIds())] == list(CLASSES)
    assert len(oracle.getImgIds()) == 3
    for image, own in zip(oracle.loadImgs(oracle.getImgIds()), labels.images, strict=True):
        rows = oracle.loadAnns(oracle.getAnnIds(imgIds=image["id"]))
        dense = decode(own.instances.rles, image["height"], image["width"])
        assert [row["category_id"] - 1 for row in rows] == own.instances.categories.tolist()
        for row, mask in zip(rows, dense, strict=True):
            np.testing.assert_array_equal(oracle.annToMask(row), mask)
            assert row["area"] == mask.sum()
            assert row["bbox"] == rle_codec.toBbox(oracle.annToRLE(row)).tolist()


@pytest.mark.parametrize("place", ["{}.json", "annotations/{}.json", "{}2017.json"])
def test_files_that_are_called_as_subsets_are_these(place, tmp_path):
    for split in ("train", "val", "test"):
        _save(tmp_path / split / f"{split}.jpg")
        file = tmp_path / place.format(split)
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(_plain([f"{split}.jpg"])))
    assert looks_like(tmp_path)
    data = imported(read, tmp_path)
    assert [(record.id, record.split) for record in data.records] == [("train", "train"), ("val", "val")]
    assert data.left_out["pictures_of_other_subsets"] == 1
    file.with_name("more.json").write_text(file.read_text())
    assert "do not say which is train and which is val" in str(_said(tmp_path))


def test_categories_of_other_ids_are_matched_by_name(tmp_path):
    for split, ids in {"train": (1, 2), "val": (2, 7)}.items():
        categories = [{"id": key, "name": name} for key, name in zip(ids, ("leaf", "stem"), strict=True)]
        content = _plain([f"{split}.jpg"], [{**BOX, "category_id": ids[0]}], categories=categories)
        _save(tmp_path / split / f"{split}.jpg")
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    data = imported(read, tmp_path)
    assert data.class_names == ["leaf", "stem"] and [record.tags for record in data.records] == [(0,), (0,)]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"images": [1, 2', '{"images": ' + "9" * 5000 + "}"])
def test_a_damaged_file_is_told_in_our_words(text, tmp_path):
    (tmp_path / "coco.json").write_text(text)
    said = str(_said(tmp_path, tmp_path / "coco.json"))
    assert "coco.json is not a JSON file: it " in said and not any(
        word in said for word in ("recursion", "char", "delimiter", "limit")
    )
