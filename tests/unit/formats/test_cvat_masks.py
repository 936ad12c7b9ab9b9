"""Maps of classes and of objects, as CVAT, Datumaro and labelme2voc write them."""

import shutil

import cv2
import numpy as np
import pytest
from authors import Mark, Picture, cvat_masks, write_picture
from authors.cvat_masks import color_of
from imports import imported
from PIL import Image
from voc_trees import save_map

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.cvat_masks import looks_like, read
from wsis_steps.formats.voc_masks import palette
from wsis_steps.vision.masks import decode

SIZE = (20, 30)


def square(top, left, bottom, right):
    mask = np.zeros(SIZE, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


LEAF, STEM, OTHER = square(2, 3, 9, 12), square(10, 3, 18, 12), square(2, 15, 9, 28)


def write(folder, *masks, split="", name="a.jpg", **more):
    """A picture with masks (label, mask) in CVAT's layout."""
    marks = tuple(Mark("mask", label, mask) for label, mask in masks)
    cvat_masks.write(folder, [Picture(name, marks, SIZE, split=split), *more.get("others", ())])


def truth_of(root, annotations=None, **settings):
    """Class and mask of each object of the first picture, and its ignored pixels."""
    dataset = imported(read, root, annotations, val_share=0, truth=("train",), **settings)
    found = dataset.truth(dataset.records[0])
    masks = decode(found.masks, *SIZE)
    return [dataset.class_names[k] for k in found.categories], masks, found, dataset


def told(root, **settings):
    with pytest.raises(InputError) as caught:
        imported(read, root, **settings)
    return "\n".join(caught.value.sentences)


def test_colored_maps_come_back_to_the_pixel(tmp_path):
    write(tmp_path, ("stem", STEM), ("leaf", LEAF), ("leaf", OTHER))
    names, masks, found, dataset = truth_of(tmp_path)
    assert names == ["stem", "leaf", "leaf"] and dataset.class_names == ["leaf", "stem"]
    np.testing.assert_array_equal(masks, [STEM, LEAF, OTHER])
    assert found.ignore is None and not found.crowd.any()
    record = dataset.records[0]
    assert record.id == "a" and record.tags == (0, 1) and len(record.boxes) == len(record.points) == 3
    assert dataset.counts["shapes"] == cvat_masks.count(tmp_path, None) == 3


def test_maps_with_a_palette_are_read_by_their_colors(tmp_path):
    write(tmp_path, ("leaf", LEAF))
    for kind in ("SegmentationClass", "SegmentationObject"):
        path = tmp_path / kind / "a.png"
        Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE).save(path)
        assert Image.open(path).mode == "P"
    names, masks, *_ = truth_of(tmp_path)
    assert names == ["leaf"]
    np.testing.assert_array_equal(masks, [LEAF])


@pytest.mark.parametrize("colors", ["10,10,10", ""])
def test_gray_maps_hold_the_places_of_the_labels(colors, tmp_path):
    write(tmp_path, ("leaf", LEAF), ("stem", STEM))
    other = "200,1,1" if colors else ""
    (tmp_path / "labelmap.txt").write_text(
        f"background:{'0,0,0' if colors else ''}::\nleaf:{colors}::\nstem:{other}::\n"
    )
    Image.fromarray(LEAF + 2 * STEM + 255 * OTHER).save(tmp_path / "SegmentationClass/a.png")
    Image.fromarray(1 * LEAF + 7 * STEM + 3 * OTHER).save(tmp_path / "SegmentationObject/a.png")
    names, masks, found, _ = truth_of(tmp_path)
    assert names == ["leaf", "stem"]
    np.testing.assert_array_equal(masks, [LEAF, STEM])
    np.testing.assert_array_equal(decode([found.ignore], *SIZE)[0], OTHER)


