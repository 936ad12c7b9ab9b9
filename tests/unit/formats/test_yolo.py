"""YOLO's layouts as Ultralytics, Roboflow, CVAT, Label Studio and LabelImg write them, and what we write."""

import cv2
import numpy as np
import pytest
from authors import Mark, Picture, write_picture
from authors import yolo as author
from imports import imported
from pycocotools import mask as rle_codec

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.labelled import LabelledImage, Labels
from wsis_steps.formats.outlines import fill_outline, outline
from wsis_steps.formats.yolo import looks_like, read, write_yolo
from wsis_steps.vision.masks import decode, describe, encode

CLASSES = ("b & w <cat>", "döner: \U0001f959", "no")
SQUARE = np.array([(10.0, 10.0), (40.0, 10.0), (40.0, 40.0), (10.0, 40.0)])
BOX = "0 0.5 0.5 0.25 0.5"  # of a picture of 120x80: 45, 20, 75, 60
LEAF = Mark("box", "leaf", (45.0, 20.0, 75.0, 60.0))


def make(root, files, data="train: images\nnames: [leaf, stem]\n"):
    """A data.yaml, pictures of 120x80 and their labels; files: picture -> lines, None without a file."""
    for name, lines in files.items():
        write_picture(root / name, 80, 120)
        if lines is not None:
            labels = (root / name.replace("images", "labels")).with_suffix(".txt")
            labels.parent.mkdir(parents=True, exist_ok=True)
            labels.write_text(lines)
    if data is not None:
        (root / "data.yaml").write_text(data)
    return root


def splits(dataset):
    return {record.id: record.split for record in dataset.records}


def said(root, annotations=None):
    with pytest.raises(InputError) as error:
        imported(read, root, annotations)
    return str(error.value)


def test_boxes_polygons_and_pictures_without_objects(tmp_path):
    polygon = "1 " + " ".join(f"{x / 120:.6f} {y / 80:.6f}" for x, y in SQUARE)
    make(tmp_path, {"images/a.jpg": f"{BOX}\n\n{polygon}\n", "images/sub/b.png": "", "images/c.jfif": None})
    dataset = imported(read, tmp_path, val_share=0, truth=("train",), without_mask="leave_out")
    a, c, b = dataset.records
    assert [record.id for record in (a, b, c)] == ["a", "sub_b", "c"] and dataset.class_names == ["leaf", "stem"]
    np.testing.assert_allclose(a.boxes, [[10, 10, 40, 40, 1], [45, 20, 75, 60, 0]], atol=1e-3)
    assert a.tags == (0, 1) and a.points.shape == (1, 3) and b.tags == c.tags == ()
    assert decode(dataset.truth(a).masks, 80, 120).sum() == 900
    assert dataset.counts["shapes"] == 2 and not dataset.left_out
    assert imported(read, tmp_path, val_share=0, untouched="leave_out").left_out == {"pictures_untouched": 2}


