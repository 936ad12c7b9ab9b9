"""CVAT for images 1.1: every shape, subsets, groups, untouched frames, and what is written is read."""

import unicodedata

import numpy as np
import pytest
from exported import check_same, exported
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imports import imported
from PIL import Image

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.cvat import from_row_runs, looks_like, read, row_runs, write_cvat
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.masks import decode

SQUARE = "10,10;40,10;40,40;10,40"


def image(shapes="", name="x.png", size=(80, 120), extra=""):
    return f'<image id="0" name="{name}" {extra} width="{size[1]}" height="{size[0]}">{shapes}</image>'


def polygon(points=SQUARE, label="a", extra=""):
    return f'<polygon label="{label}" source="manual" occluded="0" points="{points}" z_order="0" {extra}></polygon>'


def box(extra="", label="a", corners=(10, 10, 40, 30)):
    names = ("xtl", "ytl", "xbr", "ybr")
    place = " ".join(f'{name}="{value}"' for name, value in zip(names, corners, strict=True))
    return f'<box label="{label}" occluded="0" {place} {extra}/>'


def write(folder, *images, name="annotations.xml", size=(80, 120), pictures=("x.png",)):
    for picture in pictures:
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size[::-1]).save(folder / picture)
    text = '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><job/></meta>'
    (folder / name).write_text(f"{text}{''.join(images)}</annotations>", encoding="utf-8")
    return folder / name


def dataset(folder, *images, truth=("train", "val"), val_share=0, pictures=("x.png",), **chosen):
    write(folder, *images, pictures=pictures)
    return imported(read, folder, None, truth=truth, val_share=val_share, without_mask="leave_out", **chosen)


def only(folder, shapes, **chosen):
    """The record and the true masks of one picture."""
    found = dataset(folder, image(shapes), **chosen)
    return found.records[0], decode(found.truth(found.records[0]).masks, 80, 120)


def said(folder, *images, **chosen) -> str:
    with pytest.raises(InputError) as error:
        dataset(folder, *images, **chosen)
    return "\n".join(error.value.sentences)


def test_tags_points_boxes_polygons_and_masks(tmp_path):
    shapes = '<tag label="t"/><points label="p" points="20.5,10.5;0,80"/>' + box() + polygon("1,1;4,1;4,5;1,5", "b")
    shapes += '<mask label="m" rle="1, 2, 1" left="15" top="5" width="2" height="2"/>'
    found = dataset(tmp_path, image(shapes))
    record = found.records[0]
    assert found.class_names == ["a", "b", "m", "p", "t"] and record.tags == (0, 1, 2, 3, 4)
    assert [20, 10, 3] in record.points.tolist() and [0, 79, 3] in record.points.tolist()
    assert record.boxes.tolist() == [[1, 1, 4, 5, 1], [15, 5, 17, 7, 2], [10, 10, 40, 30, 0]]
    square, mask = decode(found.truth(record).masks, 80, 120)
    assert square[1:5, 1:4].all() and square.sum() == 12
    assert np.argwhere(mask).tolist() == [[5, 16], [6, 15]]
    assert found.counts["shapes"] == 6


def test_an_ellipse_is_a_mask_that_may_be_turned(tmp_path):
    record, [mask] = only(tmp_path, '<ellipse label="a" cx="40" cy="40" rx="20" ry="10"/>')
    assert record.boxes[0, :4].tolist() == [20, 30, 60, 50] and abs(mask.sum() - np.pi * 200) < 5
    record, [turned] = only(tmp_path, '<ellipse label="a" cx="40" cy="40" rx="20" ry="10" rotation="90.0"/>')
    assert record.boxes[0, :4].tolist() == [30, 20, 50, 60]


def test_a_turned_box_is_a_polygon_about_its_middle_and_one_of_no_turn_a_box(tmp_path):
    record, [mask] = only(tmp_path, box('rotation="90.0"', corners=(10, 20, 50, 40)))
    expected = np.zeros((80, 120), np.uint8)
    expected[10:50, 20:40] = 1
    np.testing.assert_array_equal(mask, expected)
    _, [slanted] = only(tmp_path, box('rotation="30.0"', corners=(10, 20, 50, 40)))
    assert abs(int(slanted.sum()) - 800) < 40
    assert slanted[19, 15] and not slanted[39, 15]  # clockwise: its left end goes up
    record, masks = only(tmp_path, box('rotation="360"'))
    assert record.boxes.tolist() == [[10, 10, 40, 30, 0]] and not len(masks)


