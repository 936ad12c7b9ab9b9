"""LabelMe's files, old and new: every shape, sizes that are not stated, pictures elsewhere, other files beside."""

import base64
import json

import cv2
import numpy as np
import pytest
from imports import imported
from mutations import damaged
from PIL import Image

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.labelme import looks_like, read
from wsis_steps.vision.masks import decode

SQUARE = [[10, 10], [40, 10], [40, 40], [10, 40]]
OTHER = [[60, 10], [90, 10], [90, 40], [60, 40]]


def shape(label="leaf", points=SQUARE, kind="polygon", **more):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


def document(*shapes, name="a.jpg", **more):
    about = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": name, "imageData": None}
    return {**about, "imageHeight": 80, "imageWidth": 120, **more}


def picture(path, size=(120, 80)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def put(folder, *shapes, file="a.json", picture_file="a.jpg", **more):
    """A picture and its JSON file."""
    picture(folder / picture_file)
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps(document(*shapes, **more)), encoding="utf-8")
    return folder / file


def dataset(folder, **chosen):
    return imported(read, folder, truth=("train", "val"), val_share=0, without_mask="leave_out", **chosen)


def only(folder, *shapes, **more):
    """The record and the true masks of one picture."""
    put(folder, *shapes, **more)
    found = dataset(folder)
    return found.records[0], decode(found.truth(found.records[0]).masks, 80, 120)


def said(folder, **chosen) -> str:
    with pytest.raises(InputError) as error:
        dataset(folder, **chosen)
    return "\n".join(error.value.sentences)


def png(piece):
    return base64.b64encode(cv2.imencode(".png", np.asarray(piece, np.uint8))[1].tobytes()).decode()


def test_polygons_groups_masks_points_boxes_and_flags(tmp_path):
    corners = [[[1, 1], [4, 1], [4, 5], [1, 5]], [[8, 1], [10, 1], [10, 3], [8, 3]]]
    shapes = [shape("dog", one, group_id=7) for one in corners]
    shapes += [
        shape("cat", [[15, 5], [16, 6]], "mask", mask=png([[0, 255], [255, 255]])),
        shape("cat", [[3.5, 2.5]], "point"),
        shape("cat", [[6, 7], [2, 3]], "rectangle"),
    ]
    record, [dog, cat] = only(tmp_path, *shapes, name="..\\a.jpg", flags={"owl": True, "blurred": False})
    expected = np.zeros((80, 120), np.uint8)
    expected[1:5, 1:4] = expected[1:3, 8:10] = 1
    np.testing.assert_array_equal(dog, expected)
    assert np.argwhere(cat).tolist() == [[5, 16], [6, 15], [6, 16]]
    found = dataset(tmp_path)
    assert found.class_names == ["cat", "dog", "owl"] and record.tags == (0, 1, 2)
    assert [3, 2, 0] in record.points.tolist() and [2, 3, 6, 7, 0] in record.boxes.tolist()
    assert found.counts["shapes"] == 6 and found.counts["masks"] == 2


def test_flags_of_shapes_are_no_tags_and_flags_of_pictures_are_true_or_false(tmp_path):
    put(tmp_path, shape(flags={"cut": True}), flags={"wet": None})
    assert dataset(tmp_path).class_names == ["leaf"]
    put(tmp_path, shape(), flags={"wet": "yes"})
    assert "a.json: flag 'wet': it is 'yes', neither true nor false" in said(tmp_path)


def test_files_of_version_3_have_no_size_no_kind_and_no_group(tmp_path):
    data = cv2.imencode(".jpg", np.zeros((80, 120, 3), np.uint8))[1].tobytes()
    content = {"flags": {}, "lineColor": [0, 255, 0, 128], "fillColor": [255, 0, 0, 128], "imagePath": "a.jpg"}
    content |= {"imageData": base64.b64encode(data).decode()}
    content |= {"shapes": [{"label": "leaf", "line_color": None, "fill_color": None, "points": SQUARE}]}
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert dataset(tmp_path).records[0].boxes.tolist() == [[10, 10, 40, 40, 0]]
    picture(tmp_path / "a.jpg", (60, 40))  # the picture within the file is as it was when it was drawn on
    assert "the picture is 60x40, but 120x80 by the file" in said(tmp_path)


