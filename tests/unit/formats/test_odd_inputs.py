"""What people bring, in every format that can carry it: read right, counted, or refused in a sentence."""

import pkgutil
import shutil
from importlib import import_module
from pathlib import Path

import authors
import numpy as np
import pytest
from authors import Mark, Picture, write_picture
from imports import imported
from PIL import Image

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.table import FORMATS, find_format

AUTHORS = {one.name: import_module(f"authors.{one.name}") for one in pkgutil.iter_modules(authors.__path__)}
SQUARE = np.array([(10.0, 10.0), (40.0, 10.0), (40.0, 40.0), (10.0, 40.0)])
REGIONS = {"polygon", "mask"}


def formats(*needed):
    """The names of the formats that carry all of what is needed; of a set in it any one."""
    fit = [
        name
        for name, author in AUTHORS.items()
        if all(author.CARRIES & one if isinstance(one, set) else one in author.CARRIES for one in needed)
    ]
    return pytest.mark.parametrize("name", fit)


def mark(name, label="leaf", kinds=("polygon", "mask", "box", "point", "tag"), corners=SQUARE, size=(80, 120)):
    """A mark of the first of these kinds that the format carries."""
    kind = next(kind for kind in kinds if kind in AUTHORS[name].CARRIES)
    low, high = corners.min(axis=0), corners.max(axis=0)
    if kind == "mask":
        mask = np.zeros(size, np.uint8)
        mask[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] = 1
        return Mark(kind, label, mask)
    geometry = {"polygon": corners, "box": (*low, *high), "point": tuple((low + high) / 2), "tag": None}
    return Mark(kind, label, geometry[kind])


def write(name, folder, *pictures, **settings):
    """Writes pictures in a format; a function that imports them."""
    file = AUTHORS[name].write(folder, list(pictures))

    def read(**more):
        return imported(FORMATS[name].read, folder, file, **{**settings, **more})

    read.file = file
    return read


def find(folder, name) -> Path:
    [path] = [path for path in folder.rglob(Path(name).name) if path.suffix.lower() not in (".txt", ".xml", ".json")][
        :1
    ]
    return path


def two(name, /, **first):
    """A picture and another with a mark each."""
    return (
        Picture(**{"name": "a.jpg", "marks": (mark(name),), "split": "train", **first}),
        Picture("b.jpg", (mark(name, "stem"),), split="train"),
    )


def said(read, **settings) -> str:
    with pytest.raises(InputError) as error:
        read(**settings)
    assert "Traceback" not in str(error.value) and len(str(error.value)) < 4000
    return "\n".join(error.value.sentences)


def test_every_format_of_the_table_has_an_author():
    assert AUTHORS.keys() == FORMATS.keys()


@formats()
def test_a_data_set_by_the_book(name, tmp_path):
    read = write(name, tmp_path, *two(name))
    dataset = read()
    assert list(dataset.class_names) == ["leaf", "stem"]
    assert (
        sorted(record.id for record in dataset.records)
        == sorted(identity for identity in (record.path.with_suffix("").name for record in dataset.records))
        or name == "class_folders"
    )
    assert sorted(record.tags for record in dataset.records) == [(0,), (1,)]
    assert not dataset.left_out and not dataset.doubts
    count = AUTHORS[name].count(tmp_path, read.file)
    assert dataset.counts["shapes"] == count > 1
    assert find_format(read.file or tmp_path) == name


@formats()
def test_a_picture_that_is_not_there_is_named(name, tmp_path):
    if name in ("class_folders", "labelme", "labelimg", "cvat_masks"):
        return  # there the pictures are the list, or each file lies beside its own
    read = write(name, tmp_path, *two(name))
    find(tmp_path, "a.jpg").unlink()
    assert "a.jpg" in said(read) or "'a'" in said(read)


@formats()
def test_a_mask_is_not_taken_for_a_picture_that_is_not_there(name, tmp_path):
    if name in ("class_folders", "yolo"):
        return  # there the pictures are the list
    read = write(name, tmp_path, *two(name))
    picture = find(tmp_path, "a.jpg")
    (tmp_path / "masks").mkdir()
    picture.rename(tmp_path / "masks/a.png")
    assert "a" in said(read)


@formats("size", {"polygon", "box", "point"})
def test_pictures_that_were_shrunk_are_refused_whatever_truth_says(name, tmp_path):
    read = write(name, tmp_path, *two(name))
    Image.open(find(tmp_path, "a.jpg")).resize((60, 40)).save(find(tmp_path, "a.jpg"))
    assert "60x40, but 120x80 by the file; it seems to have been shrunk" in said(read)


