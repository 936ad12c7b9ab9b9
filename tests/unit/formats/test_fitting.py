"""From what a file says to annotations: sizes, places, labels, groups, and what is counted."""

from time import process_time

import numpy as np
import pytest
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.drawing import Drawing, Shape
from wsis_steps.formats.fitting import Rules, fit
from wsis_steps.formats.pictures import Header
from wsis_steps.vision.masks import decode, encode

H, W = 80, 120
SQUARE = [[10, 10, 40, 10, 40, 40, 10, 40]]


def fitted(*shapes, rules=None, header=None, **drawing):
    drawing = {"height": H, "width": W, **drawing}
    return fit(
        Drawing("f.json", "a.jpg", shapes=list(shapes), **drawing), "a.jpg", header or Header(H, W, 1), rules or Rules()
    )


def box(*corners, label="leaf", **more):
    return Shape("shape 1", "box", label, corners, **more)


def point(x, y):
    return Shape(f"shape at {x}", "point", "leaf", (x, y))


def rings(value=SQUARE, label="leaf", **more):
    return Shape("shape 1", "rings", label, value, **more)


def wrong(*shapes, **more) -> str:
    with pytest.raises(InputError) as error:
        fitted(*shapes, **more)
    return str(error.value)


@pytest.mark.parametrize(
    ("stated", "orientation", "words"),
    [
        ((40, 60), 1, "120x80, but 60x40 by the file; it seems to have been enlarged"),
        ((160, 240), 1, "it seems to have been shrunk after it was annotated"),
        ((80, 100), 1, "120x80, but 100x80 by the file."),
        ((120, 80), 6, "its EXIF data turn it, but the annotating tool did not"),
        ((-80, 120), 1, "but 120x-80 by the file"),
    ],
)
def test_a_size_that_is_not_the_pictures_is_refused_with_the_reason(stated, orientation, words):
    text = wrong(height=stated[0], width=stated[1], header=Header(H, W, orientation))
    assert words in text and "f.json: a.jpg:" in text


@pytest.mark.parametrize(
    ("stated", "size", "orientation", "doubted"),
    [
        ((H, W), (H, W), 1, False), ((H, W), (H, W), 3, True), ((H, W), (H, W), 6, False), ((0, 0), (H, W), 6, True),
        ((80, 80), (80, 80), 6, True), ((0, 0), (H, W), 1, False),
    ],
)  # fmt: skip
def test_turns_by_exif_are_doubted_where_nothing_tells_whether_the_tool_saw_them(stated, size, orientation, doubted):
    found = fitted(rings(), height=stated[0], width=stated[1], header=Header(*size, orientation))
    assert bool(found.doubts) == doubted
    tag = Shape("tag", "tag", "leaf")
    assert not fitted(tag, height=stated[0], width=stated[1], header=Header(*size, orientation)).doubts


@pytest.mark.parametrize(
    ("corners", "wanted"),
    [
        ((10, 10, 40, 30), (10, 10, 40, 30)), ((-2, -1.5, 40, 30), (0, 0, 40, 30)), ((0, 0, 122, 82), (0, 0, W, H)),
        ((10.25, 10, 11.5, 30), (10.25, 10, 11.5, 30)),
    ],
)  # fmt: skip
def test_boxes_are_clipped_by_two_pixels_at_most(corners, wanted):
    assert fitted(box(*corners)).boxes == [(*wanted, "leaf")]


def test_large_pictures_forgive_one_in_a_hundred():
    header = Header(1000, 2000, 1)
    assert fitted(box(-20, 0, 2020, 1010), height=1000, width=2000, header=header).boxes[0][:4] == (0, 0, 2000, 1000)
    assert "leaves the picture" in wrong(box(-21, 0, 5, 5), height=1000, width=2000, header=header)


@pytest.mark.parametrize(
    ("corners", "more", "words"),
    [
        ((30, 10, 4000, 3000), {}, "its box (30, 10, 4000, 3000) leaves the picture of 120x80"),
        ((70, 20, 110 + 70, 60 + 20), {"sized": True}, "look like two corners, not a corner with width and height"),
        ((70, 20, 40, 50), {}, "ends before it begins; its numbers look like a corner with width and height"),
        ((10, 10, 40, 40), {"shares": True}, "its numbers look like pixels, not shares"),
        ((float("nan"), 0, 1, 1), {}, "a value that is no number"),
        ((0, 0, float("inf"), 1), {}, "a value that is no number"),
    ],
)
def test_boxes_that_cannot_be_right_are_refused_with_the_likely_reason(corners, more, words):
    assert words in wrong(box(*corners), **more)


