"""Pictures in a folder a class, as ImageNet's."""

import numpy as np
import pytest
from PIL import Image
from voc_trees import plain_tree

from wsis_steps.data.class_folders import read_class_folders
from wsis_steps.engine.errors import InputError


@pytest.fixture
def root(tmp_path):
    """Three folders of pictures, one of them with a subfolder."""
    for name in ("n01/a.JPEG", "n01/b.JPEG", "n02/a.JPEG", "n02/more/c.JPEG", "n03/d.JPEG"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(path, format="JPEG")
    (tmp_path / "images" / "readme.txt").write_text("not a folder")
    return tmp_path / "images"


def read(root, *paths, **options):
    return read_class_folders(root, *paths, **{"val_list": "val", "val_share": 0.2, "truth": ("val",), **options})


def class_map(root, text):
    path = root.parent / "classes.csv"
    path.write_text(text)
    return path


def tags(data):
    return {record.id: tuple(data.class_names[tag] for tag in record.tags) for record in data.records}


def test_every_folder_is_a_class(root):
    data = read(root, val_share=0)
    assert data.class_names == ["n01", "n02", "n03"]
    assert tags(data) == {
        "n01_a": ("n01",), "n01_b": ("n01",), "n02_a": ("n02",), "n02_more_c": ("n02",), "n03_d": ("n03",)
    }  # fmt: skip
    assert {record.split for record in data.records} == {"train"} and data.truth(data.records[0]) is None


def test_several_folders_may_be_one_class_and_others_be_left_out(root):
    data = read(root, class_map(root, "folder,class\nn03,dog\nn01,dog\n"), val_share=0)
    assert data.class_names == ["dog"] and set(tags(data)) == {"n01_a", "n01_b", "n03_d"}
    assert data.counts == {"folders": 2}


def test_a_share_is_kept_for_evaluation(root):
    splits = [record.split for record in read(root, val_share=0.4).records]
    assert splits.count("val") == 2 and splits.count("train") == 3


def test_evaluation_on_a_voc_tree(root, tmp_path):
    names = class_map(root, "folder,class\nn01,dog\nn02,cat\n")
    voc = plain_tree(tmp_path / "voc")
    data = read(root, names, class_names=["dog", "cat"], val_root=voc, truth=())
    splits = {record.id: record.split for record in data.records}
    assert splits == {"n01_a": "train", "n01_b": "train", "n02_a": "train", "n02_more_c": "train", "c": "val"}
    assert tags(data)["c"] == ("dog",) and data.counts["objects"] == 1


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("folder,class\nn01,dog\nn1,dog\n", {}, ["classes.csv:3", "no folder 'n1'", "n01"]),
        ("folder,class\nn01,dog\nn01,cat\n", {}, ["classes.csv:3", "a second class"]),
        ("folder,class\nn01\n", {}, ["classes.csv:2", "no class"]),
        ("folder,class\nn01,Dog\nn02,dog\n", {}, ["classes.csv:3", "'dog' is 'Dog' in"]),
        ("folder,class\nn01,dog, puppy\n", {}, ["classes.csv:2 has 3 cells for the columns folder,class."]),
        ("n01,dog\n", {}, ["classes.csv:1", "not the header folder,class."]),
        ("folder,class\n", {}, ["names no folder"]),
        ("folder,class\nn01,dog\n", {"class_names": ["cat", "dot"]}, ["no class 'dog'", "'dot'"]),
    ],
)
def test_a_wrong_map_is_one_sentence(root, text, options, words):
    with pytest.raises(InputError) as caught:
        read(root, class_map(root, text), **options)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_voc_tree_of_other_classes_and_an_empty_folder_are_told(root, tmp_path):
    voc = plain_tree(tmp_path / "voc")
    with pytest.raises(InputError, match=r"show classes that no folder has: .*dog.*; add folders, or set"):
        read(root, val_root=voc, truth=())
    (root / "n04").mkdir()
    with pytest.raises(InputError, match="n04 holds no picture"):
        read(root)
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "absent")
