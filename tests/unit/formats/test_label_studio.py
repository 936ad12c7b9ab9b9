"""Exports of Label Studio: which answers are tags, which annotation counts, which picture is meant, every region."""

import base64
import io
import json

import numpy as np
import pytest
from imports import imported
from mutations import damaged
from PIL import Image

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.brush import encode_brush
from wsis_steps.formats.label_studio import looks_like, read
from wsis_steps.formats.label_studio_tasks import picture_name
from wsis_steps.vision.masks import decode

SIZE = {"original_width": 200, "original_height": 100, "image_rotation": 0}


def region(kind="rectangle", labels=("pipe",), *, identity="r1", control="kind", on="image", size=SIZE, **value):
    """A result with a geometry, by default the box 20, 20, 60, 60."""
    value = value or {"x": 10, "y": 20, "width": 20, "height": 40, "rotation": 0}
    about = {"id": identity, "from_name": control, "to_name": on, "type": f"{kind}labels", **size}
    return {**about, "value": {**value, f"{kind}labels": list(labels)}}


def choice(*choices, control="choice", identity="c1", on="image", **more):
    about = {
        "id": identity,
        "from_name": control,
        "to_name": on,
        "type": "choices",
        "value": {"choices": list(choices)},
    }
    return {**about, "origin": "manual", **more}


def task(*results, name="x.png", number=1, data=None, **more):
    data = data or {"image": f"/data/upload/3/0a1b2c3d-{name}"}
    return {
        "id": number,
        "data": data,
        "annotations": [{"id": 9, "was_cancelled": False, "result": list(results)}],
        **more,
    }


def write(folder, *tasks, pictures=("x.png",)):
    for name in pictures:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (200, 100)).save(folder / name)
    (folder / "export.json").write_text(json.dumps(tasks))
    return folder / "export.json"


def dataset(folder, *tasks, pictures=("x.png",), **chosen):
    path = write(folder, *tasks, pictures=pictures)
    chosen = {"truth": ("train", "val"), "val_share": 0, "without_mask": "leave_out", **chosen}
    return imported(read, folder, path, **chosen)


def only(folder, *results, **chosen):
    """The record and the true masks of one picture."""
    found = dataset(folder, task(*results), **chosen)
    return found.records[0], decode(found.truth(found.records[0]).masks, 100, 200)


def said(folder, *tasks, **chosen) -> str:
    with pytest.raises(InputError) as error:
        dataset(folder, *tasks, **chosen)
    return "\n".join(error.value.sentences)


def test_places_are_percents_and_unfinished_tasks_are_left_out(tmp_path):
    results = [
        region(x=10, y=20, width=5, height=50, labels=["a"]),
        region("keypoint", ["b"], x=50, y=50, width=0.5),
        region("polygon", ["a"], points=[[0, 0], [5, 0], [5, 10], [0, 10]]),
        choice("c", control="kind"),
    ]
    tasks = [task(*results), {**task(number=2, name="y.png"), "annotations": [], "predictions": [{}]}]
    found = dataset(tmp_path, *tasks)
    (record,) = found.records
    assert record.id == "x" and found.class_names == ["a", "b", "c"]
    assert record.tags == (0, 1, 2)
    assert [20, 20, 30, 70, 0] in record.boxes.tolist() and [0, 0, 10, 10, 0] in record.boxes.tolist()
    assert [99.5, 49.5, 1] in record.points.tolist()
    assert decode(found.truth(record).masks, 100, 200)[0][:10, :10].all()
    assert found.left_out == {"pictures_not_submitted": 1}


# Which answers are tags


def test_answers_about_a_region_are_no_tags(tmp_path):
    moving = choice("yes", control="is_moving", identity="r1")
    moving["value"] |= {"x": 10, "y": 20, "width": 20, "height": 40}
    by_place = {**moving, "id": "other"}
    by_parent = choice("open", control="kind", identity="other", parentID="r1")
    by_identity = choice("open", control="kind", identity="r1")
    found = dataset(tmp_path, task(region(), moving, by_place, by_parent, by_identity))
    assert found.class_names == ["pipe"] and found.left_out == {"answers_that_are_no_tags": 4}