def test_without_colors_labels_have_those_of_voc_in_turn(tmp_path):
    write(tmp_path, ("leaf", LEAF))
    (tmp_path / "labelmap.txt").write_text("background:::\nstem:::\nleaf:::\n")
    cv2.imwrite(str(tmp_path / "SegmentationClass/a.png"), LEAF[..., None] * np.array(color_of(2)[::-1], np.uint8))
    assert truth_of(tmp_path)[0] == ["leaf"]


def test_the_background_may_have_a_color_and_voc_s_border_does_not_count(tmp_path):
    write(tmp_path, ("leaf", LEAF))
    text = (tmp_path / "labelmap.txt").read_text().replace("background:0,0,0", "background:0,128,0")
    (tmp_path / "labelmap.txt").write_text(text)
    path = tmp_path / "SegmentationClass/a.png"
    pixels = cv2.imread(str(path))
    pixels[LEAF == 0] = (0, 128, 0)
    pixels[OTHER > 0] = palette()[-3:][::-1]
    cv2.imwrite(str(path), pixels)
    names, masks, found, dataset = truth_of(tmp_path)
    assert names == ["leaf"] and dataset.class_names == ["leaf"]
    np.testing.assert_array_equal(decode([found.ignore], *SIZE)[0], OTHER)
    np.testing.assert_array_equal(masks, [LEAF])


def test_pixels_of_a_class_that_belong_to_no_object_are_a_region_of_several(tmp_path):
    write(tmp_path, ("leaf", LEAF), ("leaf", OTHER))
    path = tmp_path / "SegmentationObject/a.png"
    pixels = cv2.imread(str(path))
    pixels[OTHER > 0] = 0
    cv2.imwrite(str(path), pixels)
    names, masks, found, dataset = truth_of(tmp_path)
    assert names == ["leaf", "leaf"] and found.crowd.tolist() == [False, True]
    np.testing.assert_array_equal(masks, [LEAF, OTHER])
    assert dataset.counts["crowds"] == 1 and len(dataset.records[0].boxes) == 1


def test_maps_of_classes_alone_give_tags_and_no_truth(tmp_path):
    write(tmp_path, ("leaf", LEAF), ("stem", STEM))
    shutil.rmtree(tmp_path / "SegmentationObject")
    [record] = imported(read, tmp_path, val_share=0).records
    assert record.tags == (0, 1) and not len(record.boxes)
    text = told(tmp_path, val_share=0, truth=("train",))
    assert "Objects without a mask in the split train: 2 " in text and "no map of objects" in text


def test_subsets_are_the_splits_and_pictures_of_no_list_are_left_out(tmp_path):
    others = [
        Picture(f"{name}.jpg", (Mark("mask", "leaf", LEAF), Mark("mask", "leaf", STEM)), SIZE, split=split)
        for name, split in (("b", "Validation"), ("c", "Test"), ("d", "train"))
    ]
    write(tmp_path, ("leaf", LEAF), split="train", others=others)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\nempty one\n")
    write_picture(tmp_path / "JPEGImages/empty one.jpg", *SIZE)
    dataset = imported(read, tmp_path)
    assert {record.id: record.split for record in dataset.records} == {"a": "train", "b": "val", "empty one": "train"}
    assert dataset.left_out == {
        "shapes_of_pictures_left_out": 4, "pictures_of_other_subsets": 1, "pictures_not_listed": 1,
    }  # fmt: skip
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("a\n")
    assert "'a' is in the lists of both train and val" in told(tmp_path)


def test_pictures_may_lie_elsewhere_and_in_folders(tmp_path):
    root = tmp_path / "data"
    write(root / "export", ("leaf", LEAF))
    shutil.rmtree(root / "export/JPEGImages")
    for kind in ("SegmentationClass", "SegmentationObject"):
        (root / f"export/{kind}/garden").mkdir()
        (root / f"export/{kind}/a.png").rename(root / f"export/{kind}/garden/a.png")
    (root / "export/ImageSets/Segmentation/default.txt").write_text("garden/a\n")
    assert "holds no pictures beside the masks; CVAT exports them with `Save images` only" in told(
        root, annotations=root / "export"
    )
    write_picture(root / "photos/garden/a.jpg", *SIZE)
    write_picture(root / "photos/house/a.jpg", *SIZE)
    for annotations in (root / "export", root / "export/labelmap.txt"):
        [record] = imported(read, root, annotations, val_share=0).records
        assert record.path == root / "photos/garden/a.jpg"
    assert "no picture" not in told(root / "photos", annotations=tmp_path) and looks_like(root / "export/labelmap.txt")