LAYOUTS = {
    "ultralytics": (
        "path: .\ntrain: images/train\nval: images/val\ntest:\nnames:\n  0: leaf\n  1: stem\n",
        ("images/train/a.jpg", "images/val/b.jpg"),
    ),
    "roboflow": (
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['leaf', 'stem']\n\n"
        "roboflow:\n  workspace: w\n  url: https://universe.roboflow.com/w\n",
        ("train/images/a.jpg", "valid/images/b.jpg"),
    ),
    "roboflow_long_ago": (
        "train: leaves-1/train/images\nval: leaves-1/valid/images\nnc: 2\nnames: ['leaf', 'stem']\n",
        ("train/images/a.jpg", "valid/images/b.jpg"),
    ),
    "another_computer": (
        "path: /content/drive/MyDrive/leaves\ntrain: images/train\nval: images/val\nnames: [leaf, stem]\n",
        ("images/train/a.jpg", "images/val/b.jpg"),
    ),
    "windows": (
        "train: 'C:\\Users\\me\\leaves\\train'\nval: 'C:\\Users\\me\\leaves\\valid'\nnames: [leaf, stem]\n",
        ("train/images/a.jpg", "valid/images/b.jpg"),
    ),
    "folders_with_labels_beside": (
        "train: train\nval: [val, more]\nnames: [leaf, stem]\n",
        ("train/a.jpg", "val/b.jpg", "more/c.jpg"),
    ),
    "only_names": ("names: [leaf, stem]\nnc: 2\n", ("images/train/a.jpg", "images/validation/b.jpg")),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, tmp_path):
    data, pictures = LAYOUTS[name]
    make(tmp_path, dict.fromkeys(pictures, f"{BOX}\n"), data)
    assert looks_like(tmp_path) and looks_like(tmp_path / "data.yaml")
    for annotations in (None, tmp_path / "data.yaml"):
        dataset = imported(read, tmp_path, annotations)
        expected = {"a": "train", "b": "val", "c": "val"}
        assert splits(dataset) == dict(list(expected.items())[: len(pictures)])
        assert dataset.counts["boxes"] == len(pictures) and not dataset.left_out


@pytest.mark.parametrize(("last", "doubted"), [(" 0.2 0.6", True), (" 0.2 0.6 0.1 0.3", False)])
def test_rotated_boxes_may_be_meant_where_all_polygons_have_four_corners(last, doubted, tmp_path):
    turned = [f"0 0.2 0.2 0.5 0.{k} 0.5 0.6 0.2 0.6" for k in range(1, 10)]
    make(tmp_path, {"images/a.png": "\n".join([*turned, f"0 0.2 0.2 0.5 0.2 0.5 0.6{last}"])})
    doubts = imported(read, tmp_path).doubts
    assert any("polygons all have four corners" in doubt for doubt in doubts) == doubted


def test_lists_of_pictures(tmp_path):
    data = "path: .\ntrain: train.txt\nval: lists/val.txt\ntest: test.txt\nnames: [leaf, stem]\n"
    make(tmp_path, {f"images/{name}.jpg": f"{BOX}\n{BOX[:-1]}1\n" for name in "abcd"}, data)
    (tmp_path / "lists").mkdir()
    (tmp_path / "train.txt").write_text("./images/a.jpg\n\n")
    (tmp_path / "lists/val.txt").write_text("/content/leaves/images/b.jpg\n")
    (tmp_path / "test.txt").write_text("images/c.jpg\nimages/gone.jpg\n")
    dataset = imported(read, tmp_path)
    assert splits(dataset) == {"a": "train", "b": "val"} and dataset.counts["shapes"] == 4
    assert dataset.left_out == {
        "shapes_of_pictures_left_out": 4, "pictures_not_listed": 1, "pictures_of_other_subsets": 1
    }  # fmt: skip
    (tmp_path / "train.txt").write_text("images/a.jpg\nimages/e.jpg\n")
    assert "train.txt:2: there is no picture 'images/e.jpg'" in said(tmp_path)


def test_subsets_that_are_not_read_may_be_missing_and_are_counted(tmp_path):
    author.write(tmp_path, [Picture("a.jpg", (LEAF,)), Picture("b.jpg", (LEAF, LEAF), split="test")])
    dataset = imported(read, tmp_path, val_share=0)
    assert splits(dataset) == {"a": "train"}
    assert dataset.left_out == {"shapes_of_pictures_left_out": 2, "pictures_of_other_subsets": 1}


def test_without_val_a_share_is_kept_for_it(tmp_path):
    make(tmp_path, {f"images/{k}.jpg": f"{BOX}\n" for k in range(10)}, "train: images\nnames: [leaf]\nval:\n")
    assert list(splits(imported(read, tmp_path)).values()).count("val") == 2


def test_names_are_unique_over_splits_and_folders(tmp_path):
    data = "train: images/train\nval: images/val\nnames: [leaf]\n"
    make(tmp_path, dict.fromkeys(("images/train/a.jpg", "images/val/a.jpg", "images/val/b.jpg"), f"{BOX}\n"), data)
    assert splits(imported(read, tmp_path)) == {"images_train_a": "train", "images_val_a": "val", "b": "val"}