def test_answers_about_other_things_than_classes_are_no_tags(tmp_path):
    note = {"id": "r1", "from_name": "note", "to_name": "image", "type": "textarea", "value": {"text": ["scratch"]}}
    stars = {"id": "s", "from_name": "stars", "to_name": "image", "type": "rating", "value": {"rating": 4}}
    link = {"from_id": "r1", "to_id": "r2", "type": "relation", "direction": "right"}
    found = dataset(tmp_path, task(region(), choice("sharp", control="quality"), note, stars, link))
    assert found.class_names == ["pipe"] and found.left_out == {"answers_that_are_no_tags": 4}
    assert found.counts["shapes"] == 1


@pytest.mark.parametrize(
    ("results", "settings", "class_names"),
    [
        ([choice("cat", "dog")], {}, ["cat", "dog"]),  # nothing else has choices
        ([region(), choice("wet", control="kind")], {}, ["pipe", "wet"]),  # the control of regions
        ([region(), choice("pipe", "valve")], {}, ["pipe", "valve"]),  # with labels of regions among them
        ([region(), choice("pipe"), choice("sharp", control="quality", identity="q")], {}, ["pipe"]),
        ([choice("cat"), choice("sharp", control="quality", identity="q")], {"class_names": ("cat",)}, ["cat"]),
        ([region(), choice("wet")], {"class_names": ("pipe", "wet")}, ["pipe", "wet"]),
    ],
)
def test_choices_of_a_control_about_classes_are_tags(results, settings, class_names, tmp_path):
    found = dataset(tmp_path, task(*results), truth=(), **settings)
    assert found.class_names == class_names
    assert len(found.records[0].tags) == len(class_names)


def test_which_of_several_controls_is_about_classes_must_be_told(tmp_path):
    results = choice("cat", control="kind"), choice("sharp", control="quality", identity="q")
    text = said(tmp_path, task(*results))
    assert "the choices of any of these may be classes: 'kind' (cat), 'quality' (sharp); set" in text
    assert "`class_names`" in text
    text = said(tmp_path, task(choice("cot")), class_names=("cat", "dog"))
    assert "there is no class 'cot'; the nearest is 'cat'" in text


# Which annotation counts


def annotated(*annotations, key="annotations", **more):
    rows = [{"id": k, "was_cancelled": False, "result": [], **one} for k, one in enumerate(annotations)]
    return {"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-x.png"}, key: rows, **more}


PIPE, VALVE = {"result": [region()]}, {"result": [region(labels=["valve"])]}
ANNOTATIONS = {
    "the last": ([PIPE, VALVE], "valve"),
    "the latest": ([{**VALVE, "created_at": "2024-02-01"}, {**PIPE, "created_at": "2024-01-01"}], "valve"),
    "the true one": ([{**VALVE, "ground_truth": True}, PIPE], "valve"),
    "the latest true one": ([{**PIPE, "ground_truth": True}, {**VALVE, "ground_truth": True}, PIPE], "valve"),
    "not the cancelled one": ([VALVE, {**PIPE, "was_cancelled": True}], "valve"),
}


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_of_several_annotations_one_counts(name, tmp_path):
    annotations, label = ANNOTATIONS[name]
    found = dataset(tmp_path, annotated(*annotations))
    assert found.class_names == [label]
    submitted = sum(not one.get("was_cancelled") for one in annotations)
    assert found.left_out == ({"older_annotations_of_a_picture": submitted - 1} if submitted > 1 else {})


def test_completions_of_old_exports_are_annotations(tmp_path):
    assert dataset(tmp_path, annotated(PIPE, key="completions")).class_names == ["pipe"]


def test_an_annotation_without_a_result_is_an_image_without_objects(tmp_path):
    tasks = task(region()), task(name="y.png", number=2), annotated({"result": None})
    tasks[2]["data"]["image"] = "z.png"
    found = dataset(tmp_path, *tasks, pictures=("x.png", "y.png", "z.png"))
    assert [record.tags for record in found.records] == [(0,), (), ()]


