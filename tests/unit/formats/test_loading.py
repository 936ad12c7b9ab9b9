"""What every format has to keep to, whatever it is."""

import re

import numpy as np
import pytest
from authors import Picture
from PIL import Image
from test_odd_inputs import AUTHORS, mark

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.engine.errors import InputError
from wsis_steps.formats.loading import MOST_CLASSES, load_record, read_dataset
from wsis_steps.formats.table import find_format
from wsis_steps.postprocess.refine_with_crf import refine
from wsis_steps.postprocess.settings import PostprocessRefineWithCrf
from wsis_steps.vision.masks import UNSURE


def folder_of_classes(root, count: int):
    """Settings of a folder with so many classes, each of one picture."""
    Image.new("RGB", (8, 8)).save(root / "a.png")
    Image.new("RGB", (8, 8)).save(root / "b.png")
    names = [f"class{k:03}" for k in range(count)]
    rows = [f"a.png,{';'.join(names)},train", f"b.png,{names[-1]};,val"]
    (root / "tags.csv").write_text("\n".join(["image,tags,split", *rows]))
    return DataImportDataset(format="folder", root=root)


def test_more_classes_than_bytes_hold_are_refused(tmp_path):
    assert len(read_dataset(folder_of_classes(tmp_path, MOST_CLASSES), tmp_path, map).class_names) == 254
    for count in (255, 256, 1000):
        with pytest.raises(InputError, match=f"{tmp_path} has {count} classes, .* at most 254"):
            read_dataset(folder_of_classes(tmp_path, count), tmp_path, map)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 100), (100, 1), (3, 2), (1, 101), (1000, 9)])
def test_pictures_of_any_size_are_taken_but_slivers(height, width, tmp_path):
    settings = folder_of_classes(tmp_path, 2)
    Image.new("RGB", (width, height)).save(tmp_path / "a.png")
    dataset = read_dataset(settings, tmp_path, map)
    found = load_record(dataset.records[0], dataset)
    if max(height, width) <= 100:
        assert found[1:] == (height, width, None)
    else:
        least = 2 if height == 1 else 10
        said = f"{tmp_path}/a.png is {width}x{height} pixels; its shorter side must be at least {least}."
        assert str(found) == said


def test_the_last_class_of_a_label_map_is_neither_unsure_nor_background():
    maps = np.ones((1, 4, 4), np.float16)
    picture = np.zeros((8, 8, 3), np.uint8)
    found = refine(picture, maps, np.array([MOST_CLASSES - 1]), PostprocessRefineWithCrf())
    assert np.unique(found).tolist() == [MOST_CLASSES] and MOST_CLASSES < UNSURE


def test_a_folder_of_labelme_that_was_converted_in_place_is_read_as_labelme(tmp_path):
    AUTHORS["labelme"].write(tmp_path, [Picture("a.jpg", (mark("labelme"),)), Picture("b.jpg", (mark("labelme"),))])
    (tmp_path / "annotations.json").write_text('{"images": [], "annotations": [], "categories": []}')
    assert find_format(tmp_path) == "labelme"


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (["a.jpg", "b.png", "notes.md"], "It holds 2 pictures, 1 .md files. A table tags.csv is the simplest"),
        (
            ["JPEGImages/a.jpg", "Annotations/x.txt"],
            "The nearest is PASCAL VOC: it has JPEGImages and Annotations, but no ImageSets",
        ),
    ],
)
def test_a_folder_of_no_format_is_told_what_it_lacks(inside, words, tmp_path):
    for name in inside:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=re.escape(words)):
        find_format(tmp_path)


def test_a_file_of_no_format_is_refused(tmp_path):
    (tmp_path / "f.txt").write_text("x")
    with pytest.raises(InputError, match="f.txt is not annotations of a format that is read; these are: a folder with"):
        find_format(tmp_path / "f.txt")
    with pytest.raises(InputError, match="does not exist"):
        find_format(tmp_path / "absent")