def test_pictures_in_two_subsets_are_told_in_one_sentence(tmp_path):
    make(tmp_path, {f"images/{k}.jpg": f"{BOX}\n" for k in range(3)}, "train: images\nval: images\nnames: [leaf]\n")
    text = said(tmp_path)
    assert "data.yaml: 3 pictures are in two of its subsets" in text and "0.jpg" in text and "leave out `val`" in text


@pytest.mark.parametrize("classes", ["classes.txt", "labels/classes.txt", "obj.names"])
def test_without_a_data_yaml_a_list_of_classes_will_do(classes, tmp_path):
    files = {"images/a.jpg": f"{BOX}\n", "images/b.jpg": f"1{BOX[1:]}\n"}
    if classes == "obj.names":  # as CVAT writes it, with labels beside the pictures
        files = {f"obj_{part}_data/{name}.jpg": f"{BOX}\n" for part, name in (("train", "a"), ("valid", "b"))}
    make(tmp_path, files, None)
    (tmp_path / classes).write_text("leaf\nstem\n\n")
    assert looks_like(tmp_path) and not looks_like(tmp_path / "images")
    dataset = imported(read, tmp_path)
    assert dataset.class_names == ["leaf", "stem"] and dataset.counts["boxes"] == 2
    assert sorted(splits(dataset)) == ["a", "b"] and not dataset.left_out
    if classes == "obj.names":
        assert splits(dataset) == {"a": "train", "b": "val"}


def test_names_are_what_is_written_and_not_what_yaml_makes_of_it(tmp_path):
    make(tmp_path, {"images/a.jpg": f"1{BOX[1:]}\n2{BOX[1:-1]}1"}, "train: images\nnames: {0: yes, 1: no, 2: 1.50}\n")
    assert imported(read, tmp_path, val_share=0).class_names == ["yes", "no", "1.50"]
    make(tmp_path, {}, "train: images\nnc: 3\n")
    assert imported(read, tmp_path, val_share=0).class_names == ["class_0", "class_1", "class_2"]


def test_keypoints_behind_a_box_are_counted(tmp_path):
    data = "train: images\nkpt_shape: [2, 3]\nnames: [leaf]\n"
    make(tmp_path, {"images/a.jpg": f"{BOX} 0.5 0.5 2 0.0 0 0\n"}, data)
    dataset = imported(read, tmp_path, val_share=0)
    assert dataset.records[0].boxes.tolist() == [[45, 20, 75, 60, 0]] and dataset.counts["masks"] == 0
    assert dataset.left_out == {"keypoints_of_objects": 1} and dataset.counts["shapes"] == 1
    make(tmp_path, {"images/a.jpg": f"{BOX} 0.5 0.5\n"}, data)
    assert "a.txt:1: it has 7 numbers; with keypoints it has 11" in said(tmp_path)


def test_lines_that_are_there_twice_count_once_as_in_ultralytics(tmp_path):
    make(tmp_path, {"images/a.jpg": f"{BOX}\n{BOX.replace(' 0.', ' .')}\n{BOX.replace('0.5', '0.50')}\n"})
    dataset = imported(read, tmp_path, val_share=0)
    assert dataset.counts["shapes"] == 1 and dataset.left_out == {"repeated_shapes": 2}
    make(tmp_path, {"images/a.jpg": f"{BOX}\n{BOX[1:]}\n{BOX}\n".replace("\n 0", "\n1 0")})
    dataset = imported(read, tmp_path, val_share=0)
    assert dataset.counts["shapes"] == 2 and dataset.left_out == {"repeated_shapes": 1}