@pytest.mark.parametrize("annotations", [[], None, [{"was_cancelled": True, "result": [region()]}]])
def test_tasks_that_nobody_submitted_are_counted(annotations, tmp_path):
    left = {**task(number=2, name="y.png"), "annotations": annotations, "predictions": [{"result": [region()]}]}
    found = dataset(tmp_path, task(region()), left)
    assert [record.id for record in found.records] == ["x"] and found.left_out == {"pictures_not_submitted": 1}
    text = said(tmp_path, left)
    assert "nothing is annotated" in text and "without a submitted annotation" in text


# Which picture is meant

ADDRESSES = {
    "/data/upload/3/0a1b2c3d-b%20c.png": ("/data/upload/3/0a1b2c3d-b c.png", True),
    "http://localhost:8080/data/upload/0a1b2c3d-b.png": ("/data/upload/0a1b2c3d-b.png", True),
    "/data/local-files/?d=my%20pictures/c++ (1).png": ("my pictures/c++ (1).png", False),
    "http://localhost:8080/data/local-files/?t=1&d=a/c%2B%2B.png": ("a/c++.png", False),
    "/data/local-files?d=a/b.png": ("a/b.png", False),
    "s3://some-bucket/year/b.png": ("/year/b.png", False),
    "gs://some-bucket/b.png": ("/b.png", False),
    "azure-blob://container/year/b.png": ("/year/b.png", False),
    "https://h.example.org/x/b.png?X-Amz-Expires=300&sig=ab%2Fc.def#top": ("/x/b.png", False),
    "http://[broken/b.png": ("/b.png", False),
    "a/50%/b#1?.png": ("a/50%/b#1?.png", False),
    "C:\\pictures\\b.png": ("C:\\pictures\\b.png", False),
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_name_pictures(address):
    found = picture_name(address)
    assert (found.name, found.uploaded) == ADDRESSES[address]


@pytest.mark.parametrize(
    ("address", "picture"),
    [
        ("/data/local-files/?d=my pictures/c++ (1).png", "my pictures/c++ (1).png"),
        ("s3://some-bucket/year/x.png", "year/x.png"),
        ("s3://some-bucket/year/x.png", "x.png"),
        ("https://h.example.org/x/y.png?sig=ab%2Fc.def", "y.png"),
        ("/data/upload/3/1234abcd-x.png", "some folder/x.png"),
        ("https://h.example.org/pictures/12", "12.png"),
        ("x", "x.png"),
    ],
)
def test_the_picture_of_a_task_is_found(address, picture, tmp_path):
    found = dataset(tmp_path, task(region(), data={"image": address}), pictures=(picture,))
    assert found.records[0].path == tmp_path / picture


def test_folders_of_an_address_tell_pictures_apart_and_those_of_a_server_do_not(tmp_path):
    pictures = ("2023/x.png", "2024/x.png")
    found = dataset(tmp_path, task(region(), data={"image": "s3://bucket/2024/x.png"}), pictures=pictures)
    assert [record.id for record in found.records] == ["2024_x"]
    assert "may be any of 2 pictures" in said(tmp_path, task(region()), pictures=pictures)
    elsewhere = task(region(), data={"image": "s3://bucket/2025/x.png"})
    assert "there is no picture '/2025/x.png'" in said(tmp_path, elsewhere, pictures=pictures)


def test_a_picture_is_found_by_its_name_alone_where_only_one_has_it(tmp_path):
    pictures = ("a/x.png", "a/y.png", "b/y.png")
    tasks = [task(choice("c"), name=f"{name}.png", number=k) for k, name in enumerate("xy")]
    assert [record.id for record in dataset(tmp_path, tasks[0], pictures=pictures, truth=()).records] == ["a_x"]
    text = said(tmp_path, *tasks, pictures=pictures)
    assert "'/data/upload/3/0a1b2c3d-y.png' may be any of 2 pictures" in text and "'a/y.png', 'b/y.png'" in text


def test_the_picture_of_a_task_is_not_its_caption(tmp_path):
    data = {"caption": "A bolt. Rusty.", "picture": "s3://bucket/x.png", "id": 7, "more": ["a", 1], "none": None}
    found = dataset(tmp_path, task(choice("a"), data=data), truth=())
    assert [record.id for record in found.records] == ["x"] and not found.left_out


def test_a_name_in_a_column_of_its_own_is_no_second_picture(tmp_path):
    data = {"name": "x.png", "image": "/data/upload/3/0a1b2c3d-x.png"}
    found = dataset(tmp_path, task(region(on="img"), data=data))
    assert [record.id for record in found.records] == ["x"] and not found.left_out


LEFT_RIGHT = {"left": "/data/upload/1/aaaaaaa1-l.png", "right": "/data/upload/1/bbbbbbb1-r.png"}
BOTH = ("l.png", "r.png")


def test_regions_of_a_task_with_two_pictures_are_on_the_one_that_they_say(tmp_path):
    results = region(on="left"), region(on="right", labels=["valve"]), choice("pipe", on="right")
    found = dataset(tmp_path, task(*results, data=LEFT_RIGHT), pictures=BOTH)
    assert [(record.id, record.tags) for record in found.records] == [("l", (0,)), ("r", (0, 1))]
    tasks = task(region(on="left"), data=LEFT_RIGHT), task(region(on="right"), number=2)
    found = dataset(tmp_path, *tasks, pictures=(*BOTH, "x.png"))
    assert [(record.id, record.tags) for record in found.records] == [("l", (0,)), ("r", ()), ("x", (0,))]


def test_a_preview_besides_the_picture_is_counted(tmp_path):
    data = {"preview": "/data/upload/1/aaaaaaa1-thumb.png", "image": "/data/upload/1/aaaaaaa1-x.png"}
    found = dataset(tmp_path, task(region(), data=data))
    assert [record.id for record in found.records] == ["x"] and found.left_out == {"extra_pictures_of_a_task": 1}


def test_where_nothing_tells_the_picture_the_keys_are_named(tmp_path):
    text = said(tmp_path, task(region(on="img-left"), data=LEFT_RIGHT), pictures=BOTH)
    assert "task 1 has several pictures, 'left', 'right', and its results are on 'img-left'; call the keys" in text
    results = region(on="left"), region(on="img"), region(on="right")
    text = said(tmp_path, task(*results, data=LEFT_RIGHT), pictures=BOTH)
    assert "result 2 (rectanglelabels): it is on 'img', but the pictures are 'left', 'right'" in text


def test_pictures_of_a_list_are_told_apart_by_their_place(tmp_path):
    data = {"images": list(LEFT_RIGHT.values())}
    results = [{**region(labels=[label], on="images"), "item_index": k} for k, label in enumerate(("pipe", "valve"))]
    found = dataset(tmp_path, task(*results, data=data), pictures=BOTH)
    assert [(record.id, record.tags) for record in found.records] == [("l", (0,)), ("r", (1,))]
    text = said(tmp_path, task({**results[0], "item_index": 5}, data=data), pictures=BOTH)
    assert "it is on picture 5 of 'images', but the pictures are 'images'" in text


def test_answers_about_other_data_of_a_task_are_no_tags(tmp_path):
    data = {"image": "x.png", "text": "A rusty pipe."}
    found = dataset(tmp_path, task(region(), choice("pipe", "rude", on="text"), data=data))
    assert found.class_names == ["pipe"] and found.left_out == {"answers_that_are_no_tags": 2}


def test_a_task_without_a_picture_is_told(tmp_path):
    assert "task 1 names no picture" in said(tmp_path, task(region(), data={"image": "data:image/png;base64,AAAA"}))


# Regions


def test_geometry_and_labels_in_two_results_are_one_region(tmp_path):
    place = {**region(), "type": "rectangle", "from_name": "rect"}
    place["value"].pop("rectanglelabels")
    labels = {**region(), "type": "labels"}
    labels["value"] = {**place["value"], "labels": ["pipe"]}
    found = dataset(tmp_path, task(place, labels, choice("pipe", "wet", control="kind")))
    assert found.counts["shapes"] == 3 and found.records[0].boxes.tolist() == [[20, 20, 60, 60, 0]]
    assert found.class_names == ["pipe", "wet"]
    found = dataset(tmp_path, task(labels))  # without the other one its place is there too
    assert found.records[0].boxes.tolist() == [[20, 20, 60, 60, 0]]


def test_a_region_of_several_labels_is_one_of_each_and_one_of_none_counted(tmp_path):
    found = dataset(tmp_path, task(region(labels=["pipe", "rusty"]), region(labels=[])))
    assert [row[-1] for row in found.records[0].boxes.tolist()] == [0, 1]
    assert found.left_out == {"shapes_of_no_class": 1}


def test_ellipses_are_masks_that_may_be_turned(tmp_path):
    record, [mask] = only(tmp_path, region("ellipse", x=50, y=50, radiusX=10, radiusY=10, rotation=0))
    assert record.boxes[0, :4].tolist() == [80, 40, 120, 60]
    record, [mask] = only(tmp_path, region("ellipse", x=50, y=50, radiusX=10, radiusY=10, rotation=90))
    assert record.boxes[0, :4].tolist() == [90, 30, 110, 70]


def test_turned_rectangles_are_polygons_about_their_corner(tmp_path):
    """As Label Studio draws them: x and y are where the corner is after the turn, and pixels are turned."""
    record, [mask] = only(tmp_path, region(x=50, y=20, width=20, height=10, rotation=90))
    expected = np.zeros((100, 200), np.uint8)
    expected[20:60, 90:100] = 1
    np.testing.assert_array_equal(mask, expected)
    assert record.boxes[0, :4].tolist() == [90, 20, 100, 60]
    record, masks = only(tmp_path, region(x=10, y=20, width=20, height=40, rotation=360))
    assert record.boxes.tolist() == [[20, 20, 60, 60, 0]] and not len(masks)


@pytest.mark.parametrize("turn", [90, -90, 180, "90"])
def test_a_picture_that_label_studio_turned_is_refused_or_skipped(turn, tmp_path):
    turned = task(region(identity="r2", size={**SIZE, "image_rotation": turn}, x=1, y=1, width=9, height=9), region())
    text = said(tmp_path, turned)
    assert f"result 1 (rectanglelabels): its 'image_rotation' is {turn!r}" in text and "`unknown_shapes: skip`" in text
    found = dataset(tmp_path, turned, unknown_shapes="skip")
    assert found.left_out == {"shapes_of_turned_pictures": 1} and found.counts["shapes"] == 1
    upright = task(region(size={**SIZE, "image_rotation": 360.0}, x=1, y=1, width=9, height=9))
    assert not dataset(tmp_path, upright).left_out


def test_a_click_is_a_box_of_no_pixel(tmp_path):
    found = dataset(tmp_path, task(region(x=50, y=50, width=0, height=0), region()))
    assert found.left_out == {"boxes_under_one_pixel": 1} and len(found.records[0].boxes) == 1


def data_url(mode, mask):
    picture = Image.new(mode, mask.shape[::-1])
    picture.putalpha(Image.fromarray(mask)) if mode == "RGBA" else picture.paste(255, mask=Image.fromarray(mask))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_bit_masks_are_what_is_not_transparent(tmp_path):
    mask = np.zeros((100, 200), np.uint8)
    mask[10:40, 50:90], mask[20, 60] = 255, 0
    _, [found] = only(tmp_path, region("bitmask", imageDataURL=data_url("RGBA", mask)))
    np.testing.assert_array_equal(found, mask > 0)
    for url, words in (
        (data_url("L", mask), "its picture has nothing transparent"),
        (data_url("RGBA", mask[:50]), "its mask is 200x50, the picture 200x100"),
        ("data:image/png;base64,AAAA", "its mask is 'AAAA', not a PNG in base64"),
        (None, "its mask is None, not a PNG in base64"),
    ):
        assert words in said(tmp_path, task(region("bitmask", imageDataURL=url)))


def test_brushes_are_masks(tmp_path):
    mask = np.zeros((100, 200), np.uint8)
    mask[10:40, 50:90], mask[20, 60] = 1, 0
    _, [found] = only(tmp_path, region("brush", format="rle", rle=encode_brush(mask)))
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize(
    "kind",
    ["vectorlabels", "videorectangle", "timelinelabels", "cuboid", "box", "mask", "point", "tag", "rings", "labels"],
)
def test_what_cannot_be_a_mask_is_refused_or_skipped(kind, tmp_path):
    odd = {**region(identity="v", sequence=[], labels=[]), "type": kind}
    odd["value"]["labels"] = ["vein"]
    text = said(tmp_path, task(region(), odd))
    assert (
        f"task 1 ('0a1b2c3d-x.png'): result 2 ({kind}): a " in text
        and "cannot be a mask; `unknown_shapes: skip`" in text
    )
    found = dataset(tmp_path, task(region(), odd), unknown_shapes="skip")
    assert found.left_out == {"shapes_that_are_no_masks": 1} and found.class_names == ["pipe"]


def test_without_a_size_places_are_shares_where_that_is_enough(tmp_path):
    results = [region(size={}), region("polygon", size={}, points=[[0, 0], [5, 0], [5, 10]])]
    record, masks = only(tmp_path, *results, region("keypoint", size={}, x=50, y=50))
    assert [20, 20, 60, 60, 0] in record.boxes.tolist() and [100, 50, 0] in record.points.tolist() and len(masks) == 1
    for one in (
        region("ellipse", size={}, x=50, y=50, radiusX=10, radiusY=10),
        region("brush", size={}, rle=[]),
        region(size={}, x=50, y=20, width=20, height=10, rotation=9),
    ):
        assert "it needs 'original_width' and 'original_height'" in said(tmp_path, task(one))
    record, masks = only(tmp_path, region("brush", size={}, rle=encode_brush(np.ones((100, 200)))), region())
    assert len(masks) == 1  # another result states the size


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"original_width": 100, "original_height": 50}, "but 100x50 by the file; it seems to have been enlarged"),
        ({"original_width": 200, "original_height": None}, "are 200 and None, which is no size of a picture"),
        ({"original_width": "wide", "original_height": 100}, "are 'wide' and 100, which is no size of a picture"),
        ({"original_width": -200, "original_height": 100}, "are -200 and 100, which is no size of a picture"),
        ({"original_width": 1e9, "original_height": 1e9}, "which is no size of a picture"),
        ({"original_width": float("nan"), "original_height": 100}, "which is no size of a picture"),
    ],
)
def test_sizes_that_cannot_be_are_told(size, words, tmp_path):
    assert words in said(tmp_path, task(region(size=size)))


