"""Pictures in a folder a class, as ImageNet's."""

import numpy as np
import pytest
from imports import imported
from PIL import Image
from voc_trees import plain_tree, save_map

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.engine.errors import InputError
from wsis_steps.formats import class_folders
from wsis_steps.formats.loading import read_dataset
from wsis_steps.vision.masks import decode


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
    return imported(class_folders.read, root, class_map=next(iter(paths), None), **options)


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
    assert data.counts["folders"] == 2 and data.left_out == {"pictures_not_listed": 2}


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
        read_dataset(DataImportDataset(format="class_folders", root=tmp_path / "absent"), tmp_path / "absent")


def test_evaluation_on_the_masks_of_a_voc_tree(root, tmp_path):
    voc = plain_tree(tmp_path / "voc")
    for folder, value in (("SegmentationObject", 1), ("SegmentationClass", 2)):
        (voc / folder).mkdir()
        values = np.zeros((20, 20))
        values[3:10, 2:8] = value
        values[0] = 255
        save_map(voc / folder / "c.png", values)
    names = class_map(root, "folder,class\nn01,cat\nn02,dog\n")
    data = read(root, names, val_root=voc, truth=("val",))
    record = data.records[-1]
    truth = data.truth(record)
    assert (record.id, record.split, record.tags) == ("c", "val", (1,)) and data.truth(data.records[0]) is None
    assert truth.categories.tolist() == [1] and decode([truth.ignore], 20, 20)[0].sum() == 20
    assert decode(truth.masks, 20, 20)[0].sum() == 42
    with pytest.raises(InputError, match="show classes that no folder has: dog; add"):
        read(root, class_map(root, "folder,class\nn01,cat\nn02,cow\n"), val_root=voc, truth=("val",))


def test_hidden_folders_and_pictures_are_no_data(root):
    for name in (".ipynb_checkpoints/a.JPEG", "__MACOSX/n01/a.JPEG", "n01/.ipynb_checkpoints/a.JPEG", "n01/._a.JPEG"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"no picture")
    data = read(root, val_share=0)
    assert data.class_names == ["n01", "n02", "n03"] and len(data.records) == 5 and not data.left_out


def test_pictures_are_not_opened_and_a_jfif_is_one(root):
    (root / "n01" / "e.jfif").write_bytes(b"no picture")
    assert "n01_e" in tags(read(root, val_share=0))


def test_a_folder_of_the_background_is_no_class(root):
    (root / "n03").rename(root / "background")
    data = read(root, val_share=0)
    assert data.class_names == ["n01", "n02"] and tags(data)["background_d"] == ()
    assert data.left_out == {"shapes_of_no_class": 1}


def test_folders_that_differ_in_case_only_are_told_unless_classes_are_given(root):
    (root / "N01").mkdir()
    (root / "n02/a.JPEG").rename(root / "N01/a.JPEG")
    with pytest.raises(InputError, match="the class 'n01' is 'N01' in"):
        read(root)
    assert len(read(root, class_names=("n01", "n02", "n03", "N01")).class_names) == 4


def test_folders_of_subsets_hold_those_of_the_classes(root):
    (root / "train").mkdir()
    for name in ("n01", "n02", "n03"):
        (root / name).rename(root / "train" / name)
    (root / "val/n02").mkdir(parents=True)
    (root / "test/n02").mkdir(parents=True)
    (root / "train/n02/a.JPEG").rename(root / "val/n02/a.JPEG")
    (root / "train/n01/b.JPEG").rename(root / "test/n02/b.JPEG")
    assert class_folders.looks_like(root)
    data = read(root)
    assert data.class_names == ["n01", "n02", "n03"] and tags(data)["val_n02_a"] == ("n02",)
    assert [record.split for record in data.records] == ["train"] * 3 + ["val"]
    assert data.left_out == {"shapes_of_pictures_left_out": 1, "pictures_of_other_subsets": 1}
    assert set(tags(read(root, class_map(root, "folder,class\nn02,dog\n")))) == {"train_n02_more_c", "val_n02_a"}


@pytest.mark.parametrize("names", [("imgs", "gts"), ("images", "masks"), ("img", "gt")])
def test_pictures_and_their_masks_are_no_classes(root, names):
    (root / "n01").rename(root / names[0])
    (root / "n02").rename(root / names[1])
    assert not class_folders.looks_like(root)


@pytest.mark.parametrize(
    ("name", "content", "is_one"),
    [
        ("metadata.json", '[{"classTitle": "x"}]', True),
        ("n01/a.txt", "0 0.5 0.5 0.2 0.2", True),
        ("n02/a.xml", "", True),
        ("n02/readme.txt", "pictures of dogs", False),
        ("dataset_info.json", '{"description": "pets"}', False),
        ("LICENSE.txt", "MIT", False),
    ],
)
def test_folders_with_annotations_of_another_format_are_no_classes(root, name, content, is_one):
    (root / name).write_text(content)
    assert class_folders.looks_like(root) != is_one


def test_a_flat_subset_is_left_out_and_loose_pictures_of_another_are_told(root):
    (root / "train").mkdir()
    for name in ("n01", "n02", "n03"):
        (root / name).rename(root / "train" / name)
    (root / "test").mkdir()
    Image.new("RGB", (9, 9)).save(root / "test/x.png")
    assert class_folders.looks_like(root)
    data = read(root)
    assert data.class_names == ["n01", "n02", "n03"] and data.left_out == {"pictures_of_other_subsets": 1}
    Image.new("RGB", (9, 9)).save(root / "train/x.png")
    with pytest.raises(InputError, match="train holds pictures that lie in no folder of a class"):
        read(root)


def test_one_folder_is_no_class_but_a_data_set_one_level_down(root):
    assert not class_folders.looks_like(root.parent)
    for name in ("n02", "n03"):
        (root / name).rename(root.parent.parent / name)
    assert not class_folders.looks_like(root)


def test_a_layout_of_parts_is_none_of_classes(root):
    assert class_folders.looks_like(root)
    (root / "n03").rename(root / "train")
    assert not class_folders.looks_like(root)
    (root / "train").rename(root / "n03")
    Image.new("RGB", (9, 9)).save(root / "loose.png")
    assert not class_folders.looks_like(root) and not class_folders.looks_like(root / "n01")
    assert not class_folders.looks_like(root / "absent")