@formats("size", {"polygon", "box", "point"})
def test_pictures_that_exif_turns_are_refused_where_the_file_has_the_raw_size(name, tmp_path):
    read = write(name, tmp_path, *two(name))
    turn(find(tmp_path, "a.jpg"), 6)
    assert "80x120, but 120x80 by the file; its EXIF data turn it, but the annotating tool did not" in said(read)


@formats({"polygon", "box", "point"})
def test_pictures_upside_down_by_exif_are_doubted(name, tmp_path):
    read = write(name, tmp_path, *two(name))
    turn(find(tmp_path, "a.jpg"), 3)
    [doubt] = read().doubts
    assert "Pictures turned by EXIF data, where nothing says" in doubt and "too: 1 (" in doubt and "a.jpg" in doubt


def turn(path, orientation):
    picture = Image.open(path)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif)


@formats({"polygon", "box"})
def test_places_far_outside_are_refused_with_the_place(name, tmp_path):
    far = mark(name, corners=SQUARE + [200, 0], kinds=("polygon", "box"))
    text = said(write(name, tmp_path, *two(name, marks=(far,))))
    assert "leaves the picture of 120x80" in text and ("a.jpg" in text or "a." in text)


@formats("box")
def test_boxes_a_pixel_over_the_side_are_clipped(name, tmp_path):
    over = Mark("box", "leaf", (-1.0, 10.0, 50.0, 81.0))
    dataset = write(name, tmp_path, *two(name, marks=(over,)))()
    [box] = next(record.boxes for record in dataset.records if record.path.name == "a.jpg")
    np.testing.assert_allclose(box[:4], (0, 10, 50, 80), atol=1e-3)


@formats({"polygon", "box", "mask"})
def test_labels_that_are_no_class_are_left_out_and_counted(name, tmp_path):
    if name == "voc":
        return  # its masks know values only
    pictures = two(name, marks=(mark(name), mark(name, "background", corners=SQUARE + [50, 20])))
    dataset = write(name, tmp_path, *pictures)()
    assert list(dataset.class_names) == ["leaf", "stem"]
    if name != "cvat_masks":  # the background is no shape there
        assert dataset.left_out["shapes_of_no_class"] == 1


@formats(REGIONS)
def test_ignored_regions_are_no_class_and_do_not_count(name, tmp_path):
    if name == "voc":
        return  # its value 255
    pictures = two(name, marks=(mark(name), mark(name, "__ignore__", corners=SQUARE + [50, 20])))
    dataset = write(name, tmp_path, *pictures)(truth=("train", "val"), val_share=0)
    assert list(dataset.class_names) == ["leaf", "stem"]
    record = next(record for record in dataset.records if record.path.name == "a.jpg")
    assert dataset.truth(record).ignore is not None and len(dataset.truth(record).masks) == 1


@formats()
def test_names_that_count_instances_are_doubted(name, tmp_path):
    from wsis_steps.data.doubts import find_doubts

    pictures = [Picture(f"{k}.jpg", (mark(name, f"car-{k}"),), split="train") for k in (1, 2)]
    doubts = find_doubts(write(name, tmp_path, *pictures)())
    assert any("'car-1', 'car-2' differ only at their ends" in doubt and "'car'" in doubt for doubt in doubts)


@formats()
def test_a_class_whose_name_turns_the_writing_is_refused(name, tmp_path):
    picture = Picture("a.jpg", (mark(name, "le\u202eaf"),), split="train")
    told = said(write(name, tmp_path, picture, Picture("b.jpg", (mark(name, "stem"),), split="train")))
    assert "the class 'le\\u202eaf' has a control character" in told


@formats()
def test_a_picture_whose_name_holds_a_control_character_is_refused(name, tmp_path):
    told = said(write(name, tmp_path, *two(name, name="a\x7f.jpg")))
    assert "a\\x7f" in told and "its name has a control character" in told


@formats()
def test_what_is_hidden_is_no_data(name, tmp_path):
    read = write(name, tmp_path, *two(name))
    picture = find(tmp_path, "a.jpg")
    for hidden in (".ipynb_checkpoints/a-checkpoint.jpg", "__MACOSX/a.jpg", "._b.jpg"):
        (picture.parent / hidden).parent.mkdir(exist_ok=True)
        shutil.copy(picture, picture.parent / hidden)
    dataset = read()
    assert len(dataset.records) == 2 and not dataset.left_out