def test_polygons_of_one_group_are_one_instance(tmp_path):
    parts = ("1,1;4,1;4,5;1,5", "8,1;10,1;10,3;8,3", "12,1;14,1;14,3;12,3", "16,1;18,1;18,3;16,3")
    groups = ("7", "7", "0", "0")
    shapes = "".join(polygon(part, extra=f'group_id="{group}"') for part, group in zip(parts, groups, strict=True))
    record, masks = only(tmp_path, shapes)
    whole = np.zeros((3, 80, 120), np.uint8)
    whole[0, 1:5, 1:4] = whole[0, 1:3, 8:10] = whole[1, 1:3, 12:14] = whole[2, 1:3, 16:18] = 1
    np.testing.assert_array_equal(masks, whole)
    assert len(record.boxes) == 3


def test_the_box_of_a_group_is_not_another_object(tmp_path):
    grouped = 'group_id="3"'
    shapes = polygon(extra=grouped) + polygon("60,10;90,10;90,40;60,40", extra=grouped)
    record, masks = only(tmp_path, shapes + box(grouped, corners=(10, 10, 90, 40)))
    assert len(masks) == 1 and record.boxes.tolist() == [[10, 10, 90, 40, 0]]


@pytest.mark.parametrize("shape", ["polyline", "cuboid", "skeleton", "mitten", "rings", "point"])
def test_what_cannot_be_a_mask_is_refused_or_skipped(shape, tmp_path):
    element = f'<{shape} label="scratch" points="1,1;30,30"><attribute name="x">y</attribute></{shape}>'
    text = said(tmp_path, image(element * 2 + polygon()))
    assert text.count("cannot be a mask; `unknown_shapes: skip`") == 2 and f"<{shape}> 2: a" in text and shape in text
    found = dataset(tmp_path, image(element + polygon()), unknown_shapes="skip")
    assert found.left_out == {"shapes_that_are_no_masks": 1} and found.class_names == ["a"]


def test_the_points_of_a_skeleton_are_no_marks_of_their_own(tmp_path):
    skeleton = '<skeleton label="man"><points label="head" outside="0" points="5,5"/></skeleton>'
    found = dataset(tmp_path, image(skeleton + polygon()), unknown_shapes="skip")
    assert found.left_out == {"shapes_that_are_no_masks": 1} and not len(found.records[0].points) - 1


def test_shapes_outside_of_their_frame_are_left_out_and_counted(tmp_path):
    shapes = polygon() + box('outside="1"', "b") + '<points label="c" points="1,1;2,2" outside="1"/>'
    found = dataset(tmp_path, image(shapes))
    assert found.class_names == ["a"] and found.left_out == {"shapes_outside_of_their_pictures": 3}


def test_labels_that_are_no_classes_are_counted(tmp_path):
    found = dataset(tmp_path, image(polygon() + polygon(label="") + polygon(label="background")))
    assert found.class_names == ["a"] and found.left_out == {"shapes_of_no_class": 2}


def test_untouched_frames_are_images_without_objects_or_left_out(tmp_path):
    images = image(polygon()), image(name="y.png")
    found = dataset(tmp_path, *images, pictures=("x.png", "y.png"))
    assert [record.tags for record in found.records] == [(0,), ()]
    assert len(found.truth(found.records[1]).masks) == 0
    found = dataset(tmp_path, *images, untouched="leave_out")
    assert [record.id for record in found.records] == ["x"] and found.left_out["pictures_untouched"] == 1


def subset(name, shapes="", picture="x.png"):
    return image(shapes, picture, extra=f'subset="{name}" task_id="1"')


def test_subsets_are_splits_and_others_are_left_out_and_counted(tmp_path):
    names = [f"{letter}.png" for letter in "abcdef"]
    kinds = ("Train", "Validation", "val", "default", "Test", "holdout")
    images = [subset(kind, polygon(), name) for kind, name in zip(kinds, names, strict=True)]
    images.append(subset("Test", '<points label="a" points="1,1;2,2;3,3"/>', "g.png"))
    found = dataset(tmp_path, *images, pictures=[*names, "g.png"])
    assert {record.id: record.split for record in found.records} == {"a": "train", "b": "val", "c": "val", "d": "train"}
    assert found.left_out["pictures_of_other_subsets"] == 3
    assert found.left_out["shapes_of_pictures_left_out"] == 5


@pytest.mark.parametrize("folder", ["images/", ""])
def test_pictures_of_a_subset_lie_in_its_folder_and_may_have_the_names_of_others(folder, tmp_path):
    pictures = [f"{folder}{name}/x.png" for name in ("Train", "Validation")]
    images = subset("Train", polygon()), subset("Validation", polygon(label="b"))
    found = dataset(tmp_path, *images, pictures=[*pictures, f"{folder}Test/x.png"])
    assert [(record.path, record.split, record.tags) for record in found.records] == [
        (tmp_path / pictures[0], "train", (0,)), (tmp_path / pictures[1], "val", (1,)),
    ]  # fmt: skip
    assert len({record.id for record in found.records}) == 2 and not found.left_out