LINES = {
    "0 0.5 0.5 0.5": "a.txt:1: it has 4 numbers; a box has 5",
    "0 0.5 0.5 0.1 0.1 0.9": "a.txt:1: it has 6 numbers; a box has 5 (class, middle x, middle y, width, height), a "
    "polygon a class and at least 3 corners; the last one may be the score of a prediction",
    "0 .1 .1 .2 .1 .2 .2 .9": "it has 8 numbers",
    "0": "it has 1 number;",
    "2 0.5 0.5 0.1 0.1": "a.txt:1: there is no class '2' in",
    "-1 0.5 0.5 0.1 0.1": "no class '-1'",
    "0.5 0.5 0.5 0.1 0.1": "no class '0.5'",
    "nan 0.5 0.5 0.1 0.1": "no class 'nan'",
    "leaf 0.5 0.5 0.1 0.1": "'leaf' is no number",
    "0 0,5 0,5 0,1 0,1": "'0,5' is no number",
    "0 60 40 30 40": "line 1: its box (5400, 1600, 9000, 4800) leaves the picture of 120x80; "
    "its numbers look like pixels",
    "0 nan 0.5 0.1 0.1": "line 1: its box holds a value that is no number",
    "0 0.5 0.5 -0.1 0.1": "ends before it begins",
    "0 10 10 40 10 40 40": "line 1: its polygon (1200, 800, 4800, 3200) leaves the picture of 120x80; its numbers look",
    "0 inf 0.1 0.2 0.1 0.2 0.2": "line 1: a polygon has a corner that is no number",
    "0 1e300 0.1 0.2 1e300 0.2 0.2": "leaves the picture of 120x80",
}


@pytest.mark.parametrize("line", LINES)
def test_a_wrong_line_is_told_with_its_place(line, tmp_path):
    text = said(make(tmp_path, {"images/a.jpg": f"{line}\n"}))
    assert LINES[line] in text and "a.txt" in text and "\n" not in text


def test_all_wrong_lines_are_told_together(tmp_path):
    make(tmp_path, {"images/a.jpg": "0 1\n0 2\n", "images/b.jpg": f"{BOX}\n7 {BOX}\n"})
    text = said(tmp_path)
    assert all(words in text for words in ("3 problems", "a.txt:1", "a.txt:2", "b.txt:2"))


def test_labels_without_a_picture_are_told_and_other_texts_are_none(tmp_path):
    make(tmp_path, {"images/a.jpg": f"{BOX}\n"})
    (tmp_path / "labels/b.txt").write_text(f"{BOX}\n")
    assert "b.txt: there is no picture 'b' that these labels are of" in said(tmp_path)
    (tmp_path / "labels/b.txt").write_text("")
    (tmp_path / "labels/classes.txt").write_text("leaf\nstem\n")
    (tmp_path / "images/README.txt").write_text("5 pictures\n")
    assert len(imported(read, tmp_path, val_share=0).records) == 1


def test_pictures_of_folders_that_nothing_names_are_counted_with_their_labels(tmp_path):
    make(
        tmp_path,
        {"images/train/a.jpg": f"{BOX}\n", "images/vall/b.jpg": f"{BOX}\n"},
        "train: images/train\nnames: [leaf]",
    )
    (tmp_path / "labels_before").mkdir()
    (tmp_path / "labels_before/a.txt").write_text(f"{BOX}\n1{BOX[1:]}\n")
    dataset = imported(read, tmp_path, val_share=0)
    assert splits(dataset) == {"a": "train"}
    assert dataset.left_out == {"shapes_of_pictures_left_out": 3, "pictures_not_listed": 1}


@pytest.mark.parametrize("place", ["annots/val/b.txt", "b.txt"])
def test_labels_where_none_are_looked_for_are_refused_where_their_picture_has_none(place, tmp_path):
    data = "train: images/train\nval: images/val\nnames: [leaf]\n"
    make(tmp_path, {"images/train/a.jpg": f"{BOX}\n", "images/val/b.jpg": None, "images/val/c.jpg": f"{BOX}\n"}, data)
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text(f"{BOX}\n")
    text = said(tmp_path)
    assert text.startswith(f"{tmp_path / place}: these may be the labels of {tmp_path}/images/val/b.jpg, which are ")
    assert f"looked for in {tmp_path}/labels/val/b.txt; move them." in text


