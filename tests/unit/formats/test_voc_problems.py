"""What the VOC importer says of bad data."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from voc_trees import annotation, first_id, plain_tree, read_plain, read_voc, save_map

from wsis_steps.data.settings import DataDrawShapes
from wsis_steps.data.shapes import draw_voc_tree
from wsis_steps.engine.errors import InputError
from wsis_steps.formats.voc_annotations import read_annotation
from wsis_steps.formats.voc_masks import read_sbd_masks


@pytest.fixture
def tree(tmp_path):
    draw_voc_tree(tmp_path, DataDrawShapes(image_size=48, train=6, val=3, seed=3))
    return tmp_path


def _break_xml_class(tree, name):
    path = tree / f"Annotations/{name}.xml"
    head, _, tail = path.read_text().partition("<name>")
    path.write_text(f"{head}<name>sqare</name>{tail.partition('</name>')[2]}")


def _break_xml(tree, name):
    (tree / f"Annotations/{name}.xml").write_text("<annotation><object>")


def _break_box(tree, name):
    (tree / f"Annotations/{name}.xml").write_text(annotation(("ring", (5, 5, 5, "wide"), 0)))


def _first_box(*corners):
    def put(tree, name):
        path = tree / f"Annotations/{name}.xml"
        text = path.read_text()
        for tag, corner in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            text = re.sub(f"<{tag}>.*?</{tag}>", f"<{tag}>{corner}</{tag}>", text, count=1)
        path.write_text(text)

    return put


def _lose(folder, suffix):
    def lose(tree, name):
        (tree / folder / f"{name}.{suffix}").unlink()

    return lose


def _map(folder, values):
    def put(tree, name):
        save_map(tree / folder / f"{name}.png", values)

    return put


def _truncate_mask(tree, name):
    path = tree / f"SegmentationClass/{name}.png"
    path.write_bytes(path.read_bytes()[:-60])


def _color_mask(tree, name):
    Image.new("RGB", (48, 48)).save(tree / f"SegmentationObject/{name}.png")


def _repeat(tree, name):
    path = tree / "ImageSets/Segmentation/train.txt"
    path.write_text(f"{path.read_text()}{name}\n")


def _both_lists(tree, name):
    path = tree / "ImageSets/Segmentation/val.txt"
    path.write_text(f"{path.read_text()}{name}\n")


def _empty_list(tree, name):
    (tree / "ImageSets/Segmentation/val.txt").write_text("\n\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_break_xml_class, ["{id}.xml", "'sqare'", "'square'"]),
        (_break_xml, ["{id}.xml", "not an XML file"]),
        (_break_box, ["{id}.xml", "object 1 (ring)", "not four numbers"]),
        (_first_box(9, 5, 5, 9), ["{id}.xml: object 1 (", "ends before it begins"]),
        (_first_box(900, 5, 950, 9), ["{id}.xml: object 1 (", "leaves the picture of 48x48"]),
        (_first_box("nan", 5, 7, 9), ["{id}.xml: object 1 (", "holds a value that is no number"]),
        (_lose("Annotations", "xml"), ["{id}.xml does not exist"]),
        (_lose("JPEGImages", "jpg"), ["train.txt:1", "no image '{id}'"]),
        (_lose("SegmentationObject", "png"), ["SegmentationObject/{id}.png does not exist", "`truth`"]),
        (_lose("SegmentationClass", "png"), ["SegmentationClass/{id}.png does not exist"]),
        (_map("SegmentationObject", np.zeros((48, 40))), ["{id}.png is 40x48", "48x48"]),
        (_map("SegmentationObject", np.full((48, 48), 255)), ["{id}.png", "void (255) everywhere"]),
        (_map("SegmentationClass", np.zeros((48, 48))), ["object 1 has no class", "{id}.png"]),
        (_map("SegmentationClass", np.full((48, 48), 9)), ["{id}.png", "class value 9", "1..6"]),
        (_truncate_mask, ["SegmentationClass/{id}.png", "cut short or damaged"]),
        (_color_mask, ["SegmentationObject/{id}.png", "mode RGB"]),
        (_repeat, ["train.txt:7", "'{id}'", "line 1"]),
        (_both_lists, ["val.txt:4", "'{id}'", "train.txt:1"]),
        (_empty_list, ["val.txt lists no image"]),
    ],
)
def test_one_bad_input_is_one_sentence_that_names_it(tree, spoil, words):
    name = first_id(tree)
    spoil(tree, name)
    with pytest.raises(InputError) as caught:
        read_voc(tree)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in words:
        assert word.format(id=name) in sentence


def test_masks_of_both_kinds_smaller_than_the_image(tree):
    name = first_id(tree)
    for folder in ("SegmentationObject", "SegmentationClass"):
        save_map(tree / folder / f"{name}.png", np.eye(40))
    with pytest.raises(InputError, match=rf"{name}\.png is 40x40, but .*{name}\.xml says 48x48"):
        read_voc(tree)


def test_many_bad_files_are_listed_together(tree):
    names = (tree / "ImageSets/Segmentation/train.txt").read_text().split()
    _lose("JPEGImages", "jpg")(tree, names[0])
    _break_xml(tree, names[1])
    _truncate_mask(tree, names[2])
    _repeat(tree, names[3])
    with pytest.raises(InputError) as caught:
        read_voc(tree)
    lines = str(caught.value).splitlines()
    assert "4 problems" in lines[0]
    assert all(any(name in line for line in lines[1:]) for name in names[:4])


def test_a_wrong_order_of_classes_is_noticed_from_the_masks(tree):
    wrong = ("triangle", "star", "square", "ring", "disc", "cross")
    with pytest.raises(InputError, match=r"of 9 masks show a class .* set `class_names`"):
        read_voc(tree, class_names=wrong)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sbd_root": Path("/nowhere")}, "SBD is not in /nowhere"),
        ({"labels": Path("/nowhere.txt")}, "/nowhere.txt does not exist"),
    ],
)
def test_bad_settings_are_one_sentence(tmp_path, options, words):
    plain_tree(tmp_path)
    with pytest.raises(InputError, match=words):
        read_plain(tmp_path, **options)


def test_a_wrong_list_or_root_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"VOCtrainval.*2\.0 GB"):
        read_voc(tmp_path)
    plain_tree(tmp_path / "t")
    with pytest.raises(InputError, match="nearest is 'train'"):
        read_voc(tmp_path / "t", "trian", "val")


def test_bad_sbd_files_are_one_sentence(tmp_path):
    (tmp_path / "text.mat").write_text("no")
    savemat(tmp_path / "other.mat", {"x": 1})
    savemat(tmp_path / "few.mat", {"GTinst": {"Segmentation": np.full((2, 2), 3, np.uint8), "Categories": [[1]]}})
    for name in ("text", "other", "few", "absent"):
        with pytest.raises(InputError, match=f"{name}.mat"):
            read_sbd_masks(tmp_path / f"{name}.mat")


def test_an_unnamed_object_is_refused(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation><object><bndbox/></object></annotation>")
    assert read_annotation(tmp_path / "a.xml").wrong == [f"{tmp_path / 'a.xml'}: object 1 has no <name>."]
    plain_tree(tmp_path / "t")
    (tmp_path / "t/Annotations/a.xml").write_text((tmp_path / "a.xml").read_text())
    with pytest.raises(InputError, match=r"a\.xml: object 1 has no <name>"):
        read_plain(tmp_path / "t")