@formats()
def test_a_jfif_file_is_a_picture(name, tmp_path):
    dataset = write(name, tmp_path, *two(name, name="a.jfif"))()
    assert {record.path.suffix for record in dataset.records} == {".jfif", ".jpg"}


@formats()
def test_a_dot_in_a_name_begins_no_suffix(name, tmp_path):
    dataset = write(name, tmp_path, *two(name, name="plot_0.5m.png"))()
    assert any(record.id.endswith("plot_0.5m") for record in dataset.records)


@formats()
def test_a_mask_beside_a_picture_of_its_name_does_no_harm(name, tmp_path):
    if name == "class_folders":
        return  # every picture there is one of the class
    read = write(name, tmp_path, *two(name))
    picture = find(tmp_path, "a.jpg")
    Image.new("L", (120, 80)).save(picture.with_suffix(".png"))
    dataset = read()
    assert sorted(record.path.name for record in dataset.records) == ["a.jpg", "b.jpg"]


@formats("split")
def test_other_subsets_are_left_out_and_counted(name, tmp_path):
    pictures = (*two(name), Picture("c.jpg", (mark(name),), split="test"))
    dataset = write(name, tmp_path, *pictures)()
    assert len(dataset.records) == 2
    assert dataset.left_out["pictures_of_other_subsets"] == 1
    assert dataset.left_out["shapes_of_pictures_left_out"] == 1


@formats("split")
def test_where_all_is_for_training_a_share_is_kept_for_evaluation_and_it_is_said(name, tmp_path):
    pictures = [Picture(f"{k}.jpg", (mark(name, kinds=("box", "mask", "tag")),), split="train") for k in range(10)]
    read = write(name, tmp_path, *pictures)
    dataset = read()
    assert [record.split for record in dataset.records].count("val") == 2
    [doubt] = dataset.doubts
    assert "so 2 of the 10 training images are used for evaluation; set `val_share: 0` to train on all" in doubt
    assert {record.split for record in read(val_share=0).records} == {"train"}


@formats("split")
def test_pictures_of_one_name_in_two_splits_are_told_apart(name, tmp_path):
    if name == "voc" or name == "cvat_masks":
        return  # one folder of pictures for all splits
    pictures = [Picture("a.jpg", (mark(name),), split=split) for split in ("train", "val")]
    records = write(name, tmp_path, *pictures)().records
    assert sorted(record.split for record in records) == ["train", "val"] and len({r.id for r in records}) == 2


@pytest.mark.parametrize("name", ["coco", "cvat", "folder", "labelme"])
def test_shares_in_place_of_pixels_are_refused_but_a_click_in_the_corner_is_not(name, tmp_path):
    def picture(k, corners):
        tag = (Mark("tag", "leaf"),) if name == "folder" else ()
        return Picture(f"{k}.jpg", (Mark("box", "leaf", corners), *tag))

    in_shares = [picture(k, (0.1, 0.2, 0.5, 0.6)) for k in range(3)]
    with pytest.raises(InputError, match=r"Shapes that lie in the first pixel: 3 \(.*shares of the sides, not pixels"):
        write(name, tmp_path / "shares", *in_shares, truth=())()
    dataset = write(name, tmp_path / "click", in_shares[0], *(picture(k, (10, 10, 40, 50)) for k in (1, 2)), truth=())()
    assert dataset.counts["boxes"] == 2 and dataset.left_out == {"boxes_under_one_pixel": 1}


def test_annotations_of_another_folder_are_one_sentence(tmp_path):
    file = AUTHORS["cvat"].write(tmp_path / "there", list(two("cvat")))
    write_picture(tmp_path / "here/z.jpg", 20, 30)
    with pytest.raises(InputError, match="here holds none of the 2 annotated pictures; is it their folder") as error:
        imported(FORMATS["cvat"].read, tmp_path / "here", file)
    assert len(error.value.sentences) == 1


@formats()
def test_pictures_that_no_file_names_are_counted(name, tmp_path):
    if name in ("class_folders", "yolo"):
        return  # a picture there is one of the class; one without objects
    read = write(name, tmp_path, *two(name))
    picture = find(tmp_path, "a.jpg")
    shutil.copy(picture, picture.with_name("other.jpg"))
    dataset = read()
    assert len(dataset.records) == 2 and dataset.left_out == {"pictures_not_listed": 1}


