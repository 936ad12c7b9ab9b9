"""XML files of boxes without lists: which picture each is of, its subset, and its boxes."""

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from authors import Mark, Picture, labelimg, write_picture
from imports import imported

from wsis_steps.engine.errors import InputError
from wsis_steps.formats import labelimg as reader
from wsis_steps.formats.labelimg import looks_like, read
from wsis_steps.formats.subsets import folder_splits
from wsis_steps.formats.table import find_format
from wsis_steps.vision.masks import decode

DOG = Mark("box", "dog", (10, 20, 50, 60))


def write(xml: Path, picture: Path | None, file: str = "", marks=(DOG,), size=(80, 120)):
    """An XML file that names a picture, and the picture."""
    xml.parent.mkdir(parents=True, exist_ok=True)
    name = file or (picture.name if picture else "")
    xml.write_text("".join(labelimg.lines(Picture(name, tuple(marks), size), xml.parent)))
    if picture:
        write_picture(picture, *size)


def paths(dataset, root):
    return {record.path.relative_to(root).as_posix(): record.split for record in dataset.records}


def told(root, annotations=None, **settings):
    with pytest.raises(InputError) as caught:
        imported(read, root, annotations, **settings)
    return caught.value.sentences


def test_boxes_are_corners_of_pixels_counted_from_0_with_their_tags_and_no_mask(tmp_path):
    write(tmp_path / "a.xml", tmp_path / "a.jpg", marks=[DOG, Mark("box", "cat", (1, 1, 120, 80))])
    dataset = imported(read, tmp_path, val_share=0)
    [record] = dataset.records
    assert dataset.class_names == ["cat", "dog"] and record.tags == (0, 1)
    assert record.boxes.tolist() == [[10, 20, 50, 60, 1], [1, 1, 120, 80, 0]]
    assert not len(record.points) and dataset.truth(record) is None
    assert "Objects without a mask in the split train: 2 " in told(tmp_path, val_share=0, truth=("train",))[0]


@pytest.mark.parametrize(
    ("xml", "picture"),
    [
        ("a.xml", "a.jpg"),
        ("Annotations/a.xml", "JPEGImages/a.png"),
        ("one/labels/a.xml", "one/images/a.jpg"),
        ("labels/a.xml", "photos/2024/a.jpg"),
        ("A.B/plot_0.5m.xml", "A.B/plot_0.5m.jpg"),
    ],
)
def test_the_picture_of_an_xml_file_has_its_name(xml, picture, tmp_path):
    write(tmp_path / xml, tmp_path / picture, file="an_older_name.jpg")
    assert list(paths(imported(read, tmp_path, val_share=0), tmp_path)) == [picture]


def test_annotations_may_lie_in_a_folder_elsewhere_or_be_one_file(tmp_path):
    write(tmp_path / "xml/train/a.xml", tmp_path / "photos/train/a.jpg")
    write(tmp_path / "xml/valid/a.xml", tmp_path / "photos/valid/a.jpg")
    dataset = imported(read, tmp_path / "photos", tmp_path / "xml")
    assert paths(dataset, tmp_path / "photos") == {"train/a.jpg": "train", "valid/a.jpg": "val"}
    write(tmp_path / "xml/b.xml", tmp_path / "photos/train/b.jpg")
    one = imported(read, tmp_path / "photos", tmp_path / "xml/b.xml", val_share=0)
    assert list(paths(one, tmp_path / "photos")) == ["train/b.jpg"]
    assert one.left_out == {"pictures_not_listed": 2}


def test_what_the_file_names_counts_where_its_own_name_is_no_picture_s(tmp_path):
    write(tmp_path / "boxes_of_a.xml", tmp_path / "a.jpg")
    assert list(paths(imported(read, tmp_path, val_share=0), tmp_path)) == ["a.jpg"]
    (tmp_path / "a.jpg").unlink()
    assert "there is no picture 'a.jpg'" in told(tmp_path)[0]


def test_names_that_several_pictures_have_are_told_or_settled_by_the_file(tmp_path):
    write(tmp_path / "a.xml", tmp_path / "a.jpg", file="a.jpeg")
    write_picture(tmp_path / "a.jpeg", 80, 120)
    assert list(paths(imported(read, tmp_path, val_share=0), tmp_path)) == ["a.jpeg"]
    write(tmp_path / "a.xml", None, file="else.jpg")
    assert "'a' may be any of 2 pictures" in told(tmp_path)[0]


@pytest.mark.parametrize("folders", [("train", "valid", "test"), ("Training", "validation", "testing")])
def test_folders_that_are_subsets_are_the_splits_and_others_are_counted(folders, tmp_path):
    for number, folder in enumerate(folders):
        for k in range(number + 1):
            write(
                tmp_path / folder / f"{k}.xml", tmp_path / folder / f"{k}.jpg", marks=[DOG, replace(DOG, label="cat")]
            )
    dataset = imported(read, tmp_path)
    assert sorted(paths(dataset, tmp_path).values()) == ["train", "val", "val"]
    assert dataset.left_out == {"pictures_of_other_subsets": 3, "shapes_of_pictures_left_out": 6}


