"""What every format has to keep to, whatever it is."""

import re

import numpy as np
import pytest
from authors import Picture
from PIL import Image
from test_odd_inputs import AUTHORS, mark

from wsis_steps.data.doubts import find_doubts
from wsis_steps.data.settings import DataImportDataset
from wsis_steps.engine.errors import InputError
from wsis_steps.formats.loading import load_record, read_dataset
from wsis_steps.formats.table import FORMATS, find_format
from wsis_steps.postprocess.refine_with_crf import refine
from wsis_steps.postprocess.settings import PostprocessRefineWithCrf
from wsis_steps.vision.masks import MOST_CLASSES, UNSURE


def folder_of_classes(root, count: int):
    """Settings of a folder with so many classes, each of one picture."""
    Image.new("RGB", (8, 8)).save(root / "a.png")
    Image.new("RGB", (8, 8)).save(root / "b.png")
    names = [f"class{k:03}" for k in range(count)]
    rows = [f"a.png,{';'.join(names)},train", f"b.png,{names[-1]};,val"]
    (root / "tags.csv").write_text("\n".join(["image,tags,split", *rows]))
    return DataImportDataset(format="folder", root=root)


def test_more_classes_than_label_maps_hold_are_read_and_doubted(tmp_path):
    for count in (MOST_CLASSES, 255, 256, 1000):
        dataset = read_dataset(folder_of_classes(tmp_path, count), tmp_path, map)
        assert len(dataset.class_names) == count and dataset.records[0].tags == tuple(range(count))
        told = [doubt for doubt in find_doubts(dataset) if f"There are {count} classes, but label maps" in doubt]
        assert len(told) == (count > MOST_CLASSES)


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


def put(root, name, content="") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".jpg"):
        Image.new("RGB", (120, 80)).save(root / name)
    else:
        (root / name).write_text(content)


@pytest.mark.parametrize(
    ("one", "other"),
    [("labelme", "coco"), ("yolo", "labelimg"), ("cvat", "label_studio"), ("folder", "coco"), ("labelimg", "cvat")],
)
def test_a_folder_of_two_formats_is_refused_with_both_names(one, other, tmp_path):
    for name in (one, other):
        kind = next(kind for kind in ("box", "tag") if kind in AUTHORS[name].CARRIES)
        AUTHORS[name].write(tmp_path, [Picture(f"{name}.jpg", (mark(name, kinds=(kind,)),))])
    with pytest.raises(InputError) as error:
        find_format(tmp_path)
    names = [name for name in FORMATS if name in (one, other)]
    titles = " and ".join(FORMATS[name].title for name in names)
    assert f"annotations of several formats, {titles}; remove those" in str(error.value)
    assert str(error.value).endswith(f"or set `format` to {' or '.join(names)}.")


