"""What the VOC importer says of bad data."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from voc_trees import annotation, first_id, plain_tree, read_plain, save_map

from wsis_steps.data.settings import DataDrawShapes
from wsis_steps.data.shapes import draw_voc_tree
from wsis_steps.data.voc import read_objects, read_voc
from wsis_steps.data.voc_masks import read_sbd_masks
from wsis_steps.engine.errors import InputError


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


def _flat_box(tree, name):
    (tree / f"Annotations/{name}.xml").write_text(annotation(("ring", (9, 5, 5, 9), 0)))


def _far_box(tree, name):
    (tree / f"Annotations/{name}.xml").write_text(annotation(("ring", (900, 5, 950, 9), 0)))


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
        (_flat_box, ["{id}.xml", "object 1 (ring)", "no area"]),
        (_far_box, ["{id}.xml", "object 1 (ring)", "outside", "48x48"]),
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
        read_voc(tree, "train", "val")
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in words:
        assert word.format(id=name) in sentence


def test_masks_of_both_kinds_smaller_than_the_image(tree):
    name = first_id(tree)
    for folder in ("SegmentationObject", "SegmentationClass"):
        save_map(tree / folder / f"{name}.png", np.eye(40))
    with pytest.raises(InputError, match=rf"{name}\.png is 40x40 but .*{name}\.jpg is 48x48"):
        read_voc(tree, "train", "val")


def test_many_bad_files_are_listed_together(tree):
    names = (tree / "ImageSets/Segmentation/train.txt").read_text().split()
    _lose("JPEGImages", "jpg")(tree, names[0])
    _break_xml(tree, names[1])
    _truncate_mask(tree, names[2])
    _repeat(tree, names[3])
    with pytest.raises(InputError) as caught:
        read_voc(tree, "train", "val")
    lines = str(caught.value).splitlines()
    assert "4 problems" in lines[0]
    assert all(any(name in line for line in lines[1:]) for name in names[:4])


def test_a_wrong_order_of_classes_is_noticed_from_the_masks(tree):
    wrong = ["triangle", "star", "square", "ring", "disc", "cross"]
    with pytest.raises(InputError, match=r"of 9 masks show a class .* set `class_names`"):
        read_voc(tree, "train", "val", class_names=wrong)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"difficult": "excluded"}, "nearest is 'exclude'"),
        ({"sbd_root": "/nowhere"}, "SBD is not in /nowhere"),
        ({"labels": "/nowhere.txt"}, "/nowhere.txt does not exist"),
    ],
)
def test_bad_settings_are_one_sentence(tmp_path, options, words):
    plain_tree(tmp_path)
    with pytest.raises(InputError, match=words):
        read_plain(tmp_path, **options)


def test_a_wrong_list_or_root_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"VOCtrainval.*2\.0 GB"):
        read_voc(tmp_path, "train", "val")
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
    with pytest.raises(InputError, match=r"a\.xml: object 1 has no <name>"):
        read_objects(tmp_path / "a.xml")