def test_labels_of_two_pictures_are_told_unless_one_is_a_mask(tmp_path):
    make(tmp_path, {"images/a.jpg": f"{BOX}\n", "images/a.png": None})
    dataset = imported(read, tmp_path, val_share=0)
    assert dataset.records[0].path.name == "a.jpg" and dataset.left_out == {"pictures_not_listed": 1}
    write_picture(tmp_path / "images/a.jpeg", 80, 120)
    text = said(tmp_path)
    assert "a.txt: these may be the labels of" in text and "a.jpeg or of " in text


DATA = {
    "train: images\nnames: [a, b": "is not a YAML file: line",
    "train: images\nnames: !!python/object:os.x [a]\n  - b": "is not a YAML file",
    "- a\n": "not keys with their values",
    "": "holds nothing, not keys",
    "train: images\n": "its 'names' are None, not a list of classes",
    "train: images\nnames: leaf\n": "its 'names' are 'leaf'",
    "train: images\nnames: []\n": "names no class",
    "train: images\nnames: [leaf, [stem]]\n": "its 'names' hold '1': ['stem']",
    "train: images\nnames: {a: leaf}\n": "its 'names' hold 'a': 'leaf'",
    "train: images\nnames: [leaf, leaf]\n": "names the class 'leaf' 2 times",
    "train: images\nnames: [leaf]\nnc: 2\n": "its 'nc' is 2, but it has 1 'names'",
    "train: images\nnames: [leaf]\nnc: 1e9\n": "its 'nc' is '1e9'",
    "train: images\nnc: 99999999999\n": "its 'nc' is '99999999999'",
    "train: imges\nnames: [leaf]\n": "its 'train' is 'imges', and there is no such folder or file",
    "train: images\nval: ../valid/images\nnames: [leaf]\n": "its 'val' is '../valid/images', and there is no such",
    "train: {a: images}\nnames: [leaf]\n": "its 'train' is {'a': 'images'}, not a folder",
    "train: [[images]]\nnames: [leaf]\n": "its 'train' is ['images'], not a folder",
    "train: labels\nnames: [leaf]\n": "its 'train' is 'labels', which holds no picture",
    "train: data.yaml\nnames: [leaf]\n": "there is no picture 'train: data.yaml'",
    "path: [a]\ntrain: images\nnames: [leaf]\n": "its 'path' is ['a'], not a folder",
    "train: images\nkpt_shape: 3\nnames: [leaf]\n": "its 'kpt_shape' is '3', not two numbers",
    f"train: {'x' * 300}\nnames: [leaf]\n": "and there is no such folder or file",
    'train: "a\\0b"\nnames: [leaf]\n': "and there is no such folder or file",
    "names: &a [*a]\ntrain: images\n": "is not a YAML file: line 1",
    f"names: {'[' * 3000}": "is not a YAML file",
}


@pytest.mark.parametrize("data", DATA, ids=range(len(DATA)))
def test_a_wrong_data_yaml_is_told_in_a_sentence(data, tmp_path):
    make(tmp_path, {"images/a.jpg": f"{BOX}\n"}, data)
    text = said(tmp_path)
    assert DATA[data] in text and "data.yaml" in text and "\n" not in text