def test_boxes_of_datumaro_are_read_but_those_of_masks_are_there_twice(tmp_path):
    write(tmp_path, ("leaf", LEAF))

    def item(name, *box):
        corners = "".join(f"<{t}>{v}</{t}>" for t, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        return f"<object><name>{name}</name><bndbox>{corners}</bndbox></object>"

    with (tmp_path / "labelmap.txt").open("a") as file:
        file.write("stem:1,2,3::\n")
    (tmp_path / "Annotations").mkdir()
    text = f"<annotation>{item('leaf', 3.0, 2.0, 12.0, 9.0)}{item('stem', 3.0, 10.0, 12.0, 18.0)}</annotation>"
    (tmp_path / "Annotations/a.xml").write_text(text)
    dataset = imported(read, tmp_path, val_share=0)
    assert dataset.left_out == {"repeated_shapes": 1}
    assert dataset.records[0].boxes[:, :4].tolist() == [[3, 2, 12, 9], [3, 10, 12, 18]]
    size = "<annotation><size><width>60</width><height>40</height></size>"
    (tmp_path / "Annotations/a.xml").write_text(text.replace("<annotation>", size))
    assert "SegmentationClass/a.png is 30x20, by " in told(tmp_path)


LABELME = {  # folders of maps of classes and of objects, as labelme2voc has called them
    "npy": ("SegmentationClass", "SegmentationObject", ".npy"),
    "older": ("SegmentationClassPNG", "SegmentationObjectPNG", ".png"),
    "newer": ("SegmentationClass", "SegmentationObject", ".png"),
    "newer npy": ("SegmentationClassNpy", "SegmentationObjectNpy", ".npy"),
}


def labelme2voc(root, kind, names=("_background_", "leaf", "stem"), objects=True):
    """What labelme2voc makes of a leaf, a stem and ignored pixels."""
    classes = LEAF.astype(np.int32) + 2 * STEM - OTHER
    for folder, values in zip(LABELME[kind], (classes, LEAF.astype(np.int32) + 2 * STEM), strict=False):
        if not objects and "Object" in folder:
            continue
        (root / folder).mkdir(parents=True)
        if LABELME[kind][2] == ".npy":
            np.save(root / folder / "a.npy", values)
        else:
            save_map(root / folder / "a.png", values.astype(np.uint8))
    write_picture(root / "JPEGImages/a.jpg", *SIZE)
    write_picture(root / "SegmentationClassVisualization/a.jpg", *SIZE)
    (root / "class_names.txt").write_text("\n".join(names))


@pytest.mark.parametrize("kind", LABELME)
@pytest.mark.parametrize("names", [("_background_", "leaf", "stem"), ("__ignore__", "_background_", "leaf", "stem")])
def test_labelme2voc_s_output_is_read_whatever_its_version(kind, names, tmp_path):
    labelme2voc(tmp_path, kind, names)
    labels, masks, found, dataset = truth_of(tmp_path)
    assert labels == ["leaf", "stem"] == dataset.class_names and looks_like(tmp_path)
    np.testing.assert_array_equal(masks, [LEAF, STEM])
    np.testing.assert_array_equal(decode([found.ignore], *SIZE)[0], OTHER)
    assert not dataset.left_out


def test_labelme2voc_without_objects_gives_tags(tmp_path):
    labelme2voc(tmp_path, "newer", objects=False)
    dataset = imported(read, tmp_path, val_share=0)
    assert dataset.records[0].tags == (0, 1) and dataset.left_out == {"class_maps_without_objects": 1}
    assert "maps of classes without maps of objects, of which tags are kept: 1 (the first: " in dataset.omissions[0]


def _recolor(root):
    path = root / "SegmentationClass/a.png"
    pixels = cv2.imread(str(path))
    pixels[0, :2] = (1, 2, 3), (3, 2, 1)
    cv2.imwrite(str(path), pixels)


def _many(root):
    pixels = np.array([color_of(number) for number in range(1, 256)] + [(0, 0, 0)] * 345, np.uint8).reshape(*SIZE, 3)
    cv2.imwrite(str(root / "SegmentationObject/a.png"), pixels[..., ::-1])


def _put(name, text):
    return lambda root: (root / name).write_text(text)


def _save(name, values):
    return lambda root: cv2.imwrite(str(root / name), np.asarray(values, np.uint8))


HEAD = "background:0,0,0::\n"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_recolor, ["SegmentationClass/a.png has 2 colors that are not in", "labelmap.txt; the first is ("]),
        (_many, ["SegmentationObject/a.png has 255 objects", "Export these images as COCO"]),
        (_put("labelmap.txt", f"{HEAD}leaf 1 2 3\n"), ["labelmap.txt:2 reads 'leaf 1 2 3'; expected is"]),
        (_put("labelmap.txt", f"{HEAD}leaf:1,2,300::\n"), ["labelmap.txt:2 reads 'leaf:1,2,300::'"]),
        (_put("labelmap.txt", f"{HEAD}leaf:1,2,3::\nleaf:3,2,1::\n"), ["txt:3: the label 'leaf' is also in line 2"]),
        (_put("labelmap.txt", f"{HEAD}leaf:1,2,3::\nstem:1,2,3::\n"), ["txt:3: 'stem' has the same color as 'leaf'"]),
        (_put("SegmentationClass/a.png", "x"), ["SegmentationClass/a.png is cut short or damaged"]),
        (_save("SegmentationObject/a.png", np.zeros((9, 8, 3))), ["a.png is 8x9, but", "is 30x20"]),
        (lambda root: (root / "SegmentationClass/a.png").rename(root / "SegmentationClass/b.png"),
         ["SegmentationObject/a.png has no map of classes"]),
        (lambda root: (root / "labelmap.txt").unlink(), ["needs SegmentationClass and Seg", "labelmap.txt"]),
        (lambda root: write_picture(root / "JPEGImages/a.jpg", 10, 15), ["15x10, but 30x20 by the file", "shrunk"]),
    ],
)  # fmt: skip
def test_one_bad_input_is_told_with_its_file(spoil, words, tmp_path):
    write(tmp_path, ("leaf", LEAF))
    spoil(tmp_path)
    text = told(tmp_path)
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full(SIZE, 9), "class value 9 is not in"),
        (np.zeros((2, 3, 4), np.int32), "is not a NumPy file of a mask, integers (height, width)"),
        (np.zeros(SIZE), "is not a NumPy file of a mask, integers (height, width)"),
        (np.array([{"a": 1}], object), "is not a NumPy file of a mask"),
        (None, "is not a NumPy file of a mask"),
    ],
)
def test_bad_numpy_files_are_told(values, words, tmp_path):
    labelme2voc(tmp_path, "npy")
    if values is None:
        (tmp_path / "SegmentationClass/a.npy").write_bytes(b"\x93NUMPY\x01\x00")
    else:
        np.save(tmp_path / "SegmentationClass/a.npy", values)
    assert words in told(tmp_path)


def test_modes_and_class_names_that_cannot_be(tmp_path):
    labelme2voc(tmp_path, "newer")
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "SegmentationClass/a.png")
    assert "SegmentationClass/a.png has mode RGB" in told(tmp_path)
    (tmp_path / "class_names.txt").write_text("_background_\nleaf\nleaf\n")
    assert "class_names.txt has the class 'leaf' twice" in told(tmp_path)