@pytest.mark.parametrize("missing", [{}, {"imageHeight": None, "imageWidth": None}, {"imageData": "AAAA"}])
def test_a_size_that_is_not_stated_is_the_pictures(missing, tmp_path):
    path = put(tmp_path, shape(), shape("coin", [[50, 50], [52, 51]], "mask", mask=png(np.full((2, 3), 255))))
    content = json.loads(path.read_text())
    for key in ("imageHeight", "imageWidth"):
        del content[key]
    path.write_text(json.dumps({**content, **missing}))
    assert [51, 50, 0] in dataset(tmp_path).records[0].points.tolist()


@pytest.mark.parametrize("kind", [None, ""])
def test_no_kind_is_a_polygon(kind, tmp_path):
    assert len(only(tmp_path, shape(kind=kind))[1]) == 1


def test_circles_are_masks_over_the_edge_too(tmp_path):
    record, [mask] = only(tmp_path, shape(points=[[60, 40], [70, 40]], kind="circle"))
    assert record.boxes[0, :4].tolist() == [50, 30, 70, 50] and abs(int(mask.sum()) - 314) < 5
    for x in (5, -1):  # the middle may lie beside the picture as far as a corner may
        record, [mask] = only(tmp_path, shape(points=[[x, 5], [x + 20, 5]], kind="circle"))
        assert record.boxes[0, :4].tolist() == [0, 0, x + 20, 25]
    assert "Ellipses that reach far beyond their pictures: 1 (" in imported(read, tmp_path).doubts[0]


def test_a_click_that_is_a_circle_is_counted(tmp_path):
    put(tmp_path, shape(), shape(points=[[9, 9], [9, 9]], kind="circle"))
    assert imported(read, tmp_path).left_out == {"shapes_without_area": 1}


@pytest.mark.parametrize("kind", ["oriented_rectangle", "rotation", "rectangle"])
def test_turned_rectangles_are_polygons(kind, tmp_path):
    corners = [[60, 10], [90, 40], [60, 70], [30, 40]]
    record, [mask] = only(tmp_path, shape(points=corners, kind=kind))
    assert abs(int(mask.sum()) - 1800) < 70
    np.testing.assert_allclose(record.boxes[0, :4], [30, 10, 90, 70], atol=1)


def test_rectangles_may_have_four_corners_or_swapped_ones(tmp_path):
    for corners in (SQUARE, [[40, 40], [10, 10]], [[10, 40], [40, 10]]):
        record, masks = only(tmp_path, shape(points=corners, kind="rectangle"))
        assert record.boxes.tolist() == [[10, 10, 40, 40, 0]] and not len(masks)


def test_each_of_several_points_is_a_point(tmp_path):
    put(tmp_path, shape(points=[[10, 10], [20, 20], [30, 30]], kind="points"))
    found = dataset(tmp_path)
    assert found.records[0].points.tolist() == [[9.5, 9.5, 0], [19.5, 19.5, 0], [29.5, 29.5, 0]]
    assert found.counts["shapes"] == 3


def test_lines_are_refused_together_or_skipped(tmp_path):
    line, strip = shape("vein", SQUARE[:2], "line"), shape("stem", SQUARE, "linestrip")
    put(tmp_path, shape(), line, strip)
    text = said(tmp_path)
    assert "a.json: shape 2: a line cannot be a mask" in text and "shape 3: a linestrip cannot be a mask" in text
    found = dataset(tmp_path, unknown_shapes="skip")
    assert found.left_out == {"shapes_that_are_no_masks": 2} and found.class_names == ["leaf"]


