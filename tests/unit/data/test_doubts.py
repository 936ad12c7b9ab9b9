"""What a data set makes one doubt, and that a good one raises no doubt."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from wsis_steps.data.doubts import find_doubts
from wsis_steps.formats.records import Dataset, ImageRecord


def dataset(tags, class_names, folder, size=(64, 48)):
    """Training images with these tags."""
    Image.new("RGB", size).save(folder / "a.png")
    records = [ImageRecord(f"image{k}", "train", folder / "a.png", tuple(row)) for k, row in enumerate(tags)]
    return Dataset(list(class_names), records, lambda record: None, {})


def test_balanced_classes_that_come_alone_raise_no_doubt(tmp_path):
    assert find_doubts(dataset([[0], [1], [0, 1], []] * 20, ("cat", "horse"), tmp_path)) == []


def test_classes_without_a_val_image_are_told(tmp_path):
    whole = dataset([[0], [1], [0, 1], []] * 20, ("cat", "horse"), tmp_path)
    held = [ImageRecord(f"held{k}", "val", tmp_path / "a.png", (0,)) for k in range(5)]
    (doubt,) = find_doubts(replace(whole, records=[*whole.records, *held]))
    assert doubt.startswith("No val image of: horse;")


def test_names_that_count_and_doubts_of_the_import_are_told(tmp_path):
    doubts = find_doubts(
        replace(dataset([[0], [1], []] * 20, ("car-1", "car-2"), tmp_path), doubts=["It may be turned."])
    )
    assert doubts[0] == "It may be turned."
    assert doubts[1:] == [
        "The classes 'car-1', 'car-2' differ only at their ends; if they number instances of one class, name all of "
        "them 'car'."
    ]


@pytest.mark.parametrize(
    "tags, class_names, words",
    [
        ([[0], [1], []] * 20, ("dog", "dogs"), "'dog' and 'dogs' are nearly alike"),
        ([[0], [1], []] * 20, ("traffic light", "traffic-light"), "are nearly alike"),
        ([[0], [1], []] * 20, ("aeroplane", "aeroplan"), "are nearly alike"),
        ([[0], [1], []] * 20, ("washer", "wahser"), "'washer' and 'wahser' are nearly alike"),
        ([[0], [1], []] * 5 + [[0]] * 20, ("cat", "horse"), "Few training images of: horse 5;"),
        ([[0]] * 500 + [[1]] * 21 + [[]] * 200, ("cat", "horse"), "500 training images of 'cat', but 21 of 'horse'"),
        ([[0]] * 30, ("cat",), "'cat' is the only class and on every training image"),
        ([[0], [0, 1]] * 20, ("cat", "horse"), "Class 'cat' is on every training image"),
        ([[0, 1], [2], []] * 20, ("cat", "horse", "owl"), "'cat' and 'horse' are always on the same images"),
        ([[0], [0, 1]] * 25 + [[2], []] * 25, ("cat", "horse", "owl"), "'cat' is on every image of 'horse'"),
        ([[0], [1], [2], []] * 25, ("traffic light", "light", "traffic"), "'traffic light' consists of names of other"),
        ([[0], [1]] * 20 + [[]] * 50, ("cat", "horse"), "50 of 90 training images have no tag"),
        ([[0], [1]] * 20, ("cat", "horse"), "Each of the 40 training images has a tag; add images without any object"),
        ([[0]] * 21 + [[1]] * 21, ("cat", "horse"), "Each of the 42 training images has a tag"),
        (
            [[0, 1]] * 35 + [[0]] * 50 + [[1]] * 5 + [[]] * 10,
            ("cat", "horse"),
            "Class 'cat' is on 85 of 100 training images",
        ),
        ([[0, 1]] * 40 + [[0]] * 45 + [[1]] * 15, ("cat", "horse"), "Class 'cat' is on 85 of 100 training images"),
        ([[0]] * 85 + [[]] * 15, ("cat",), "Class 'cat' is on 85 of 100 training images, so tags hardly tell it"),
    ],
)
def test_each_doubt_is_the_only_one_told(tags, class_names, words, tmp_path):
    (doubt,) = find_doubts(dataset(tags, class_names, tmp_path))
    assert words in doubt


@pytest.mark.parametrize("tags", [[[0]] * 80 + [[1]] * 20 + [[]], [[k] for k in range(5)] * 20])
def test_a_class_on_four_fifths_and_five_classes_without_an_empty_image_raise_no_doubt(tags, tmp_path):
    names = ("cat", "horse", "owl", "fox", "bee")[: 1 + max(map(max, filter(None, tags)))]
    assert find_doubts(dataset(tags, names, tmp_path)) == []


def test_small_pictures_are_counted_and_a_missing_one_is_not_its_business(tmp_path):
    small = dataset([[0], [1], []] * 20, ("cat", "horse"), tmp_path, size=(640, 31))
    (doubt,) = find_doubts(small)
    assert doubt.startswith("60 images have a side of fewer than 32 pixels") and "and 57 more" in doubt
    small.records = [ImageRecord(r.id, r.split, Path("absent.png"), r.tags) for r in small.records]
    assert find_doubts(small) == []