COCO = '{"images": [], "annotations": [], "categories": []}'
VIA = '{"_via_settings": {}, "_via_img_metadata": {}}'
OLD_VIA = '{"a.jpg1": {"regions": [{"shape_attributes": {}, "region_attributes": {}}]}}'
HINTS = {
    "plain": (
        {"a.jpg": "", "b.jpg": "", "n.md": ""},
        "It holds 2 pictures, 1 .md file. The simplest is a table tags.csv",
    ),
    "one": ({"a.jpg": "", "n.md": "", "o.md": ""}, "It holds 1 picture, 2 .md files."),
    "voc": (
        {"JPEGImages/a.jpg": "", "Annotations/x.txt": ""},
        "The nearest is PASCAL VOC: most of its layout is there, but no list of pictures in ImageSets/Segmentation or ",
    ),
    "yolo": (
        {"images/a.jpg": "", "labels/a.txt": "0 0.5 0.5 0.2 0.2"},
        "The nearest is YOLO: it has files of labels, but neither a data.yaml nor a classes.txt, which name",
    ),
    "maps": (
        {"JPEGImages/a.jpg": "", "SegmentationClass/a.png": ""},
        "it has maps, but neither labelmap.txt nor class_names.txt, which name their classes",
    ),
    "coco below": ({"images/a.jpg": "", "labels/r.json": COCO}, "labels/r.json has the format COCO; set `annotations`"),
    "unpacked zip": ({"a.jpg": "", "a.zip": "PK"}, "The simplest is a table tags.csv"),
    "only zip": ({"n.md": "", "a.zip": "PK"}, "a.zip is an archive; unpack it first."),
    "several": (
        {"one/cat/a.jpg": "", "one/dog/b.jpg": "", "two/cat/a.jpg": "", "two/dog/b.jpg": "", "x.jpg": ""},
        "It contains several data sets: one, two; use one of them, or rename them to train and val.",
    ),
    "one class": ({"cat/a.jpg": "", "n.md": ""}, "it has a single folder, 'cat'; if its folders are classes, set `for"),
    "a class called image": ({"image/a.jpg": "", "dog/a.jpg": ""}, "'image' is usually a part of a data set; if its"),
    "zip": ({"a.zip": "PK"}, "It holds no pictures, 1 .zip file. "),
    "other table": ({"a.jpg": "", "labels.csv": "a.jpg,x"}, "labels.csv is not read; tags are read from tags.csv"),
    "createml": (
        {"a.jpg": "", "c.json": '[{"image": "a.jpg", "annotations": [{"label": "x", "coordinates": {"x": 1}}]}]'},
        "c.json is CreateML's JSON, which is not supported; convert it to COCO.",
    ),
    "datumaro": (
        {"a.jpg": "", "default.json": '{"categories": {"label": {"labels": []}}, "items": [{"annotations": []}]}'},
        "default.json is Datumaro's own JSON, which is not supported; export it in COCO format there.",
    ),
    "empty": ({"a.jpg": "", "x.json": ""}, "x.json is empty."),
    "no json": ({"a.jpg": "", "x.json": "x"}, "x.json is not a JSON file."),
    "via": ({"a.jpg": "", "v.json": VIA}, "v.json is a project of VIA (VGG Image Annotator), which is not supported"),
    "old via": ({"a.jpg": "", "v.json": OLD_VIA}, "v.json is VIA's own JSON, which is not supported"),
    "results": (
        {"a.jpg": "", "r.json": '[{"image_id": 1, "category_id": 1, "score": 0.5}]'},
        "r.json is a list of results in COCO's format, which names no pictures and no classes; annotations are",
    ),
    "deep": (
        {"pets/cat/a.jpg": "", "pets/dog/b.jpg": "", "x.jpg": ""},
        "pets has the format a folder of pictures for",
    ),
    "high": ({"a.jpg": "", "b.jpg": ""}, "If it is the folder of one class, use the folder above it; else write a tab"),
    "masks": ({"imgs/a.jpg": "", "gts/a.jpg": ""}, "Pictures and their masks are read in VOC's layout: JPEGImages"),
}


@pytest.mark.parametrize("case", HINTS)
def test_a_folder_of_no_format_is_told_what_it_lacks_or_what_is_near(case, tmp_path):
    inside, words = HINTS[case]
    for name, content in inside.items():
        put(tmp_path, name, content)
    with pytest.raises(InputError, match=re.escape(words)):
        find_format(tmp_path)


def test_the_folder_of_the_pictures_alone_leads_to_the_one_above(tmp_path):
    AUTHORS["cvat"].write(tmp_path / "data", [Picture("a.jpg", (mark("cvat"),), split="train")])
    with pytest.raises(InputError, match=f"The folder above, {tmp_path}/data, has annotations.xml; use that one."):
        find_format(tmp_path / "data/images/Train")


def test_a_file_of_no_format_is_refused(tmp_path):
    (tmp_path / "f.txt").write_text("x")
    with pytest.raises(
        InputError, match="f.txt is not an annotation file of a supported format; these are: a folder with"
    ):
        find_format(tmp_path / "f.txt")
    with pytest.raises(InputError, match="does not exist"):
        find_format(tmp_path / "absent")