@pytest.mark.parametrize("kind", ["box", "tag", "rings", "ellipse", 7, ["polygon"], "a kind"])
def test_kinds_that_labelme_does_not_have_are_none_of_ours(kind, tmp_path):
    put(tmp_path, shape(), shape(kind=kind))
    assert "shape 2: a shape called" in said(tmp_path)
    assert dataset(tmp_path, unknown_shapes="skip").left_out == {"shapes_that_are_no_masks": 1}


def test_ignored_regions_and_names_that_are_no_classes(tmp_path):
    put(tmp_path, shape(), shape("__ignore__", OTHER), shape("_background_", OTHER), shape("", OTHER))
    found = dataset(tmp_path)
    assert found.class_names == ["leaf"] and found.left_out == {"shapes_of_no_class": 2}
    ignore = decode([found.truth(found.records[0]).ignore], 80, 120)[0]
    assert ignore[10:40, 60:90].all() and ignore.sum() == 900


def test_the_box_of_a_group_is_not_another_object(tmp_path):
    record, masks = only(tmp_path, shape(group_id=1), shape(points=[[10, 10], [40, 40]], kind="rectangle", group_id=1))
    assert len(masks) == 1 and len(record.boxes) == 1


def test_groups_are_of_one_label_and_none_is_alone(tmp_path):
    _, masks = only(tmp_path, shape(group_id=1), shape("stem", OTHER, group_id=1), shape(points=OTHER, group_id=0))
    assert len(masks) == 3
    _, masks = only(tmp_path, shape(), shape(points=OTHER))
    assert len(masks) == 2


PLACES = {  # where the picture is and what the file says -> its id
    ("images/a.jpg", "labels/a.json", "..\\images\\a.jpg"): "images_a",
    ("images/a.jpg", "labels/a.json", "../images/a.jpg"): "images_a",
    ("images/a.jpg", "labels/a.json", "a.jpg"): "images_a",
    ("images/a.jpg", "labels/a.json", "D:\\somewhere\\images\\a.jpg"): "images_a",
    ("sub/a.jpg", "sub/a.json", "D:\\my pictures\\a.jpg"): "sub_a",
    ("sub/a.png", "sub/a.json", "a.jpg"): "sub_a",
    ("a.jfif", "a.json", "a.jfif"): "a",
    ("plot_0.5m.jpg", "x.json", "plot_0.5m.jpg"): "plot_0.5m",
}


@pytest.mark.parametrize("place", PLACES)
def test_the_picture_is_found_from_the_file_on_or_by_its_name(place, tmp_path):
    picture_file, file, name = place
    put(tmp_path, shape(), file=file, picture_file=picture_file, name=name)
    [record] = dataset(tmp_path).records
    assert record.id == PLACES[place] and record.path == tmp_path / picture_file


def test_pictures_of_one_name_are_told_apart_by_their_folders_and_never_guessed(tmp_path):
    for folder in ("one", "two"):
        put(tmp_path / folder, shape(folder))
    found = dataset(tmp_path)
    assert [(record.id, record.tags) for record in found.records] == [("one_a", (0,)), ("two_a", (1,))]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.json").write_text(json.dumps(document(shape())))
    assert "'a.jpg' may be any of 2 pictures" in said(tmp_path)
    (tmp_path / "labels/a.json").write_text(json.dumps(document(shape(), name="three/a.jpg")))
    assert "there is no picture 'three/a.jpg'" in said(tmp_path)


def test_a_picture_outside_of_the_data_set_is_not_taken(tmp_path):
    picture(tmp_path / "elsewhere/a.jpg")
    put(tmp_path / "data", shape(), picture_file="b.jpg", name="../elsewhere/a.jpg")
    assert "there is no picture '../elsewhere/a.jpg'" in said(tmp_path / "data")