def test_results_of_one_picture_state_one_size(tmp_path):
    other = region(size={"original_width": 100, "original_height": 50})
    assert "the picture is 100x50, but 200x100 by results before" in said(tmp_path, task(region(), other))


ODD = [
    (region(x="left", y=1, width=2, height=3), "its 'x' is 'left', not a number"),
    (region(x=1, y=1, width=2), "its 'height' is None, not a number"),
    (region(x=1, y=1, width=2, height=[3]), "its 'height' is [3], not a number"),
    (region(x=1, y=1, width=2, height=3, rotation="a"), "its 'rotation' is 'a', not a number"),
    (region(x=90, y=1, width=20, height=3), "its box (180, 1, 220, 4) leaves the picture of 200x100"),
    (region("polygon", points=[[1, 1], [2, 2]]), "a polygon has 2 corners"),
    (region("polygon", points={"x": 1}), "its 'points' are {'x': 1}, not a list"),
    (region("ellipse", x=1, y=1, radiusX=2), "its 'radiusY' is None, not a number"),
    (region("brush", rle="1, 2"), "its brush mask is '1, 2', not a list of bytes"),
    (region("brush", rle=encode_brush(np.ones((9, 9)))), "its brush mask has 324 values, but the picture is 200x100"),
    ({**region(), "value": None}, "its 'value' is None, not an object with its properties"),
    ({**region(), "value": {"rectanglelabels": 7}}, "its 'rectanglelabels' are 7, not a list"),
    (region(labels=[{"name": "pipe"}]), "{'name': 'pipe'} is no name of a class"),
    ({key: value for key, value in region().items() if key != "type"}, "it has no 'type'"),
    ({**region(), "type": ["rectanglelabels"]}, "it has no 'type'"),
    ({**choice("a"), "value": {"choices": {"a": 1}}}, "its 'choices' are {'a': 1}, not a list"),
    ("a region", "it is 'a region', not an object with its properties"),
]


