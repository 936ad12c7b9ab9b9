"""VOC trees of one's own: what is missing, sizes, lists, names."""

import numpy as np
import pytest
from imports import imported
from PIL import Image
from scipy.io import savemat
from voc_trees import annotation, plain_tree, read_plain, read_voc, save_map

from wsis_steps.engine.errors import InputError
from wsis_steps.formats import voc
from wsis_steps.formats.table import find_format
from wsis_steps.formats.voc import VOC_CLASSES
from wsis_steps.formats.voc_tree import class_values
from wsis_steps.vision.masks import decode

DOG = VOC_CLASSES.index("dog")


def size(width, height):
    return f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"


def put_xml(root, name, *rows, **more):
    (root / f"Annotations/{name}.xml").write_text(annotation(*rows, **more))


def put_masks(root, names, side=20, value=DOG + 1):
    """A dog at (2..7, 3..9) in the masks of images."""
    ids, classes = np.zeros((2, side, side), np.uint8)
    ids[3:10, 2:8], classes[3:10, 2:8] = 1, value
    for folder, values in (("SegmentationObject", ids), ("SegmentationClass", classes)):
        (root / folder).mkdir(exist_ok=True)
        for name in names:
            save_map(root / folder / f"{name}.png", values)


def told(read, *arguments, **options):
    with pytest.raises(InputError) as caught:
        read(*arguments, **options)
    return caught.value.sentences


@pytest.mark.parametrize("truth", [(), ("train", "val")])
def test_the_size_of_the_xml_is_compared_whatever_truth_says(truth, tmp_path):
    plain_tree(tmp_path)
    put_masks(tmp_path, "abc", side=40)
    for name in "abc":
        put_xml(tmp_path, name, ("dog", (3, 4, 8, 10), 0), size=size(40, 40) if name == "a" else "")
    sentences = told(read_plain, tmp_path, truth=truth)
    assert sentences[0].startswith(str(tmp_path / "Annotations/a.xml"))
    assert "a.jpg: the picture is 20x20, but 40x40 by the file; it seems to have been shrunk" in sentences[0]
    assert len(sentences) == (3 if truth else 1)
    if truth:  # without a size in the XML, that of the masks is the file's
        assert (
            sentences[1].startswith(str(tmp_path / "SegmentationObject/b.png")) and "40x40 by the file" in sentences[1]
        )