def test_a_picture_may_lack_its_suffix_in_the_file_and_have_a_dot(tmp_path):
    names = ("frame_000003", "plot_0.5m")
    found = dataset(
        tmp_path,
        *(image(polygon(), name) for name in names),
        pictures=(*(f"{name}.png" for name in names), "plot_0.png"),
    )
    assert [record.id for record in found.records] == list(names)
    assert found.left_out == {"pictures_not_listed": 1}


def test_what_is_written_is_read_to_the_same_codes_classes_and_pictures(tmp_path):
    labels, truth = exported(tmp_path)
    path = write_cvat(tmp_path / "out", labels)
    assert path == tmp_path / "out/train.xml" and looks_like(path) and looks_like(path.parent)
    original = Images(tmp_path / "images.h5").encoded(0).tobytes()
    assert (tmp_path / "out/images/im 0.jpg").read_bytes() == original
    check_same(imported(read, tmp_path / "out/images", path, truth=("train",), val_share=0), truth)


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 9))))
@settings(max_examples=60, deadline=None)
def test_row_runs_begin_with_zeros_and_fill_the_box(mask):
    runs = row_runs(mask)
    assert sum(runs[1::2]) == mask.sum()
    assert all(runs[1:])
    np.testing.assert_array_equal(from_row_runs(runs, *mask.shape), mask)


def test_marks_on_the_sides_of_a_picture_count_and_those_beyond_are_told(tmp_path):
    shapes = '<points label="a" points="120,80;0,0"/>' + box(corners=(-2, 10, 122, 30))
    record, _ = only(tmp_path, shapes)
    assert record.points.tolist() == [[119, 79, 0], [0, 0, 0]] and record.boxes.tolist() == [[0, 10, 120, 30, 0]]
    for shape, words in (
        ('<points label="a" points="125,10"/>', "its point 124.5, 9.5 lies outside the picture of 120x80"),
        (box(corners=(130, 10, 140, 30)), "its box (130, 10, 140, 30) leaves the picture of 120x80"),
        (box(corners=(-4.5, 10, 130.2, 30)), "its box (-4.5, 10, 130.2, 30) leaves the picture"),
        (polygon("1,1;200,1;200,40"), "leaves the picture of 120x80"),
    ):
        assert words in said(tmp_path, image(shape)) and "annotations.xml: image 'x.png': <" in said(
            tmp_path, image(shape)
        )


def test_a_size_that_is_not_the_pictures_is_told(tmp_path):
    text = said(tmp_path, image('<tag label="a"/>', size=(40, 60)))
    assert "the picture is 120x80, but 60x40 by the file; it seems to have been enlarged" in text


def test_a_damaged_picture_is_listed_with_all_else(tmp_path):
    path = write(tmp_path, image(polygon()), image('<tag label="a"/>', name="y.png"))
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(InputError) as error:
        imported(read, tmp_path, path)
    assert "x.png is not a picture" in str(error.value) and "no picture 'y.png'" in str(error.value)


def test_names_from_a_mac_are_found(tmp_path):
    """There a file's name has accents apart from their letters."""
    apart, joined = (unicodedata.normalize(form, "Gerät ä.png") for form in ("NFD", "NFC"))
    found = dataset(tmp_path, image('<tag label="a"/>', joined), pictures=(apart,), truth=())
    [record] = found.records
    assert record.id == unicodedata.normalize("NFC", "Gerät ä") and record.path.exists()


