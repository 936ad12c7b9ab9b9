"""The VOC importer: what it reads of drawn, real and SBD data."""

import json
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as rle_codec
from scipy.io import savemat
from voc_trees import annotation, plain_tree, read_plain, read_voc, save_map

from wsis_steps.data.settings import DataDrawShapes
from wsis_steps.data.shapes import draw_image, draw_voc_tree
from wsis_steps.engine.errors import InputError
from wsis_steps.formats.voc import VOC_CLASSES
from wsis_steps.formats.voc_masks import read_png_masks

SHARED = Path(__file__).parents[4] / "shared" / "data"
needs_photos = pytest.mark.skipif(not (SHARED / "photos").is_dir(), reason="the sample photographs are absent")


@pytest.fixture
def tree(tmp_path):
    draw_voc_tree(tmp_path, DataDrawShapes(image_size=48, train=6, val=3, seed=3))
    return tmp_path


def test_drawn_shapes_come_back_as_the_masks_that_were_drawn(tree):
    data = read_voc(tree)
    assert [r.split for r in data.records] == ["train"] * 6 + ["val"] * 3
    for index, record in enumerate(data.records[:6]):
        _, instance_map, semantic_map = draw_image(np.random.default_rng([3, 0, index]), 48, difficulty=1)
        truth = data.truth(record)
        assert truth.ignore is None
        assert not truth.crowd.any()
        masks = rle_codec.decode(truth.masks)
        assert masks.shape[2] == instance_map.max() == len(record.boxes) == len(record.points)
        np.testing.assert_array_equal((masks * np.arange(1, masks.shape[2] + 1)).sum(axis=2), instance_map)
        for place, category in enumerate(truth.categories):
            inside = masks[..., place] == 1
            assert (semantic_map[inside] == category + 1).all()
            x, y, point_category = record.points[place]
            assert inside[int(y), int(x)]
            assert point_category == category
            ys, xs = np.nonzero(inside)
            box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, category]
            assert record.boxes[place].tolist() == box
        assert record.tags == tuple(sorted(set(truth.categories.tolist())))
        assert record.points.dtype == record.boxes.dtype == np.float32


def test_polygons_of_objects_are_counted_since_masks_are_others(tree):
    path = next((tree / "Annotations").glob("*.xml"))
    polygon = "<polygon><x1>1</x1><y1>1</y1><x2>9</x2><y2>1</y2><x3>9</x3><y3>9</y3></polygon></object>"
    path.write_text(path.read_text().replace("</object>", polygon, 1))
    data = read_voc(tree)
    assert data.left_out == {"polygons_of_voc_objects": 1} and len(data.records) == 9


def test_a_process_pool_gives_the_same_and_everything_pickles(tree):
    plain = read_voc(tree)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pooled = read_voc(tree, mapper=pool.map)
        masks = list(pool.map(plain.truth, plain.records))
    for first, second in zip(pooled.records, plain.records, strict=True):
        assert (first.id, first.split, first.path, first.tags) == (second.id, second.split, second.path, second.tags)
        assert (first.points == second.points).all() and (first.boxes == second.boxes).all()
        assert pooled.truth(first).masks == plain.truth(second).masks
    assert (pooled.class_names, pooled.counts) == (plain.class_names, plain.counts)
    assert pickle.loads(pickle.dumps(plain)).class_names == plain.class_names
    assert [len(m.masks) for m in masks] == [len(r.boxes) for r in plain.records]