def test_which_file_names_the_classes(tmp_path):
    make(tmp_path, {"images/a.jpg": f"{BOX}\n"}, None)
    assert "has no data.yaml, which names the classes and the folders, nor a classes.txt" in said(tmp_path)
    assert not looks_like(tmp_path) and not looks_like(tmp_path / "absent")
    (tmp_path / "leaves.yaml").write_text("names: [leaf]\ntrain: images\n")
    (tmp_path / "settings.yml").write_text("dataset: leaves\n")
    assert imported(read, tmp_path, val_share=0).class_names == ["leaf"]
    assert not looks_like(tmp_path / "settings.yml")
    (tmp_path / "b.yaml").write_text("names: [stem]\ntrain: images\n")
    assert "has 2 files that may be its data.yaml: b.yaml, leaves.yaml" in said(tmp_path)
    assert imported(read, tmp_path, tmp_path / "b.yaml", val_share=0).class_names == ["stem"]
    (tmp_path / "c.json").write_text("{}")
    assert "c.json is neither a data.yaml nor a classes.txt" in said(tmp_path, tmp_path / "c.json")
    assert "d.yaml does not exist" in said(tmp_path, tmp_path / "d.yaml")


def test_the_data_yaml_may_lie_elsewhere(tmp_path):
    make(tmp_path / "data", {"images/a.jpg": f"{BOX}\n"}, None)
    (tmp_path / "leaves.yaml").write_text("path: data\ntrain: images\nnames: [leaf]\n")
    assert splits(imported(read, tmp_path / "data", tmp_path / "leaves.yaml", val_share=0)) == {"a": "train"}
    (tmp_path / "settings").mkdir()
    (tmp_path / "leaves.yaml").rename(tmp_path / "settings/leaves.yaml")
    dataset = imported(read, tmp_path / "data", tmp_path / "settings/leaves.yaml", val_share=0)
    assert splits(dataset) == {"a": "train"} and not dataset.left_out
    (tmp_path / "settings/leaves.yaml").write_text("path: ../data\ntrain: images\nnames: [leaf]\n")
    assert splits(imported(read, tmp_path / "settings", val_share=0)) == {"a": "train"}


def blobs(seed, count, height, width):
    """Random masks of several parts with holes, no two of which share a pixel."""
    noise = np.random.default_rng(seed).normal(size=(count, height, width)).astype(np.float32)
    found = np.stack([cv2.GaussianBlur(plane, (0, 0), 3) > 0.06 for plane in noise]).astype(np.uint8)
    return found * (np.cumsum(found, axis=0) == 1)


@pytest.fixture
def labels(tmp_path):
    """A function that makes labels of three pictures, the last without instances; the masks by the ids of pictures."""
    images, truth = [], {}
    for k, (height, width) in enumerate([(40, 50), (33, 21), (16, 16)]):
        masks = blobs(k, 3, height, width) if k < 2 else np.zeros((0, height, width), np.uint8)
        instances = describe(encode(masks), np.arange(len(masks)), crowd=np.arange(len(masks)) == 7)
        suffix = ".jpg" if k == 0 else ".png"
        picture = cv2.imencode(suffix, np.full((height, width, 3), 40 * k, np.uint8))[1].tobytes()
        images.append(LabelledImage(f"im {k}", picture, suffix, height, width, instances))
        truth[f"im {k}"] = masks
    return (lambda: Labels(iter(images), 3, CLASSES, "train", False, "")), truth


def test_lines_are_a_class_and_places_between_0_and_1(labels, tmp_path):
    make_labels, truth = labels
    write_yolo(tmp_path, make_labels())
    for identity, masks in truth.items():
        lines = (tmp_path / f"labels/train/{identity}.txt").read_text().splitlines()
        assert [int(line.split()[0]) for line in lines] == list(range(len(masks)))
        for line, mask in zip(lines, masks, strict=True):
            places = np.array(line.split()[1:], float).reshape(-1, 2)
            assert ((places > 0) & (places < 1)).all()
            pixels = places * mask.shape[::-1]
            for found in (pixels.astype(np.int32), np.round(pixels)):  # as Ultralytics and as supervision read them
                np.testing.assert_array_equal(found, outline(mask))