@formats("empty")
def test_pictures_without_a_shape_are_images_without_objects_or_left_out(name, tmp_path):
    read = write(name, tmp_path, *two(name), Picture("c.jpg", split="train"))
    dataset = read()
    assert len(dataset.records) == 3 and dataset.counts["images_without_tags"] == 1
    assert read(untouched="leave_out").left_out["pictures_untouched"] == 1


@formats("box", REGIONS)
def test_objects_without_a_mask_stop_a_split_of_truth(name, tmp_path):
    if name == "voc":
        return  # boxes and masks are files of their own there
    box = Mark("box", "stem", (60.0, 20.0, 100.0, 60.0))
    read = write(name, tmp_path, *two(name, marks=(mark(name), box)))
    assert "Objects without a mask in the split train: 1 " in said(read, truth=("train", "val"), val_share=0)
    dataset = read(truth=("train", "val"), val_share=0, without_mask="leave_out")
    record = next(record for record in dataset.records if record.path.name == "a.jpg")
    assert record.tags == (0, 1) and len(record.boxes) == 2 and len(dataset.truth(record).masks) == 1
    assert dataset.counts["objects_without_a_mask"] == 1


@formats("line")
def test_shapes_that_cannot_be_masks_are_refused_together_or_skipped(name, tmp_path):
    line = Mark("line", "vein", SQUARE[:2])
    read = write(name, tmp_path, *two(name, marks=(mark(name), line, line)))
    assert said(read).count("cannot be a mask; `unknown_shapes: skip`") == 2
    dataset = read(unknown_shapes="skip")
    assert dataset.left_out == {"shapes_that_are_no_masks": 2} and list(dataset.class_names) == ["leaf", "stem"]


@formats("mask")
def test_a_mask_that_reaches_over_a_side_by_a_pixel_is_cut(name, tmp_path):
    if name not in ("cvat", "labelme"):
        return  # elsewhere a mask is one of the whole picture
    over = Mark("mask", "leaf", np.pad(np.ones((20, 20), np.uint8), ((30, 31), (101, 0))))
    dataset = write(name, tmp_path, *two(name, marks=(over,)))(truth=("train", "val"), val_share=0)
    record = next(record for record in dataset.records if record.path.name == "a.jpg")
    assert record.boxes[0, :4].tolist() == [101, 30, 120, 50] and not dataset.left_out


@formats("polygon")
def test_a_polygon_over_a_side_is_refused_or_skipped(name, tmp_path):
    """One far outside for which no other reading of the numbers is likely."""
    over = mark(name, kinds=("polygon",), corners=SQUARE + [100, 0])
    read = write(name, tmp_path, *two(name, marks=(mark(name), over)))
    assert "leaves the picture of 120x80; `unknown_shapes: skip` leaves such shapes out" in said(read)
    assert read(unknown_shapes="skip").left_out == {"shapes_over_the_side": 1}


@formats("polygon")
def test_a_polygon_of_two_corners_is_refused_or_skipped(name, tmp_path):
    if name in ("coco", "labelimg", "yolo"):
        return  # there a box is beside it, or two corners are written as a box is
    line = Mark("polygon", "leaf", SQUARE[:2])
    read = write(name, tmp_path, *two(name, marks=(mark(name), line)))
    assert "a polygon has 2 corners; expected is" in (text := said(read)) and "`unknown_shapes: skip`" in text
    assert read(unknown_shapes="skip").left_out == {"polygons_of_too_few_corners": 1}


@formats("ellipse")
def test_an_ellipse_is_a_mask(name, tmp_path):
    ellipse = Mark("ellipse", "leaf", (60.0, 40.0, 30.0, 20.0))
    dataset = write(name, tmp_path, *two(name, marks=(ellipse,)))(truth=("train", "val"), val_share=0)
    record = next(record for record in dataset.records if record.path.name == "a.jpg")
    [x1, y1, x2, y2, _] = record.boxes[0]
    np.testing.assert_allclose((x1, y1, x2, y2), (30, 20, 90, 60), atol=1)
    assert len(dataset.truth(record).masks) == 1


@formats("group", REGIONS)
def test_shapes_of_a_group_are_one_instance(name, tmp_path):
    parts = [mark(name, corners=SQUARE), mark(name, corners=SQUARE + [50, 20])]
    grouped = tuple(Mark(one.kind, one.label, one.geometry, group=7) for one in parts)
    dataset = write(name, tmp_path, *two(name, marks=grouped))(truth=("train", "val"), val_share=0)
    record = next(record for record in dataset.records if record.path.name == "a.jpg")
    assert len(dataset.truth(record).masks) == 1 and len(record.points) == 1
    np.testing.assert_allclose(record.boxes[0, :4], (10, 10, 90, 60), atol=1)