def test_a_size_of_0_is_not_stated_and_exif_turns_are_told(tmp_path):
    plain_tree(tmp_path)
    put_xml(tmp_path, "a", ("dog", (3, 4, 8, 10), 0), size=size(0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "JPEGImages/b.jpg", exif=exif)
    put_xml(tmp_path, "b", ("dog", (3, 4, 8, 10), 0), size=size(30, 20))
    [sentence] = told(read_plain, tmp_path)
    assert "b.jpg: the picture is 20x30, but 30x20 by the file; its EXIF data turn it" in sentence


def test_difficult_objects_that_are_left_out_are_counted(tmp_path):
    plain_tree(tmp_path)
    put_xml(tmp_path, "a", ("dog", (1, 1, 6, 6), 0), ("dog", (11, 1, 16, 6), 1), ("cat", (1, 11, 6, 16), 1))
    dataset = imported(voc.read, tmp_path, difficult="exclude")
    assert dataset.left_out == {"difficult_objects_left_out": 2}
    assert "are marked as difficult" in dataset.omissions[0] and "a.xml" in dataset.omissions[0]
    assert dataset.counts["shapes"] == 3 and dataset.counts["objects"] == 5
    assert not imported(voc.read, tmp_path).left_out


def test_settings_are_heeded(tmp_path):
    plain_tree(tmp_path)
    both = {"train_list": "train", "val_list": "train", "images_in_both": True}
    assert [record.id for record in imported(voc.read, tmp_path, **both).records] == ["a", "b", "a_val", "b_val"]
    lists = {"train_list": str(tmp_path / "ImageSets/Segmentation/val.txt"), "val_list": "train"}
    dataset = imported(voc.read, tmp_path, class_names=("cat", "dog"), **lists)
    assert [(record.id, record.split) for record in dataset.records] == [("c", "train"), ("a", "val"), ("b", "val")]
    assert dataset.class_names == ["cat", "dog"]
    assert told(imported, voc.read, tmp_path, sbd_root=tmp_path / "sbd")[0].startswith("SBD is not in")


def test_void_pixels_and_masks_are_counted_as_shapes(tmp_path):
    plain_tree(tmp_path)
    put_masks(tmp_path, "abc")
    objects = np.array(Image.open(tmp_path / "SegmentationObject/a.png"))
    objects[2] = 255
    save_map(tmp_path / "SegmentationObject/a.png", objects)
    dataset = read_voc(tmp_path)
    assert dataset.counts["shapes"] == 3 + 3 + 1 and dataset.counts["images_with_ignored_pixels"] == 1
    assert decode([dataset.truth(dataset.records[0]).ignore], 20, 20)[0].sum() == 20


def test_a_tree_without_any_masks_is_one_sentence(tmp_path):
    plain_tree(tmp_path)
    [sentence] = told(read_voc, tmp_path)
    assert "has no SegmentationObject, so train and val have no masks; leave them out of `truth`" in sentence
    assert len(read_plain(tmp_path).records) == 3


def test_a_folder_of_one_s_own_is_told_what_it_lacks_and_not_what_to_download(tmp_path):
    plain_tree(tmp_path / "data")
    (tmp_path / "data/JPEGImages").rename(tmp_path / "data/JPEGimage")
    [sentence] = told(read_plain, tmp_path / "data")
    assert (
        "has no folder JPEGImages (the nearest is 'JPEGimage'); it holds Annotations/, ImageSets/, JPEGimage/"
        in sentence
    )
    assert "ImageSets/Segmentation/train.txt" in sentence and "labelimg" in sentence and "download" not in sentence
    plain_tree(tmp_path / "other")
    for path in (tmp_path / "other/ImageSets/Segmentation").glob("*.txt"):
        path.unlink()
    [sentence] = told(read_plain, tmp_path / "other")
    assert "no list 'train'" in sentence and "labelimg" in sentence and "download" not in sentence


@pytest.mark.parametrize("place", [".", "VOCdevkit", "VOCdevkit/VOC2012", "absent"])
def test_where_the_official_archive_belongs_it_is_named(place, tmp_path):
    if place.startswith("VOC"):
        (tmp_path / place / "Annotations").mkdir(parents=True)
    for root in {tmp_path / place, tmp_path} if place.startswith("VOC") else {tmp_path / place}:
        [sentence] = told(read_plain, root)
        assert "download https://" in sentence and "VOCtrainval" in sentence


def test_lists_of_a_detection_data_set_lie_in_main(tmp_path):
    plain_tree(tmp_path)
    (tmp_path / "ImageSets/Segmentation").rename(tmp_path / "ImageSets/Main")
    (tmp_path / "ImageSets/Main/dog_train.txt").write_text("a  1\nb -1\n")
    assert voc.looks_like(tmp_path) and len(read_plain(tmp_path).records) == 3


def test_of_several_pictures_of_an_id_the_xml_says_which_or_it_is_no_mask(tmp_path):
    plain_tree(tmp_path)
    for name in ("a.png", "b.webp"):
        Image.new("RGB", (20, 20)).save(tmp_path / "JPEGImages" / name)
    assert "'b' may be any of 2 pictures: 'b.jpg', 'b.webp'" in told(read_plain, tmp_path)[0]
    path = tmp_path / "Annotations/b.xml"
    path.write_text(path.read_text().replace("<annotation>", "<annotation><filename>b.webp</filename>"))
    assert [record.path.name for record in read_plain(tmp_path).records] == ["a.jpg", "b.webp", "c.jpg"]


def test_a_list_may_have_names_with_spaces_folders_and_backslashes(tmp_path):
    plain_tree(tmp_path, names=("my photo", "b", "plot_0.5m"))
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("my photo\nJPEGImages\\b.jpg 1\nplot_0.5m\n")
    assert [record.id for record in read_plain(tmp_path).records] == ["my photo", "b", "plot_0.5m", "c"]


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        ("cat\ndog\n", {1: "cat", 2: "dog"}),
        ("_background_\ncat\ndog", {0: "_background_", 1: "cat", 2: "dog"}),
        ("background\n\ncat\ndog\n", {0: "background", 1: "cat", 2: "dog"}),
        ("__ignore__\n_background_\ncat\ndog\n", {-1: "__ignore__", 0: "_background_", 1: "cat", 2: "dog"}),
    ],
)
def test_class_names_begin_with_the_background_or_behind_it(lines, values, tmp_path):
    plain_tree(tmp_path / "t")
    (tmp_path / "t/class_names.txt").write_text(lines)
    assert class_values(tmp_path / "t/class_names.txt") == values
    put_masks(tmp_path / "t", "abc", value=2)
    dataset = read_voc(tmp_path / "t")
    assert dataset.class_names == ["cat", "dog"]
    assert {int(k) for record in dataset.records for k in dataset.truth(record).categories} == {1}
    assert dataset.counts["images_whose_masks_show_an_untagged_class"] == 0