def test_what_cannot_be_read_is_listed_with_its_place_all_in_one_run(tmp_path):
    lines = said(tmp_path, task(*(one for one, _ in ODD))).splitlines()
    for _, words in ODD:
        assert any("export.json: task 1" in line and ": result " in line and words in line for line in lines), words


MIN = [{"image": "/data/upload/1/a-x.png", "id": 1, "kind": [{"x": 1, "rectanglelabels": ["pipe"]}], "annotator": 1}]
FILES = {
    "{": "is not a JSON file",
    "[1]": "is not an export of Label Studio",
    "[]": "it holds no list of tasks; choose the format JSON",
    '{"data": 1}': "it holds no list of tasks",
    json.dumps(MIN): "seems to be Label Studio's JSON-MIN, which leaves too much out; choose the format JSON",
    json.dumps([task(region()), {"id": 2}]): "task 2 of the list has no 'data'",
    json.dumps([{**task(), "annotations": {}}]): "task 1: its annotations are {}, not a list of them",
    json.dumps([{**task(), "annotations": [1]}]): "task 1: its annotations are [1], not a list of them",
    json.dumps([{**task(), "annotations": [{}]}]): "task 1: its annotation has no 'result'",
    json.dumps([{**task(), "annotations": [{"result": "a"}]}]): "task 1: its 'result' is 'a', not a list",
    json.dumps([task(region()), task(region(), number=2)]): "is also the picture of",
    json.dumps([task(region(), name="z.png")]): "there is no picture '/data/upload/3/0a1b2c3d-z.png'",
}