@formats({"polygon", "mask", "box"})
def test_what_is_there_twice_counts_once(name, tmp_path):
    if name in ("voc", "cvat_masks"):
        return  # their masks are maps, which have each once
    read = write(name, tmp_path, *two(name, marks=(mark(name), mark(name), mark(name, "stem"))))
    dataset = read()
    record = next(record for record in dataset.records if record.path.name == "a.jpg")
    assert len(record.boxes) == 2 and record.tags == (0, 1)
    assert dataset.left_out == {"repeated_shapes": 1}
    assert dataset.counts["shapes"] == AUTHORS[name].count(tmp_path, read.file) - 1


def grouped(name, label, kinds, corners, group=7):
    one = mark(name, label, kinds, corners)
    return Mark(one.kind, one.label, one.geometry, group)


@formats("group", "box", REGIONS)
def test_a_box_of_a_group_is_joined_where_its_mask_is_else_doubted(name, tmp_path):
    far = SQUARE + [60, 30]
    shapes = [grouped(name, "leaf", ("polygon", "mask"), SQUARE)]
    shapes += [grouped(name, "leaf", ("box",), corners) for corners in (SQUARE, far)]
    dataset = write(name, tmp_path, *two(name, marks=tuple(shapes)))()
    record = next(record for record in dataset.records if record.path.name == "a.jpg")
    np.testing.assert_allclose(record.boxes[:, :4], [(10, 10, 40, 40), (70, 40, 100, 70)], atol=1)
    [doubt] = dataset.doubts
    assert "Boxes that do not match the masks of their groups: 1 (" in doubt
    assert dataset.counts["shapes_joined_to_others"] == 1 and dataset.counts["shapes"] == 4


@formats("group", "point", REGIONS)
def test_a_point_of_a_group_is_that_of_its_mask(name, tmp_path):
    shapes = [grouped(name, "leaf", ("polygon", "mask"), SQUARE)]
    shapes += [Mark("point", "leaf", place, 7) for place in ((13.5, 14.5), (100.5, 70.5))]
    dataset = write(name, tmp_path, *two(name, marks=tuple(shapes)))()
    record = next(record for record in dataset.records if record.path.name == "a.jpg")
    np.testing.assert_allclose(record.points[:, :2], [(13, 14), (100, 70)])
    assert "Points outside the masks of their groups: 1 (" in dataset.doubts[0]


@formats("group", "box", "polygon")
def test_a_box_of_a_group_whose_polygon_has_no_area_is_kept(name, tmp_path):
    shapes = [grouped(name, "leaf", ("polygon",), SQUARE[[0, 0, 0]]), grouped(name, "leaf", ("box",), SQUARE)]
    dataset = write(name, tmp_path, *two(name, marks=tuple(shapes)))()
    record = next(record for record in dataset.records if record.path.name == "a.jpg")
    np.testing.assert_allclose(record.boxes[:, :4], [(10, 10, 40, 40)])
    assert dataset.left_out == {"shapes_without_area": 1} and dataset.counts["shapes"] == 2


@formats()
def test_names_in_two_folders_are_not_guessed(name, tmp_path):
    if name not in ("coco", "cvat", "label_studio"):
        return  # elsewhere a file says in which folder its picture is
    read = write(name, tmp_path, *two(name))
    if read.file is None:
        return
    picture = find(tmp_path, "a.jpg")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        shutil.copy(picture, tmp_path / folder / "a.jpg")
    picture.unlink()
    text = said(read)
    assert "a.jpg' may be any of 2 pictures" in text and "one/a.jpg" in text and "two/a.jpg" in text


@formats()
def test_a_damaged_file_is_named(name, tmp_path):
    read = write(name, tmp_path, *two(name))
    if name in ("class_folders", "voc", "cvat_masks"):
        return  # their own tests damage lists and masks
    files = (
        [read.file]
        if read.file and read.file.is_file()
        else sorted(path for path in tmp_path.rglob("*") if path.suffix in (".csv", ".json", ".xml", ".yaml"))
    )
    damaged = files[0]
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2] + b"\xff\xfe{")
    assert damaged.name in said(read)