def test_labels_may_lie_in_a_folder_of_their_own(tmp_path):
    picture(tmp_path / "pictures/a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.json").write_text(json.dumps(document(shape(), name="..\\pictures\\a.jpg")))
    for annotations in (tmp_path / "labels", tmp_path / "labels/a.json"):
        found = imported(read, tmp_path / "pictures", annotations)
        assert [record.id for record in found.records] == ["a"] and not found.left_out


def test_other_json_files_beside_are_passed_over_unless_nothing_is_left(tmp_path):
    path = put(tmp_path, shape())
    (tmp_path / "annotations.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "tasks.json").write_text("[1, 2]")
    (tmp_path / ".a.json").write_text("{")
    assert dataset(tmp_path).counts["shapes"] == 1
    path.unlink()
    assert "holds no JSON file of LabelMe" in said(tmp_path)


def test_a_mask_beside_the_picture_does_no_harm(tmp_path):
    put(tmp_path, shape())
    picture(tmp_path / "a.png")
    found = dataset(tmp_path)
    assert [record.path.name for record in found.records] == ["a.jpg"]
    assert found.left_out == {"pictures_not_listed": 1}


def test_a_byte_order_mark_is_read_and_another_encoding_told(tmp_path):
    path = put(tmp_path, shape("叶子的边缘"))
    text = json.dumps(document(shape("叶子的边缘")), ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert dataset(tmp_path).class_names == ["叶子的边缘"] and looks_like(path)
    path.write_bytes(text.encode("gbk"))
    assert said(tmp_path).endswith("a.json is not a text file in UTF-8.")


MASK = png(np.full((31, 31), 255))
ODD = [
    (shape(points=SQUARE[:2]), "a polygon has 2 corners"),
    (shape(points=[]), "it has no corners"),
    (shape(points=[[1, 2], [3]]), "expected is a list of polygons"),
    (shape(points=[[1, 2], ["x", 4], [5, 6]]), "'x' is no number"),
    (shape(points=7), "it is 7; expected is a list of polygons"),
    (shape(None), "None is no name of a class"),
    (shape(points=[[1, 1]], kind="circle"), "it has 1 points in place of 2"),
    (shape(points=[[1, 1], [2, 2], [3, 3]], kind="rectangle"), "a rectangle has two corners or four, not 3"),
    (shape(points=[[1, float("nan")], [2, 2]], kind="rectangle"), "holds a value that is no number"),
    (shape(points=[], kind="point"), "its points are [], not a list of x, y"),
    (shape(points=None, kind="points"), "its points are None, not a list of x, y"),
    (shape(points=[[1, 2, 3]], kind="point"), "[1, 2, 3] is not a list of 2 numbers"),
    (shape(points=[[100, 60], [130, 90]], kind="mask", mask=MASK), "at 100, 60 leaves the picture of 120x80"),
    (shape(points=[[1e30, 60], [130, 90]], kind="mask", mask=MASK), "far outside the picture"),
    (shape(points=[[10, 10], [40, 40]], kind="mask", mask="AAAA"), "its mask is 'AAAA', not a PNG in base64"),
    (shape(points=[[10, 10], [40, 40]], kind="mask", mask=MASK[:80]), "not a PNG in base64"),
    (shape(points=[[10, 10], [40, 40]], kind="mask"), "its mask is None, not a PNG in base64"),
    (shape(group_id=[1]), "its 'group_id' is [1], not a number"),
    ("a leaf", "it is 'a leaf', not an object with its properties"),
]


def test_what_cannot_be_read_is_listed_with_its_place_all_in_one_run(tmp_path):
    put(tmp_path, *(one for one, _ in ODD))
    lines = said(tmp_path).splitlines()
    for place, (_, words) in enumerate(ODD, 1):
        assert any(f"a.json: shape {place}: " in line and words in line for line in lines), words


FILES = {
    "{": "is not a JSON file",
    json.dumps(document(name=None)): "its 'imagePath' is None, not the name of a picture",
    json.dumps(document(name=" ")): "its 'imagePath' is ' ', not the name of a picture",
    json.dumps({**document(), "shapes": {}}): "its 'shapes' are {}, not a list",
    json.dumps({"imagePath": "a.jpg"}): "its 'shapes' are None, not a list",
    json.dumps({**document(), "flags": ["owl"]}): "its 'flags' are ['owl'], not flags with their values",
    json.dumps({**document(), "imageHeight": "tall"}): "its 'imageHeight' is 'tall', not a whole number of pixels",
    json.dumps({**document(), "imageWidth": 1e30}): "its 'imageWidth' is 1e+30, not a whole number of pixels",
    json.dumps(
        document(shape(), imageHeight=40, imageWidth=60)
    ): "but 60x40 by the file; it seems to have been enlarged",
    json.dumps(document(shape(), name="b\0.jpg")): "there is no picture",
    json.dumps(document(shape(), name="b" * 5000)): "there is no picture",
}


@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
def test_wrong_files_are_told_in_a_sentence(text, tmp_path):
    put(tmp_path, shape()).write_text(text)
    if "no picture" in FILES[text]:
        (tmp_path / "a.jpg").rename(tmp_path / "x.jpg")  # else it is that of the JSON file's own name
    assert FILES[text] in said(tmp_path) and "a.json" in said(tmp_path)


def test_all_wrong_files_are_told_in_one_run(tmp_path):
    for name in "abc":
        put(tmp_path, shape(), file=f"{name}.json", picture_file=f"{name}.jpg", name=f"{name}.jpg")
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "c.json").write_text(json.dumps(document(shape(points=[]), name="c.jpg")))
    text = said(tmp_path)
    assert "a.json is not a JSON file" in text and "c.json: shape 1: it has no corners" in text


WHOLE = document(
    shape(group_id=1), shape(points=[[50, 50], [52, 52]], kind="circle"), shape(points=SQUARE[:3:2], kind="rectangle"),
    shape(points=[[1, 1]], kind="point"), shape(points=[[10, 10], [40, 40]], kind="mask", mask=MASK), flags={"b": True},
)  # fmt: skip


def test_whatever_is_damaged_in_a_file_is_told_without_a_traceback(tmp_path):
    path, told = put(tmp_path, shape()), 0
    path.write_text(json.dumps(WHOLE))
    assert dataset(tmp_path).class_names == ["b", "leaf"]
    for content in damaged(WHOLE):
        path.write_text(json.dumps(content))
        try:
            dataset(tmp_path)
        except InputError:
            told += 1
    assert told > 50


def test_a_file_looks_like_labelme_by_its_keys(tmp_path):
    path = put(tmp_path, shape())
    (tmp_path / "coco.json").write_text('{"images": []}')
    assert looks_like(path) and looks_like(tmp_path)
    assert not looks_like(tmp_path / "coco.json") and not looks_like(tmp_path / "a.jpg")
    assert not looks_like(tmp_path / "none") and not looks_like(tmp_path / "none.json")
    path.unlink()
    assert not looks_like(tmp_path)


def test_a_picture_that_was_renamed_with_its_json_file_is_found(tmp_path):
    for name in "ab":
        put(tmp_path, shape(), file=f"{name}.json", picture_file=f"{name}.jpg", name=f"{name}.jpg")
        for suffix in (".jpg", ".json"):
            (tmp_path / f"{name}{suffix}").rename(tmp_path / f"x_{name}{suffix}")
    assert [record.id for record in imported(read, tmp_path).records] == ["x_a", "x_b"]


def test_folders_of_subsets_are_splits_and_those_of_others_are_counted(tmp_path):
    for split in ("train", "val", "test"):
        put(tmp_path / split, shape(), file=f"{split}.json", picture_file=f"{split}.jpg", name=f"{split}.jpg")
    dataset = imported(read, tmp_path)
    assert {record.id: record.split for record in dataset.records} == {"train_train": "train", "val_val": "val"}
    assert dataset.left_out == {"shapes_of_pictures_left_out": 1, "pictures_of_other_subsets": 1}