def test_what_may_be_shares_is_noted_and_kept():
    for shape in (point(0.2, 0.25), point(-0.3, 0.1), box(0.1, 0.2, 0.5, 0.6), rings([[0.1, 0.1, 0.9, 0.1, 0.9, 0.8]])):
        assert ("may_be_shares", f"f.json: {shape.where}") in fitted(shape).doubts
    masked = rings(box=(0.1, 0.2, 0.5, 0.6))
    assert fitted(masked).doubts == [("may_be_shares", "f.json: shape 1")]
    assert not fitted(point(0.2, 0.25), box(0.1, 0.2, 0.5, 0.6), shares=True).doubts
    corner = rings([[0, 0, 0, 1, 1, 1, 1, 0], [100, 10, 110, 10, 110, 20]])  # a blob of an outline through its pixels
    found = fitted(point(0, 1), point(1.5, 0.5), point(0.5, 0.5), box(0, 0, 1, 1), corner)
    assert not found.doubts and found.kept == 5


def test_clicks_are_counted_not_boxes():
    found = fitted(box(10, 10, 10, 10), box(20, 20, 20.5, 50), box(119.5, 10, 125 - 3, 30))
    assert not found.boxes and not found.tags and found.kept == 0
    assert [one.reason for one in found.omitted] == ["boxes_under_one_pixel"] * 3


def test_the_area_of_a_file_tells_corners_from_sizes():
    found = fitted(box(20, 15, 20 + 60, 15 + 55, area=1600.0), sized=True)  # (60 - 20) * (55 - 15)
    assert found.doubts == [("areas_of_other_boxes", "f.json: shape 1")] and len(found.boxes) == 1
    found = fitted(box(20, 15, 80, 70, area=900.0), sized=True)
    assert found.doubts == [("areas_unlike_their_boxes", "f.json: shape 1")] and len(found.boxes) == 1
    assert not fitted(box(20, 15, 80, 70, area=3300.0), sized=True).doubts


def test_a_sliver_is_no_object_that_lacks_its_mask():
    sliver = [[10, 20.56, 15.5, 20.56, 12, 20.56]]
    found = fitted(rings(sliver, box=(10, 20.56, 15.5, 20.56), area=0.0))
    assert (
        [one.reason for one in found.omitted] == ["shapes_without_area"] and not found.without_mask and not found.doubts
    )
    assert fitted(rings(sliver)).without_mask == [("leaf", "shape 1")]
    tiny = fitted(rings([[20.2, 20.2, 21, 20.2, 21, 21, 20.2, 21]], box=(20.2, 20.2, 21, 21)))
    assert not tiny.doubts


def test_the_area_of_a_file_tells_holes_that_are_filled():
    ring = [[10, 10, 60, 10, 60, 60, 10, 60], [20, 20, 20, 50, 50, 50, 50, 20]]
    found = fitted(rings(ring, area=1600.0))
    assert found.doubts == [("areas_unlike_their_masks", "f.json: shape 1")] and coco.area(found.rles).tolist() == [
        2500
    ]
    leaf = [[10, 10, 60, 10, 60, 15, 15, 15, 15, 60, 10, 60]]
    for area in (2500.0, 475.0, 500.0, 0.0, None):  # of its box, which some tools state; its own; none
        assert not fitted(rings(leaf, area=area)).doubts
    assert fitted(rings(leaf, area=1200.0)).doubts


def test_a_box_is_held_against_its_mask():
    assert fitted(rings(box=(9.5, 10, 40, 41))).boxes == [(9.5, 10, 40, 41, "leaf")]
    assert "does not match its mask; its numbers look like two corners" in wrong(
        rings([[50, 40, 90, 40, 90, 70, 50, 70]], box=(50, 40, 50 + 90, 40 + 70)), sized=True
    )
    other = fitted(rings(box=(60, 20, 110, 70)))
    assert other.boxes == [(10, 10, 40, 40, "leaf")]
    assert other.doubts == [("boxes_unlike_their_masks", "f.json: shape 1")]