def test_what_is_written_is_read_again_as_ultralytics_fills_it(labels, tmp_path):
    make_labels, truth = labels
    write_yolo(tmp_path, make_labels())
    dataset = imported(read, tmp_path, truth=("train",), val_share=0)
    assert list(dataset.class_names) == list(CLASSES) and sorted(splits(dataset)) == sorted(truth)
    for record in dataset.records:
        found = dataset.truth(record)
        for code, mask in zip(found.masks, truth[record.id], strict=True):
            filled = fill_outline(outline(mask) + 0.25, *mask.shape)
            np.testing.assert_array_equal(decode([code], *mask.shape)[0], filled)
            assert (filled >= mask).all() and (filled & mask).sum() / filled.sum() > 0.8


def test_splits_add_up_and_crowds_are_left_out(labels, tmp_path):
    make_labels, _ = labels
    train, val = make_labels(), make_labels()
    val.split = "val"
    write_yolo(tmp_path, train)
    write_yolo(tmp_path, val)
    assert set(splits(imported(read, tmp_path)).values()) == {"train", "val"}
    mask = np.ones((1, 4, 4), np.uint8)
    crowd = describe(encode(mask), np.zeros(1, int), crowd=np.ones(1, bool))
    picture = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    write_yolo(
        tmp_path / "crowd", Labels([LabelledImage("a", picture, ".png", 4, 4, crowd)], 1, CLASSES, "val", False, "")
    )
    assert (tmp_path / "crowd/labels/val/a.txt").read_text() == ""


def test_our_polygons_that_somebody_moved_out_of_the_picture_are_told(labels, tmp_path):
    write_yolo(tmp_path, labels[0]())
    path = tmp_path / "labels/train/im 0.txt"
    path.write_text(path.read_text() + "0 0.1 0.1 0.2 0.1 1.5 0.3\n")
    assert "im 0.txt: line 4" in said(tmp_path)


def test_polygons_of_others_are_filled_as_in_the_other_formats(tmp_path):
    author.write(tmp_path, [Picture("a.jpg", (Mark("polygon", "leaf", SQUARE + 0.3),))])
    [record] = (dataset := imported(read, tmp_path, truth=("train",), val_share=0)).records
    code = rle_codec.frPyObjects([(SQUARE + 0.3).ravel().tolist()], 80, 120)
    np.testing.assert_array_equal(decode(dataset.truth(record).masks, 80, 120), decode(code, 80, 120))


def test_supervision_reads_what_is_written(labels, tmp_path):
    supervision = pytest.importorskip("supervision", reason="needs supervision: make test-tools")
    make_labels, truth = labels
    write_yolo(tmp_path, make_labels())
    folders = [str(tmp_path / name / "train") for name in ("images", "labels")]
    found = supervision.DetectionDataset.from_yolo(*folders, str(tmp_path / "data.yaml"), force_masks=True)
    assert found.classes == list(CLASSES)
    for path, _, seen in found:
        masks = truth[path.rsplit("/", 1)[-1].rsplit(".", 1)[0]]
        assert seen.class_id.tolist() == list(range(len(masks)))
        for mask, there in zip(masks, seen.mask if len(masks) else (), strict=True):
            np.testing.assert_array_equal(there, fill_outline(outline(mask) + 0.25, *mask.shape) > 0)


def test_ultralytics_reads_what_is_written(labels, tmp_path):
    utils = pytest.importorskip("ultralytics.data.utils", reason="needs ultralytics: make test-tools")
    make_labels, truth = labels
    path = write_yolo(tmp_path, make_labels())
    assert list(utils.YAML.load(path)["names"].values()) == list(CLASSES)
    for picture in sorted((tmp_path / "images/train").iterdir()):
        [place] = utils.img2label_paths([str(picture)])
        found = utils.verify_image_label((str(picture), place, "", False, len(CLASSES), 0, 0, False))
        _, lines, (height, width), polygons, *_ = found
        masks = truth[picture.stem]
        assert lines[:, 0].tolist() == list(range(len(masks)))
        for mask, polygon in zip(masks, polygons, strict=True):
            filled = utils.polygon2mask((height, width), [(polygon * [width, height]).reshape(-1)], color=1)
            np.testing.assert_array_equal(filled, fill_outline(outline(mask) + 0.25, *mask.shape))