ODD = {
    '<box label="a" xtl="1" ytl="1" xbr="x" ybr="9"/>': "its place is 'xtl' '1', 'ytl' '1', 'xbr' 'x', 'ybr' '9'",
    '<box label="a" xtl="1" ytl="1" xbr="9"/>': "it has no 'ybr'",
    '<box label="a" xtl="1" ytl="1" xbr="9" ybr="9" rotation="left"/>': "its place is 'rotation' 'left'",
    '<box xtl="1" ytl="1" xbr="9" ybr="9"/>': "it has no 'label'",
    '<polygon label="a" points="1,1;4,1;4"/>': "its points are '1,1;4,1;4', not x,y;x,y;... in numbers",
    '<polygon label="a" points="1,1,4,1;4;1,1"/>': "not x,y;x,y;... in numbers",
    '<polygon label="a" points=""/>': "not x,y;x,y;... in numbers",
    '<polygon label="a" points="1,1;4,x;4,4"/>': "not x,y;x,y;... in numbers",
    '<polygon label="a" points="1,1;4,1"/>': "a polygon has 2 corners",
    '<polygon label="a" points="1,1;4,1;4,nan"/>': "a corner that is no number",
    '<points label="a"/>': "its points are '', not x,y;x,y;... in numbers",
    '<ellipse label="a" cx="5" cy="5" rx="-1" ry="4"/>': "or a negative radius",
    '<mask label="a" rle="0, 10, 5" left="9" top="9" width="10" height="10"/>': "its runs hold 15 pixels, its box 100",
    '<mask label="a" rle="0, x" left="10" top="10" width="10" height="10"/>': "its 'rle' is '0, x'",
    '<mask label="a" left="10" top="10" width="10" height="10"/>': "its 'rle' is None, not lengths of runs",
    '<mask label="a" rle="-1, 101" left="10" top="10" width="10" height="10"/>': "its runs hold 100 pixels",
    '<mask label="a" rle="9" left="115" top="10" width="9" height="1"/>': "at 115, 10 leaves the picture of 120x80",
    '<mask label="a" rle="9" left="0" top="0" width="1e9" height="1e9"/>': "its box is 1000000000x1000000000",
    '<polygon label="a" points="1,1;4,1;4,4" group_id="two"/>': "its 'group_id' is 'two', not a number",
    '<polygon label="a" points="1,1;4,1;4,4"><polygon label="b" points="1,1"/></polygon>': "it holds other shapes",
}


def test_what_cannot_be_read_is_listed_with_its_place_all_in_one_run(tmp_path):
    text = said(tmp_path, image("".join(ODD)))
    for place, words in enumerate(ODD.values(), 1):
        assert any(f"> {place}: " in line and words in line for line in text.splitlines()), words


FILES = {
    "<annotations/>": "it has no <image>; choose the format 'CVAT for images 1.1'",
    "<images/>": "is not an export of CVAT",
    "<annotations>": "is not an XML file",
    "": "is not an XML file",
    '<?xml version="1.0" encoding="klingon"?><annotations/>': "is not an XML file",
    '<annotations><track id="0" label="a"><box frame="0"/></track></annotations>': "is an export of CVAT for video",
    f"<annotations>{image()}{polygon()}</annotations>": "<polygon> stands outside of an <image>",
    f"<annotations>{image()}</annotations>": "nothing is annotated",
    '<annotations><image width="9" height="9"/></annotations>': "image 1 has no name",
    '<annotations><image name="x.png" width="big" height="9"/></annotations>': "its 'width' is 'big'",
    f"<annotations>{image(name='y.png')}</annotations>": "there is no picture 'y.png'",
    f"<annotations>{image(polygon())}{image(polygon())}</annotations>": "is also the picture of",
    f"<annotations>{image(polygon() + polygon(label='A'))}</annotations>": "write them alike",
}


@pytest.mark.parametrize("text", FILES)
def test_wrong_files_are_told_in_a_sentence(text, tmp_path):
    path = write(tmp_path)
    path.write_text(text)
    with pytest.raises(InputError) as error:
        imported(read, tmp_path, path)
    assert FILES[text] in str(error.value)


def test_a_mask_needs_a_size_and_other_shapes_do_not(tmp_path):
    text = f'<annotations><image name="x.png">{polygon()}</image></annotations>'
    path = write(tmp_path)
    path.write_text(text)
    assert imported(read, tmp_path, path).records[0].boxes.tolist() == [[10, 10, 40, 40, 0]]
    path.write_text(text.replace(polygon(), '<mask label="a" rle="1" left="0" top="0" width="1" height="1"/>'))
    with pytest.raises(InputError, match="its mask needs the width and height of its <image>"):
        imported(read, tmp_path, path)


def test_the_file_is_found_in_its_folder_by_what_it_holds(tmp_path):
    path = write(tmp_path, image(polygon()), name="job_7.xml")
    assert looks_like(tmp_path) and looks_like(path)
    assert imported(read, tmp_path).class_names == ["a"]
    write(tmp_path, image(polygon()), name="job_8.xml")
    with pytest.raises(InputError, match="holds 2 XML files of CVAT; set `annotations` to one"):
        imported(read, tmp_path)
    write(tmp_path, image(polygon(label="b")))
    assert imported(read, tmp_path).class_names == ["b"]


def test_other_files_do_not_look_like_cvat(tmp_path):
    (tmp_path / "x.xml").write_text("<annotation><object/></annotation>")
    (tmp_path / "y.txt").write_text("<annotations>")
    (tmp_path / ".annotations.xml").write_text("<annotations>")
    assert not any(looks_like(path) for path in (tmp_path, tmp_path / "x.xml", tmp_path / "y.txt", tmp_path / "no.xml"))
    with pytest.raises(InputError, match="holds no XML file of CVAT"):
        imported(read, tmp_path)