def test_a_folder_that_is_no_subset_makes_the_others_none(tmp_path):
    for folder in ("train", "garden"):
        write(tmp_path / folder / "a.xml", tmp_path / folder / "a.jpg")
    assert set(paths(imported(read, tmp_path, val_share=0.5), tmp_path).values()) == {"train", "val"}


def test_a_turned_rectangle_is_a_polygon(tmp_path):
    write(tmp_path / "a.xml", tmp_path / "a.jpg", marks=[])
    turned = (
        "<object><type>robndbox</type><name>dog</name><robndbox><cx>60</cx><cy>40</cy><w>40</w><h>20</h>"
        f"<angle>{math.pi / 2}</angle></robndbox></object></annotation>"
    )
    (tmp_path / "a.xml").write_text((tmp_path / "a.xml").read_text().replace("</annotation>", turned))
    dataset = imported(read, tmp_path, val_share=0, truth=("train",))
    np.testing.assert_allclose(dataset.records[0].boxes[0, :4], (50, 20, 70, 60), atol=1)
    assert len(dataset.truth(dataset.records[0]).masks) == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<width>120<", "<width>wide<", "its <size> is 'wide' by '80'"),
        ("<width>120<", "<width>-120<", "its <size> is '-120' by '80'"),
        ("<width>120<", "<width>1e400<", "its <size> is '1e400' by '80'"),
        ("<xmin>10<", "<xmin>ten<", "the <bndbox> of object 1 (dog) is not four numbers"),
        ("<xmin>10</xmin>", "", "the <bndbox> of object 1 (dog) is not four numbers"),
        ("<xmin>10<", "<xmin>nan<", "object 1 (dog): its box holds a value that is no number"),
        ("<xmin>10<", "<xmin>-1e308<", "object 1 (dog): its box (-1e+308, 20, 50, 60) leaves the picture of 120x80"),
        ("<xmax>50<", "<xmax>5<", "object 1 (dog): its box (10, 20, 5, 60) ends before it begins"),
        ("<name>dog</name>", "", "object 1 has no <name>"),
        ("<annotation>", "<annotations>", "is not an XML file: it breaks off or breaks XML's rules at "),
        ("</annotation>", "", "is not an XML file: it breaks off or breaks XML's rules at "),
        ("<annotation>", '<?xml version="1.0" encoding="x-none"?><annotation>', "its encoding is unknown; save"),
        ("<annotation>", '<?xml version="1.0" encoding="gb2312"?><annotation>', "its encoding is unknown; save"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_one_sentence_that_names_it(old, new, words, tmp_path):
    write(tmp_path / "a.xml", tmp_path / "a.jpg")
    text = (tmp_path / "a.xml").read_text()
    assert old in text
    (tmp_path / "a.xml").write_text(text.replace(old, new))
    [sentence] = told(tmp_path, val_share=0)
    assert sentence.startswith(str(tmp_path / "a.xml")) and words in sentence


def test_all_that_is_wrong_with_several_files_is_listed_together(tmp_path):
    for name in "abc":
        write(tmp_path / f"{name}.xml", tmp_path / f"{name}.jpg", marks=[DOG, DOG])
        text = (tmp_path / f"{name}.xml").read_text()
        (tmp_path / f"{name}.xml").write_text(text.replace("<xmin>10<", "<xmin>x<"))
    assert len(told(tmp_path)) == 6


@pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>", "<size/>"])
def test_a_size_that_is_missing_or_0_is_not_stated(size, tmp_path):
    write_picture(tmp_path / "a.jpg", 80, 120)
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    (tmp_path / "a.xml").write_text(f"<annotation>{size}<object><name>dog</name>{box}</object></annotation>")
    assert len(imported(read, tmp_path, val_share=0).records[0].boxes) == 1


def test_names_that_are_no_class_and_boxes_of_less_than_a_pixel_are_counted(tmp_path):
    marks = [
        DOG,
        Mark("box", "", (1, 1, 9, 9)),
        Mark("box", "background", (1, 1, 9, 9)),
        Mark("box", "dog", (7, 7, 7, 9)),
    ]
    write(tmp_path / "a.xml", tmp_path / "a.jpg", marks=marks)
    dataset = imported(read, tmp_path, val_share=0)
    assert dataset.left_out == {"shapes_of_no_class": 2, "boxes_under_one_pixel": 1} and dataset.counts["shapes"] == 1


POLYGONS = {
    "roboflow": "<polygon><x1>20</x1><y1>10</y1><x2>60</x2><y2>10</y2><x3>20</x3><y3>50</y3></polygon>",
    "web": "<polygon><username>me</username><pt><x>20</x><y>10</y></pt><pt><x>60</x><y>10</y></pt><pt><x>20</x>"
    "<y>50</y></pt></polygon>",
}
BOX = "<bndbox><xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>"


@pytest.mark.parametrize("polygon", POLYGONS)
@pytest.mark.parametrize("box", ["", BOX])
def test_polygons_beside_a_box_or_without_one_are_masks(polygon, box, tmp_path):
    write(tmp_path / "a.xml", tmp_path / "a.jpg", marks=())
    thing = f"<object><name>cat</name>{box}{POLYGONS[polygon]}<deleted>{{}}</deleted></object>"
    text = (tmp_path / "a.xml").read_text()
    (tmp_path / "a.xml").write_text(text.replace("</annotation>", f"{thing.format(0)}{thing.format(1)}</annotation>"))
    dataset = imported(read, tmp_path, truth=("train", "val"), val_share=0)
    [mask] = dataset.truth(dataset.records[0]).masks
    assert decode([mask], 80, 120).sum() == pytest.approx(800, rel=0.05)
    np.testing.assert_allclose(dataset.records[0].boxes[:, :4], [(20, 10, 60, 50)], atol=1)
    assert dataset.left_out == {"deleted_objects": 1} and not dataset.doubts


@pytest.mark.parametrize("polygon", ["<x1>1</x1>", "<x1>1</x1><y1>a</y1>", "<pt><x>3</x></pt>"])
def test_a_polygon_that_is_none_is_one_sentence(polygon, tmp_path):
    write(tmp_path / "a.xml", tmp_path / "a.jpg")
    text = (tmp_path / "a.xml").read_text()
    (tmp_path / "a.xml").write_text(text.replace("</bndbox>", f"</bndbox><polygon>{polygon}</polygon>"))
    assert "the <polygon> of object 1 (dog) is not x and y of each corner in numbers" in told(tmp_path)[0]


def test_what_it_looks_like(tmp_path):
    assert not looks_like(tmp_path) and not looks_like(tmp_path / "absent")
    (tmp_path / "annotations.xml").write_text("<annotations><image/></annotations>")
    assert not looks_like(tmp_path)
    write(tmp_path / "deep/a.xml", None, file="a.jpg")
    assert looks_like(tmp_path) and looks_like(tmp_path / "deep/a.xml")
    assert not looks_like(tmp_path / "annotations.xml")
    assert "is not an image annotation: it begins with <annotations>" in told(tmp_path)[0]
    with pytest.raises(InputError, match="holds no XML files of boxes"):
        (tmp_path / "empty").mkdir()
        imported(read, tmp_path / "empty")


def test_thousands_of_pictures_of_one_file_name_take_no_time_a_square_of_that(tmp_path, monkeypatch):
    names = [tmp_path / f"s{k:04}/image.png" for k in range(5000)]
    monkeypatch.setattr(reader, "walk", lambda root, suffixes: names)
    start = time.process_time()
    pictures = reader._Pictures(tmp_path)
    assert [pictures.find(path.with_suffix(".xml"), "") for path in names] == names
    xml = [path.parent / "../xml" / path.parent.name / "image.xml" for path in names]
    assert not any(pictures.find(path, "") for path in xml) and time.process_time() - start < 2


def test_lists_of_subsets_come_before_folders(tmp_path):
    for name in "abcd":
        write(tmp_path / f"Annotations/{name}.xml", tmp_path / f"JPEGImages/{name}.jpg")
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\ndog:10,10,10::\n")
    lists = tmp_path / "ImageSets/Main"
    lists.mkdir(parents=True)
    for split, name in {"train": "a", "val": "b", "test": "c", "dog_train": "d  1"}.items():
        (lists / f"{split}.txt").write_text(f"{name}\n")
    assert find_format(tmp_path) == "labelimg"
    dataset = imported(read, tmp_path)
    assert {record.path.stem: record.split for record in dataset.records} == {"a": "train", "b": "val"}
    assert dataset.left_out == {
        "shapes_of_pictures_left_out": 2, "pictures_not_listed": 1, "pictures_of_other_subsets": 1
    }  # fmt: skip
    (lists / "val.txt").write_text("a\nb\n")
    assert "a.xml: 'a' is in the lists of both train and val" in told(tmp_path)[0]


@pytest.mark.parametrize(("folders", "splits"), [
    (["train", "val", "."], ["train", "val", ""]),
    (["train", "car"], ["", ""]),  # classes of these names
    (["valid", "test"], ["val", None]),
])  # fmt: skip
def test_folders_that_are_called_as_subsets(folders, splits, tmp_path):
    assert folder_splits([tmp_path / name / "a.xml" for name in folders], tmp_path) == splits