@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
def test_wrong_files_are_told_in_a_sentence(text, tmp_path):
    path = write(tmp_path)
    path.write_text(text)
    with pytest.raises(InputError) as error:
        imported(read, tmp_path, path)
    assert FILES[text] in "\n".join(error.value.sentences) and "export.json" in str(error.value)


def test_a_single_task_is_read_without_a_list(tmp_path):
    path = write(tmp_path)
    path.write_text(json.dumps(task(region())))
    assert imported(read, tmp_path, path).class_names == ["pipe"]


WHOLE = task(
    region("brush", rle=encode_brush(np.ones((100, 200)))), region("polygon", points=[[1, 1], [9, 1], [9, 9]]),
    region(), region("keypoint", x=1, y=2), region("ellipse", x=50, y=50, radiusX=9, radiusY=9), choice("pipe"),
)  # fmt: skip


def test_whatever_is_damaged_in_a_file_is_told_without_a_traceback(tmp_path):
    path, told = write(tmp_path, WHOLE), 0
    assert imported(read, tmp_path, path).class_names == ["pipe"]
    for content in damaged([WHOLE], leave="rle"):
        path.write_text(json.dumps(content))
        try:
            imported(read, tmp_path, path)
        except InputError:
            told += 1
    assert told > 50


def test_the_export_is_found_in_its_folder_by_what_it_holds(tmp_path):
    path = write(tmp_path, task(region()))
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": []}')
    (tmp_path / "results.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": []}]')
    assert looks_like(tmp_path) and looks_like(path)
    assert not any(looks_like(tmp_path / name) for name in ("coco.json", "results.json", "x.png", "none.json"))
    assert imported(read, tmp_path).class_names == ["pipe"]
    (tmp_path / "min.json").write_text(json.dumps(MIN))
    assert looks_like(tmp_path / "min.json")
    with pytest.raises(InputError, match="holds 2 exports of Label Studio; set `annotations` to one"):
        imported(read, tmp_path)
    path.unlink()
    (tmp_path / "min.json").unlink()
    assert not looks_like(tmp_path)
    with pytest.raises(InputError, match="holds no export of Label Studio"):
        imported(read, tmp_path)