@pytest.mark.parametrize("skip", [False, True])
def test_a_box_that_leaves_the_picture_is_not_that_of_its_mask(skip):
    found = fitted(rings(box=(10, 10, 4000, 3000)), rules=Rules(skip_unknown=skip))
    assert found.boxes == [(10, 10, 40, 40, "leaf")] and found.kept == 1 and not found.omitted
    assert found.doubts == [("boxes_unlike_their_masks", "f.json: shape 1")]


def test_shares_are_scaled_by_the_picture():
    found = fitted(box(0.25, 0.5, 0.75, 1.0), rings([[0, 0, 0.5, 0, 0.5, 0.5, 0, 0.5]], "stem"), shares=True)
    assert found.boxes == [(0, 0, 60, 40, "stem"), (30, 40, 90, 80, "leaf")]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[10, 10, 1e300, 10, 40, 40]], "leaves the picture"),
        ([[10, 10, 200, 10, 40, 40]], "its polygon (10, 10, 200, 40) leaves the picture of 120x80"),
        ([[10, 10, float("nan"), 10, 40, 40]], "a corner that is no number"),
        ([[10, 10, 40, 40]], "a polygon has 2 corners; expected is a list of polygons"),
        ([[10, 10, 40, 40, 50]], "5 numbers, which is odd"),
        ([], "it has no corners"),
        ("x", "it is 'x'; expected is a list of polygons"),
        ({"size": [80, 121], "counts": "abc"}, "its mask is 121x80, the picture 120x80"),
    ],
)
def test_polygons_that_cannot_be_right_are_refused(value, words):
    assert words in wrong(rings(value))


def test_all_that_is_wrong_with_a_picture_is_told_at_once():
    with pytest.raises(InputError) as error:
        fitted(box(300, 0, 400, 5), rings([[1, 2]]), rings([[10, 10, 300, 10, 40, 40]]), box(1, 1, 5, 5, label=[1]))
    assert len(error.value.sentences) == 4


def test_ignored_regions_boxes_and_points():
    found = fitted(
        rings(),
        rings([[50, 10, 60, 10, 60, 20, 50, 20]], "__ignore__"),
        box(70, 10, 80, 20, label="__ignore__"),
        Shape("p", "point", "__ignore__", (5.0, 5.0)),
    )
    ignored = decode([found.ignore], H, W)[0]
    assert ignored.sum() == 200 and ignored[15, 55] and ignored[15, 75]
    assert found.labels == ["leaf"] and found.tags == {"leaf"} and found.kept == 3
    assert [one.reason for one in found.omitted] == ["ignored_points"]


@pytest.mark.parametrize("label", ["", " ", "_background_", "background", "Background", "__background__"])
def test_what_is_no_class_is_counted_unless_it_is_chosen(label):
    found = fitted(rings(label=label))
    assert not found.tags and [one.reason for one in found.omitted] == ["shapes_of_no_class"]
    if label.strip():
        assert fitted(rings(label=label), rules=Rules((label,))).tags == {label}


@pytest.mark.parametrize("label", [None, [], {}, 1.5, True])
def test_a_label_that_is_no_name_is_refused(label):
    assert "is no name of a class" in wrong(rings(label=label))


def test_a_number_is_a_name():
    assert fitted(rings(label=7)).tags == {"7"}


def test_masks_without_area_leave_their_box_or_are_counted():
    thin = [[10.2, 10.2, 10.3, 10.2, 10.3, 10.3]]
    found = fitted(rings(thin, box=(9, 9, 12, 12)))
    assert found.boxes == [(9, 9, 12, 12, "leaf")] and found.doubts[0][0] == "masks_without_area" and found.kept == 1
    found = fitted(rings(thin))
    assert found.tags == {"leaf"} and not found.boxes and found.kept == 0
    assert [one.reason for one in found.omitted] == ["shapes_without_area"]
    assert found.without_mask