def test_odd_names_of_objects_are_classes_or_counted(tmp_path):
    plain_tree(tmp_path)
    put_xml(tmp_path, "a", ("7", (1, 1, 5, 5), 0), ("background", (1, 1, 5, 5), 0), ("", (1, 1, 5, 5), 0))
    dataset = read_plain(tmp_path)
    assert dataset.class_names == ["7", "dog"] and dataset.left_out == {"shapes_of_no_class": 2}


def test_a_turned_rectangle_is_the_box_around_it(tmp_path):
    plain_tree(tmp_path)
    turned = "<cx>10</cx><cy>10</cy><w>8</w><h>4</h><angle>1.5707963</angle>"
    (tmp_path / "Annotations/a.xml").write_text(
        f"<annotation><object><name>dog</name><robndbox>{turned}</robndbox></object></annotation>"
    )
    np.testing.assert_allclose(read_plain(tmp_path).records[0].boxes[0, :4], (8, 6, 12, 14), atol=1e-4)
    (tmp_path / "Annotations/a.xml").write_text(
        "<annotation><object><name>dog</name><robndbox><cx>1</cx></robndbox></object></annotation>"
    )
    assert "the <robndbox> of object 1 (dog) is not five numbers" in told(read_plain, tmp_path)[0]


@pytest.mark.parametrize(
    "content",
    [
        {"Segmentation": np.full((20, 20), -1), "Categories": [[1]]},
        {"Segmentation": np.ones((3, 20, 20)), "Categories": [[1]]},
        {"Segmentation": "text", "Categories": [[1]]},
        {"Segmentation": np.ones((20, 20)), "Categories": "text"},
        {"Segmentation": np.zeros((0, 0)), "Categories": [[1]]},
        {"Categories": [[1]]},
    ],
)
def test_sbd_files_of_other_content_are_one_sentence(content, tmp_path):
    plain_tree(tmp_path)
    (tmp_path / "dataset/inst").mkdir(parents=True)
    for name in "ab":
        savemat(tmp_path / f"dataset/inst/{name}.mat", {"GTinst": content})
    sentences = told(read_plain, tmp_path, truth=("train",), sbd_root=tmp_path / "dataset")
    assert all("is not an SBD instance file with GTinst" in sentence for sentence in sentences) and len(sentences) == 2


def test_what_it_looks_like(tmp_path):
    assert not voc.looks_like(tmp_path) and not voc.looks_like(tmp_path / "absent")
    plain_tree(tmp_path / "VOCdevkit/VOC2012")
    assert voc.looks_like(tmp_path) and voc.looks_like(tmp_path / "VOCdevkit/VOC2012")
    (tmp_path / "VOCdevkit/VOC2012/labelmap.txt").write_text("background:0,0,0::")
    assert not voc.looks_like(tmp_path)


@pytest.mark.parametrize("lists", ["ImageSets/Segmentation", "ImageSets/Main"])
@pytest.mark.parametrize("left", ["train", "default", "trainval"])
def test_a_single_list_is_divided(lists, left, tmp_path):
    tree = plain_tree(tmp_path, [f"{k}" for k in range(10)])
    old = tree / "ImageSets/Segmentation"
    (old / "val.txt").unlink()
    (old / "train.txt").rename(old / f"{left}.txt")
    old.rename(tree / lists)
    dataset = imported(voc.read, tree)
    assert [record.split for record in dataset.records].count("val") == 2
    assert len(dataset.doubts) == (left == "train") and len(imported(voc.read, tree, val_share=0).records) == 10
    with pytest.raises(InputError, match="There is no list 'val'"):
        imported(voc.read, tree, train_list=left, val_list="val")


@pytest.mark.parametrize("year", ["VOC2007", "VOC2012"])
def test_the_tree_of_a_year_is_found_from_above_with_the_lists_that_there_are(year, tmp_path):
    tree = plain_tree(tmp_path / "data/VOCdevkit" / year)
    (tree / "ImageSets/Segmentation").rename(tree / "ImageSets/Main")
    (tree / "ImageSets/Segmentation").mkdir()
    assert find_format(tmp_path / "data") == "voc"
    assert {record.id: record.split for record in read_plain(tmp_path / "data").records} == {
        "a": "train", "b": "train", "c": "val",
    }  # fmt: skip
