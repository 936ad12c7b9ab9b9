"""Images are found by id, by file name and by COCO's number, and never by chance."""

import pytest

from wsis_steps.proposals.importers.image_names import ImageNames

VOC = ImageNames(["2007_000032", "2008_000032", "a_b", "deep_a", "x.y"])
COCO = ImageNames(["000000000139", "000000581781", "000000000000"])
SHAPES = ImageNames(["train_00001", "val_00001", "7", "07", "12"])


@pytest.mark.parametrize(
    "names, name, identity",
    [
        (VOC, "2007_000032", "2007_000032"),
        (VOC, "2007_000032.jpg", "2007_000032"),
        (VOC, "JPEGImages/2008_000032.jpg", "2008_000032"),
        (VOC, "deep/a.png", "deep_a"),
        (VOC, "elsewhere/deep_a.png", "deep_a"),
        (VOC, "x.y", "x.y"),
        (VOC, "x.y.png", "x.y"),
        (VOC, "000032", None),  # two images end so
        (VOC, 32, None),
        (VOC, "", None),
        (VOC, "2007_000033", None),
        (COCO, 139, "000000000139"),
        (COCO, "139", "000000000139"),
        (COCO, "COCO_train2014_000000581781", "000000581781"),
        (COCO, "val2014/COCO_val2014_000000000139.jpg", "000000000139"),
        (COCO, 0, "000000000000"),
        (COCO, 140, None),
        (COCO, -139, None),
        (COCO, 10**30, None),
        (COCO, "9" * 40, None),
        (SHAPES, 1, None),
        (SHAPES, "7", "7"),
        (SHAPES, "07.png", "07"),
        (SHAPES, 7, None),  # 7 and 07
        (SHAPES, "0012", "12"),
    ],
)
def test_a_name_finds_its_image(names, name, identity):
    assert names.find(name) == identity


def test_ids_of_coco_2014_are_found_by_number():
    names = ImageNames(["COCO_val2014_000000000042", "COCO_train2014_000000000043"])
    assert names.find(42) == "COCO_val2014_000000000042" and names.find("000000000043") == names.find(43)


def test_an_evaluation_image_has_a_twin_where_both_are_there():
    names = ImageNames(["a", "a_val", "b", "c_val", "val"])
    assert names.twins == {"a_val": "a"}
    assert names.find("a.jpg") == "a" and names.find("a_val.jpg") == "a_val" and names.find("c.jpg") is None