def test_shapes_of_a_group_are_one_instance_and_take_its_box_and_point():
    found = fitted(
        rings(group=3), rings([[60, 10, 90, 10, 90, 40, 60, 40]], group=3), box(10, 10, 90, 40, group=3),
        Shape("p", "point", "leaf", (20.0, 20.0), group=3), rings(group=3, label="stem"),
    )  # fmt: skip
    assert len(found.rles) == 2 and len(found.boxes) == 2 and len(found.points) == 2 and found.kept == 5
    assert coco.area(found.rles).tolist() == [1800, 900] and not found.without_mask


def test_parts_of_a_group_without_area_are_counted_and_so_are_ignored_ones():
    thin = [[10.2, 10.2, 10.3, 10.2, 10.3, 10.3]]
    found = fitted(rings(thin, group=1), rings(group=1), rings(thin, "__ignore__"))
    assert found.kept == 1 and found.joined == 0 and not found.without_mask and found.ignore is None
    assert [one.reason for one in found.omitted] == ["shapes_without_area"] * 2


def test_thousands_of_marks_and_of_parts_take_seconds_not_minutes():
    header, places = Header(4000, 4000, 1), [(k % 60 * 60, k // 60 * 60) for k in range(2000)]
    squares = [[[x, y, x + 50, y, x + 50, y + 50, x, y + 50]] for x, y in places]
    start = process_time()
    found = fitted(*(rings(one, group=1) for one in squares), height=4000, width=4000, header=header)
    assert len(found.rles) == 1 and found.kept == 2000 and found.joined == 1999
    shapes = [*map(rings, squares), *(box(x, y, x + 50, y + 50) for x, y in places)]
    found = fitted(*shapes, height=4000, width=4000, header=header)
    assert len(found.boxes) == 4000 and not found.without_mask
    assert process_time() - start < 10


def test_crowds_give_a_mask_only():
    found = fitted(rings(crowd=True))
    assert found.crowd == [True] and not found.tags and not found.boxes and not found.points and found.kept == 1


def test_objects_without_a_mask_are_known():
    found = fitted(rings(), box(12, 11, 39, 40), box(60, 20, 90, 50), box(60, 20, 90, 50, label="stem"),
                   Shape("t", "tag", "leaf"), Shape("t", "tag", "root"))  # fmt: skip
    assert [label for label, _ in found.without_mask] == ["leaf", "stem", "root"]


def test_a_mask_keeps_its_pixels_and_gives_tag_box_and_point():
    mask = np.zeros((H, W), np.uint8)
    mask[20:30, 40:60] = 1
    found = fitted(Shape("m", "mask", "leaf", encode(mask[None])[0]))
    np.testing.assert_array_equal(decode(found.rles, H, W)[0], mask)
    assert found.boxes == [(40, 20, 60, 30, "leaf")] and found.points == [(50, 24, "leaf")] or found.points
    assert "its mask is 5x5, the picture 120x80" in wrong(
        Shape("m", "mask", "leaf", encode(np.ones((1, 5, 5), np.uint8))[0])
    )


def test_points_lie_in_the_picture_or_on_its_side():
    found = fitted(Shape("p", "point", "leaf", (-0.5, 79.9)), Shape("p", "point", "leaf", (120.5, 3.0)))
    assert found.points == [(0, 79, "leaf"), (119, 3.0, "leaf")]
    assert "its point 130, 5 lies outside" in wrong(Shape("p", "point", "leaf", (130.0, 5.0)))


def test_a_shape_gives_the_weak_annotations_that_it_says():
    found = fitted(box(10, 10, 21, 31, weak=("tag", "box", "point")), rings(weak=("point",), label="stem"))
    assert found.tags == {"leaf"} and found.boxes == [(10, 10, 21, 31, "leaf")] and len(found.points) == 2
    assert (15, 20, "leaf") in found.points


def test_boxes_without_a_mask_give_their_middle_where_a_format_has_no_points():
    shapes = rings(), box(11, 10, 40, 40), box(70, 20, 81, 31)
    assert [point[:2] for point in fitted(*shapes, middles=True).points[1:]] == [(75, 25)]
    assert len(fitted(*shapes).points) == 1


def test_a_crowd_without_a_mask_is_counted():
    found = fitted(box(10, 10, 40, 40, crowd=True), middles=True)
    assert not found.tags and not found.boxes and not found.points and found.kept == 0
    assert [one.reason for one in found.omitted] == ["crowds_without_a_mask"] and found.without_mask