def test_truth_is_none_outside_its_splits_and_points_are_then_box_middles(tree):
    data = read_voc(tree, truth=("val",))
    assert [data.truth(r) is None for r in data.records] == [True] * 6 + [False] * 3
    for record in data.records[:6]:
        x1, y1, x2, y2, category = record.boxes.T
        middles = np.column_stack([(x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2, category])
        np.testing.assert_array_equal(record.points, middles)


def test_boxes_lose_voc_s_one_based_inclusive_corners(tmp_path):
    record = read_plain(plain_tree(tmp_path)).records[0]
    assert record.boxes.tolist() == [[2, 3, 8, 10, VOC_CLASSES.index("dog")]]
    assert record.points[0, :2].tolist() == [4.5, 6.0]


def test_boxes_are_cut_at_the_border(tmp_path):
    plain_tree(tmp_path)
    (tmp_path / "Annotations/a.xml").write_text(annotation(("dog", (-1, 0, 22, 10), 0)))
    assert read_plain(tmp_path).records[0].boxes[0, :4].tolist() == [0, 0, 20, 10]
    (tmp_path / "Annotations/a.xml").write_text(annotation(("dog", (-4, 0, 500, 10), 0)))
    with pytest.raises(InputError, match=r"a\.xml: object 1 \(dog\): its box .* leaves the picture of 20x20"):
        read_plain(tmp_path)


def test_a_devkit_is_found_from_above(tmp_path):
    plain_tree(tmp_path / "VOCdevkit/VOC2012")
    assert len(read_plain(tmp_path).records) == 3


def test_void_becomes_the_ignore_region(tmp_path):
    plain_tree(tmp_path)
    ids, classes = np.zeros((2, 20, 20), np.uint8)
    ids[3:10, 2:8], classes[3:10, 2:8] = 1, VOC_CLASSES.index("dog") + 1
    ids[2, 2:8], classes[10, 2:8] = 255, 255  # void in either map
    for folder, values in (("SegmentationObject", ids), ("SegmentationClass", classes)):
        (tmp_path / folder).mkdir()
        for name in "ab":
            save_map(tmp_path / folder / f"{name}.png", values)
    data = read_plain(tmp_path, truth=("train",))
    truth = data.truth(data.records[0])
    np.testing.assert_array_equal(rle_codec.decode(truth.ignore), (ids == 255) | (classes == 255))
    np.testing.assert_array_equal(rle_codec.decode(truth.masks[0]), ids == 1)
    assert data.truth(data.records[2]) is None


def test_class_names_are_voc_s_twenty_or_the_setting_or_the_file_or_alphabetical(tmp_path):
    plain_tree(tmp_path)
    assert read_plain(tmp_path).class_names == VOC_CLASSES
    assert read_plain(tmp_path, class_names=("cat", "dog")).records[0].tags == (1,)
    (tmp_path / "class_names.txt").write_text("emu\ndog\n")
    assert read_plain(tmp_path).class_names == ["emu", "dog"]
    (tmp_path / "class_names.txt").unlink()
    (tmp_path / "Annotations/a.xml").write_text(annotation(("yak", (1, 1, 5, 5), 0), ("ant", (1, 1, 5, 5), 0)))
    assert read_plain(tmp_path).class_names == ["ant", "dog", "yak"]


@pytest.mark.parametrize("masks", [False, True])
def test_difficult_objects_are_in_all_three_or_in_none(tmp_path, masks):
    plain_tree(tmp_path)
    # Two dogs, the right one difficult, and a difficult cat.
    objects = [("dog", (1, 1, 6, 6), 0), ("dog", (11, 1, 16, 6), 1), ("cat", (1, 11, 6, 16), 1)]
    (tmp_path / "Annotations/a.xml").write_text(annotation(*objects))
    options = {}
    if masks:
        ids, classes = np.zeros((2, 20, 20), np.uint8)
        # Numbered in another order than the XML.
        for number, (name, (x1, y1, x2, y2), _) in enumerate(reversed(objects), 1):
            ids[y1 - 1 : y2, x1 - 1 : x2], classes[y1 - 1 : y2, x1 - 1 : x2] = number, VOC_CLASSES.index(name) + 1
        for folder, values in (("SegmentationObject", ids), ("SegmentationClass", classes)):
            (tmp_path / folder).mkdir()
            save_map(tmp_path / folder / "a.png", values)
        (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a")
        options = {"truth": ("train",)}
    cat, dog = VOC_CLASSES.index("cat"), VOC_CLASSES.index("dog")
    record = read_plain(tmp_path, **options).records[0]
    assert record.tags == (cat, dog)
    assert len(record.boxes) == len(record.points) == 3
    data = read_plain(tmp_path, include_difficult=False, **options)
    record = data.records[0]
    assert record.tags == (dog,)
    assert record.boxes.tolist() == [[0, 0, 6, 6, dog]]
    assert record.points.tolist() == [[2.0, 2.0, dog] if masks else [2.5, 2.5, dog]]
    assert data.counts["difficult_objects"] == 2
    assert data.counts["difficult"] == "exclude"


def test_masks_of_sbd_fill_in_where_voc_has_none(tmp_path):
    plain_tree(tmp_path)
    instances = tmp_path / "benchmark_RELEASE/dataset/inst"
    instances.mkdir(parents=True)
    ids = np.zeros((20, 20), np.uint8)
    ids[3:10, 2:8], ids[12:15, 1:4] = 1, 2
    boundaries = np.empty((2, 1), object)
    boundaries[:] = [[np.zeros((2, 2))], [np.zeros((2, 2))]]
    dog = VOC_CLASSES.index("dog")
    truth = {"Segmentation": ids, "Boundaries": boundaries, "Categories": np.array([[dog + 1], [dog + 1]], np.uint8)}
    for name in "ab":
        savemat(instances / f"{name}.mat", {"GTinst": truth}, do_compression=True)
    data = read_plain(tmp_path, truth=("train",), sbd_root=tmp_path)
    truth = data.truth(data.records[0])
    np.testing.assert_array_equal(rle_codec.decode(truth.masks) @ [1, 2], ids)
    assert truth.categories.tolist() == [dog, dog]
    assert truth.ignore is None
    assert data.records[0].points.tolist() == [[4, 6, dog], [2, 13, dog]]  # 4.5 rounds to even
    # A PNG mask is preferred to SBD's.
    for folder, value in (("SegmentationObject", 1), ("SegmentationClass", dog + 1)):
        (tmp_path / folder).mkdir()
        save_map(tmp_path / folder / "a.png", np.full((20, 20), value))
    data = read_plain(tmp_path, truth=("train",), sbd_root=tmp_path)
    assert [len(data.truth(r).masks) for r in data.records[:2]] == [1, 2]


def test_labels_replace_the_tags_and_need_no_xml(tmp_path):
    plain_tree(tmp_path)
    (tmp_path / "Annotations/b.xml").unlink()
    (tmp_path / "labels.txt").write_text("a 2 1 2\nb cat\nc\nnot_listed 0\n")
    options = {"labels": tmp_path / "labels.txt", "class_names": ("emu", "dog", "cat")}
    data = read_plain(tmp_path, **options)
    assert [r.tags for r in data.records] == [(1, 2), (2,), ()]
    # The dog of c's XML is against its labels, so it is no box either.
    assert [len(r.boxes) for r in data.records] == [1, 0, 0]
    with pytest.raises(InputError, match=r"b\.xml does not exist"):
        read_plain(tmp_path, class_names=("dog",))


def test_an_object_takes_the_class_of_most_of_its_pixels(tmp_path):
    ids, classes = np.zeros((2, 6, 6), np.uint8)
    ids[:3], ids[4:] = 7, 9
    classes[:3], classes[0, :2], classes[4:] = 4, 2, 1
    save_map(tmp_path / "o.png", ids)
    save_map(tmp_path / "c.png", classes)
    found = read_png_masks(tmp_path / "o.png", tmp_path / "c.png")
    assert [(one.number, one.value) for one in found.instances] == [(7, 4), (9, 1)]


@needs_photos
def test_the_photographs_have_the_published_figures():
    data = read_voc(SHARED / "photos")
    assert [sum(r.split == s for r in data.records) for s in ("train", "val")] == [122, 60]
    assert data.class_names == VOC_CLASSES
    truths = [data.truth(r) for r in data.records]
    assert sum(len(t.masks) for t in truths) == data.counts["objects"] == 995
    assert data.counts["images_whose_masks_show_an_untagged_class"] == 0
    shifts = []
    for record, truth in zip(data.records, truths, strict=True):
        assert record.tags == tuple(sorted(set(truth.categories.tolist())))
        # The XML boxes and the masks are of the same objects, in the same order.
        boxes = rle_codec.toBbox(truth.masks)
        boxes[:, 2:] += boxes[:, :2]
        shifts.append(record.boxes[:, :4] - boxes)
        assert truth.categories.tolist() == record.boxes[:, 4].tolist()
    shifts = np.concatenate(shifts)
    assert (shifts[:, :2] == 0).mean() > 0.95
    assert (np.abs(shifts) <= 1).mean() > 0.95  # these files end their boxes a pixel early
    labels = json.loads((SHARED / "photos/image_labels.json").read_text())
    for record in data.records:
        assert [data.class_names[c] for c in record.tags] == sorted(labels[record.id])


def test_an_image_of_both_lists_is_two_images_where_that_is_allowed(tree):
    plain = read_voc(tree, "train", "train", in_both=True)
    train, val = ([record for record in plain.records if record.split == split] for split in ("train", "val"))
    assert train and [record.id for record in val] == [f"{record.id}_val" for record in train]
    for first, second in zip(train, val, strict=True):
        assert (first.path, first.tags) == (second.path, second.tags)
        assert plain.truth(first).masks == plain.truth(second).masks
    with pytest.raises(InputError, match="of the val list is also in"):
        read_voc(tree, "train", "train")
