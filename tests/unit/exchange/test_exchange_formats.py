"""What one format's writer writes, its reader reads to the same masks; codes are read by an independent reader too."""

import base64
import copy
import json
import unicodedata

import cv2
import numpy as np
import pytest
from artifacts import provenance
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from wsis_steps.data.cvat import from_row_runs
from wsis_steps.data.drawing_files import read_drawings
from wsis_steps.data.drawings import candidates
from wsis_steps.data.drawn import read_drawn
from wsis_steps.data.folder import read_folder
from wsis_steps.data.label_studio import decode_brush
from wsis_steps.data.voc import read_voc
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.problems import Problems
from wsis_steps.exchange.coco_json import write_coco
from wsis_steps.exchange.cvat import row_runs, write_cvat
from wsis_steps.exchange.label_studio import encode_brush, write_label_studio
from wsis_steps.exchange.labelled import read_labels
from wsis_steps.exchange.voc_png import write_voc
from wsis_steps.exchange.yolo import polygon, write_yolo
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.masks import decode, describe, encode

CLASSES = ("b & w <cat>", "dog", "zebra")
masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 9)))


def blobs(seed, count, height, width, apart=False):
    """Random blobs with holes and parts; `apart`: no two share a pixel."""
    noise = np.random.default_rng(seed).normal(size=(count, height, width)).astype(np.float32)
    found = np.stack([cv2.GaussianBlur(plane, (0, 0), 3) > 0.06 for plane in noise]).astype(np.uint8)
    return found * (np.cumsum(found, axis=0) == 1) if apart else found


@pytest.fixture
def data(tmp_path):
    """images.h5 and labels of three training images, the last without any; JPEG and PNG pictures."""
    sizes, found = [(40, 50), (33, 21), (16, 16)], []
    with create(tmp_path / "images.h5", Images.schema, provenance(CLASSES)) as file:
        writer = ImagesWriter(file)
        for k, (height, width) in enumerate(sizes):
            suffix = ".jpg" if k == 0 else ".png"
            picture = cv2.imencode(suffix, np.full((height, width, 3), 40 * k, np.uint8))[1].tobytes()
            count = 3 if k < 2 else 0
            writer.add(f"im {k}", "train", picture, height, width, Annotation(np.arange(count), [], []))
            apart = blobs(k, count, height, width, apart=True) if count else np.zeros((0, height, width))
            found.append(describe(encode(apart), np.arange(count), scores=np.linspace(0.3, 0.9, count)))
        writer.close()
    ids, heights, widths = [f"im {k}" for k in range(3)], *zip(*sizes, strict=True)
    write_instances(tmp_path / "labels.h5", provenance(CLASSES), ids, heights, widths, found)
    return read_labels(Instances(tmp_path / "labels.h5"), Images(tmp_path / "images.h5")), dict(
        zip(ids, found, strict=True)
    )


def accept(path):
    """What Label Studio exports of suggestions that a person accepted."""
    tasks = json.loads(path.read_text())
    for number, task in enumerate(tasks):
        task["id"] = number
        task["annotations"] = [{"result": task.pop("predictions")[0]["result"], "was_cancelled": False}]
    path.write_text(json.dumps(tasks))
    return path


@pytest.mark.parametrize("write", [write_coco, write_cvat, lambda out, labels: accept(write_label_studio(out, labels))])
def test_exact_formats_come_back_to_the_same_codes_and_classes(write, data, tmp_path):
    labels, truth = data
    problems = Problems()
    drawings = read_drawings(write(tmp_path / "out", labels), problems)
    assert not problems.sentences
    assert len(drawings) == 3
    for drawing in drawings:
        instances = truth[candidates(drawing.image)[-1]]
        assert [rle["counts"] for rle, *_ in drawing.masks] == [rle["counts"] for rle in instances.rles]
        assert [name for _, name, _ in drawing.masks] == [CLASSES[c] for c in instances.categories]


def test_pictures_are_copied_byte_for_byte_and_classes_with_signs_of_xml_survive(data, tmp_path):
    labels, truth = data
    write_cvat(tmp_path / "out", labels)
    images = Images(tmp_path / "images.h5")
    assert (tmp_path / "out/images/im 0.jpg").read_bytes() == images.encoded(0).tobytes()
    dataset = read_drawn(
        tmp_path / "out/images", tmp_path / "out/cvat_train.xml", val_share=0.2, truth=("train", "val")
    )
    assert dataset.class_names == list(CLASSES)
    for record in dataset.records:
        instances, masks = truth[record.id], dataset.truth(record).masks
        assert [rle["counts"] for rle in masks] == [rle["counts"] for rle in instances.rles]
        np.testing.assert_array_equal(record.boxes[:, :4], instances.boxes)
        dense = decode(masks, *masks[0]["size"]) if masks else []
        assert all(mask[int(y), int(x)] for mask, (x, y, _) in zip(dense, record.points, strict=True))


def test_voc_comes_back_to_the_same_masks_where_they_do_not_overlap(data, tmp_path):
    labels, truth = data
    write_voc(tmp_path / "out", labels)
    dataset = read_voc(tmp_path / "out", "train", None)
    assert dataset.class_names == list(CLASSES)
    for record in dataset.records:
        found, instances = dataset.truth(record), truth[record.id.replace("_", " ")]
        assert {rle["counts"] for rle in found.masks} == {rle["counts"] for rle in instances.rles}
        np.testing.assert_array_equal(np.sort(found.categories), np.sort(instances.categories))


@given(masks)
@settings(max_examples=60, deadline=None)
def test_brush_codes_are_what_a_reader_bit_by_bit_reads(mask):
    code = encode_brush(mask)
    np.testing.assert_array_equal(decode_brush(code, *mask.shape), mask)
    np.testing.assert_array_equal(slow_brush(code).reshape(*mask.shape, 4), np.repeat(255 * mask[..., None], 4, axis=2))


def slow_brush(code):
    """rle-pack's decoder as its documentation words it."""
    bits = "".join(f"{byte:08b}" for byte in code)
    place = 0

    def read(count):
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    total, word = read(32), read(5) + 1
    sizes, values = [read(4) + 1 for _ in range(4)], []
    while len(values) < total:
        repeated = read(1)
        length = read(sizes[read(2)]) + 1
        values += [read(word)] * length if repeated else [read(word) for _ in range(length)]
    return np.array(values)


def test_brush_codes_with_values_one_by_one_and_runs_beyond_the_longest_are_read():
    bits = f"{8:032b}{7:05b}" + "".join(f"{s - 1:04b}" for s in (3, 4, 8, 16)) + "0" + "00" + "111"
    bits += "".join(f"{v:08b}" for v in (0, 0, 0, 9, 0, 0, 0, 0))
    code = [int(bits[k : k + 8].ljust(8, "0"), 2) for k in range(0, len(bits), 8)]
    assert decode_brush(code, 1, 2).tolist() == [[1, 0]]
    large = np.zeros((300, 200), np.uint8)
    large[10:] = 1
    np.testing.assert_array_equal(decode_brush(encode_brush(large), 300, 200), large)
    with pytest.raises(ValueError, match="breaks off"):
        decode_brush(encode_brush(large)[:-6], 300, 200)


@given(masks)
@settings(max_examples=60, deadline=None)
def test_row_runs_begin_with_zeros_and_fill_the_box(mask):
    runs = row_runs(mask)
    assert sum(runs[1::2]) == mask.sum()
    assert all(runs[1:])
    np.testing.assert_array_equal(from_row_runs(runs, *mask.shape), mask)


def test_yolo_polygons_of_one_part_without_holes_fill_to_the_same_mask(data, tmp_path):
    labels, _ = data
    write_yolo(tmp_path / "out", labels)
    rng = np.random.default_rng(0)
    for seed in range(20):
        mask = blobs(seed, 1, 40, 30)[0]
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        one = cv2.fillPoly(np.zeros_like(mask), [contours[rng.integers(len(contours))]], 1)
        np.testing.assert_array_equal(cv2.fillPoly(np.zeros_like(mask), [polygon(one).astype(np.int32)], 1), one)
        joined = cv2.fillPoly(np.zeros_like(mask), [polygon(mask).astype(np.int32)], 1)
        assert joined[mask > 0].all()


def test_yolo_lines_are_a_class_and_places_between_0_and_1(data, tmp_path):
    labels, truth = data
    write_yolo(tmp_path / "out", labels)
    for identity, instances in truth.items():
        lines = (tmp_path / f"out/labels/train/{identity}.txt").read_text().splitlines()
        assert [int(line.split()[0]) for line in lines] == instances.categories.tolist()
        height, width = instances.rles[0]["size"] if len(instances) else (1, 1)
        for line, mask in zip(lines, decode(instances.rles, height, width), strict=True):
            places = np.array(line.split()[1:], float).reshape(-1, 2)
            assert ((places > 0) & (places < 1)).all()
            pixels = places * [width, height]
            for read in (pixels.astype(np.int32), np.round(pixels)):  # as Ultralytics and as supervision read them
                np.testing.assert_array_equal(read, polygon(mask))


def test_labelme_polygons_groups_masks_points_boxes_and_flags(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    patch = base64.b64encode(cv2.imencode(".png", np.array([[0, 255], [255, 255]], np.uint8))[1].tobytes()).decode()
    corners = [[[1, 1], [4, 1], [4, 5], [1, 5]], [[8, 1], [10, 1], [10, 3], [8, 3]]]
    shapes = [{"label": "dog", "points": one, "group_id": 7, "shape_type": "polygon"} for one in corners]
    shapes += [
        {"label": "cat", "points": [[15, 5], [16, 6]], "group_id": None, "shape_type": "mask", "mask": patch},
        {"label": "cat", "points": [[3.5, 2.5]], "shape_type": "point"},
        {"label": "cat", "points": [[6, 7], [2, 3]], "shape_type": "rectangle"},
    ]
    content = {"imagePath": "..\\a.png", "imageHeight": 10, "imageWidth": 20, "shapes": shapes, "flags": {"owl": True}}
    (tmp_path / "a.json").write_text(json.dumps(content))
    (drawing,) = read_drawings(tmp_path, Problems())
    dog, cat = (decode([rle], 10, 20)[0] for rle, *_ in drawing.masks)
    expected = np.zeros((10, 20), np.uint8)
    expected[1:5, 1:4] = expected[1:3, 8:10] = 1
    np.testing.assert_array_equal(dog, expected)
    assert np.argwhere(cat).tolist() == [[5, 16], [6, 15], [6, 16]]
    assert drawing.points == ((3, 2, "cat"),)
    assert drawing.boxes == ((2, 3, 6, 7, "cat"),)
    assert read_drawn(tmp_path, val_share=0).class_names == ["cat", "dog", "owl"]


def test_label_studio_places_are_percents_and_unfinished_tasks_are_left_out(tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "x.png")
    size = {"original_width": 200, "original_height": 100}
    results = [
        {
            **size,
            "type": "rectanglelabels",
            "value": {"x": 10, "y": 20, "width": 5, "height": 50, "rectanglelabels": ["a"]},
        },
        {**size, "type": "keypointlabels", "value": {"x": 50, "y": 50, "keypointlabels": ["b"]}},
        {
            **size,
            "type": "polygonlabels",
            "value": {"points": [[0, 0], [5, 0], [5, 10], [0, 10]], "polygonlabels": ["a"]},
        },
        {"type": "choices", "value": {"choices": ["c"]}},
    ]
    tasks = [
        {"id": 1, "data": {"image": "/data/upload/3/0a1b2c3d-x.png"}, "annotations": [{"result": results}]},
        {"id": 2, "data": {"image": "/data/upload/3/0a1b2c3d-y.png"}, "annotations": [], "predictions": [{}]},
    ]
    (tmp_path / "e.json").write_text(json.dumps(tasks))
    dataset = read_drawn(tmp_path, tmp_path / "e.json", val_share=0, truth=("train",))
    (record,) = dataset.records
    assert record.id == "x"
    assert record.tags == (0, 1, 2)
    assert record.boxes.tolist() == [[20, 20, 30, 70, 0], [0, 0, 10, 10, 0]]
    assert record.points[0].tolist() == [99.5, 49.5, 1]
    assert decode(dataset.truth(record).masks, 100, 200)[0][:10, :10].all()


def cvat(shapes, name="x.png"):
    return f'<annotations><image name="{name}" width="20" height="10">{shapes}</image></annotations>'


def test_polygons_of_one_group_of_cvat_are_one_instance(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "x.png")
    parts = ("1,1;4,1;4,5;1,5", "8,1;10,1;10,3;8,3", "12,1;14,1;14,3;12,3", "16,1;18,1;18,3;16,3")
    groups = ("7", "7", "0", "0")
    shapes = "".join(
        f'<polygon label="a" points="{points}" group_id="{group}"/>'
        for points, group in zip(parts, groups, strict=True)
    )
    (tmp_path / "c.xml").write_text(cvat(shapes))
    (drawing,) = read_drawings(tmp_path / "c.xml", Problems())
    whole = np.zeros((3, 10, 20), np.uint8)
    whole[0, 1:5, 1:4] = whole[0, 1:3, 8:10] = whole[1, 1:3, 12:14] = whole[2, 1:3, 16:18] = 1
    np.testing.assert_array_equal(decode([rle for rle, *_ in drawing.masks], 10, 20), whole)


def test_marks_on_the_sides_of_a_picture_count_and_those_beyond_are_told(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "x.png")
    (tmp_path / "x.xml").write_text(
        cvat('<points label="a" points="20,10;0,0"/><box label="a" xtl="-3" ytl="2" xbr="25" ybr="5"/>')
    )
    (record,) = read_drawn(tmp_path, tmp_path / "x.xml", val_share=0).records
    assert record.points.tolist() == [[19, 9, 0], [0, 0, 0]] and record.boxes.tolist() == [[0, 2, 20, 5, 0]]
    for shape, words in (
        ('<points label="a" points="21,10"/>', "a point of 'a' lies outside"),
        ('<box label="a" xtl="22" ytl="2" xbr="25" ybr="5"/>', "a box of 'a' has no area in"),
    ):
        (tmp_path / "x.xml").write_text(cvat(shape))
        with pytest.raises(InputError, match=words):
            read_drawn(tmp_path, tmp_path / "x.xml", val_share=0.2)


def test_a_damaged_picture_is_listed_with_all_else(tmp_path):
    (tmp_path / "x.png").write_bytes(b"no picture")
    shapes = (
        '<image name="x.png" width="2" height="2"/><image name="y.png" width="2" height="2"><tag label="a"/></image>'
    )
    (tmp_path / "x.xml").write_text(f"<annotations>{shapes}</annotations>")
    with pytest.raises(InputError) as error:
        read_drawn(tmp_path, tmp_path / "x.xml", val_share=0.2)
    assert "x.png is not a picture" in str(error.value) and "no picture 'y.png'" in str(error.value)


def test_names_from_a_mac_are_found(tmp_path):
    """There a file's name has accents apart from their letters."""
    Image.new("RGB", (20, 10)).save(tmp_path / unicodedata.normalize("NFD", "Gerät ä.png"))
    (tmp_path / "x.xml").write_text(cvat('<tag label="a"/>', unicodedata.normalize("NFC", "Gerät ä.png")))
    (record,) = read_drawn(tmp_path, tmp_path / "x.xml", val_share=0).records
    assert record.id == unicodedata.normalize("NFC", "Gerät ä") and record.path.exists()
    (tmp_path / "tags.csv").write_text(unicodedata.normalize("NFC", "Gerät ä.png,Tür"), encoding="utf-8")
    dataset = read_folder(tmp_path, 0)
    assert dataset.records[0].path.exists() and dataset.class_names == [unicodedata.normalize("NFC", "Tür")]


def test_the_picture_of_a_task_is_not_its_caption(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "x.png")
    result = {"type": "choices", "value": {"choices": ["a"]}}
    data = {"caption": "A bolt. Rusty.", "picture": "s3://bucket/x.png"}
    (tmp_path / "e.json").write_text(json.dumps([{"data": data, "annotations": [{"result": [result]}]}]))
    assert [record.id for record in read_drawn(tmp_path, tmp_path / "e.json", val_share=0).records] == ["x"]


def test_a_picture_is_found_by_its_name_alone_where_only_one_has_it(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a/x.png", "a/y.png", "b/y.png"):
        Image.new("RGB", (20, 10)).save(tmp_path / name)
    result = {"type": "choices", "value": {"choices": ["c"]}}
    tasks = [
        {"data": {"image": f"/data/upload/1/0a1b2c3d-{name}.png"}, "annotations": [{"result": [result]}]}
        for name in "xy"
    ]
    (tmp_path / "e.json").write_text(json.dumps(tasks[:1]))
    assert [record.id for record in read_drawn(tmp_path, tmp_path / "e.json", val_share=0).records] == ["a_x"]
    (tmp_path / "e.json").write_text(json.dumps(tasks))
    with pytest.raises(InputError, match="no picture '/data/upload/1/0a1b2c3d-y.png'"):
        read_drawn(tmp_path, tmp_path / "e.json", val_share=0.2)


SIDES = {"original_width": 20, "original_height": 10}
SQUARE = encode(np.ones((1, 10, 20), np.uint8))[0]["counts"].decode()
WHOLE = {  # a file of each JSON format, each kind of mark in it
    "tasks.json": [
        {
            "data": {"image": "x.png"},
            "annotations": [
                {
                    "result": [
                        {
                            **SIDES,
                            "type": "brushlabels",
                            "value": {"rle": encode_brush(np.ones((10, 20))), "brushlabels": ["a"]},
                        },
                        {
                            **SIDES,
                            "type": "polygonlabels",
                            "value": {"points": [[1, 1], [9, 1], [9, 9]], "polygonlabels": ["a"]},
                        },
                        {
                            **SIDES,
                            "type": "rectanglelabels",
                            "value": {"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": ["a"]},
                        },
                        {**SIDES, "type": "keypointlabels", "value": {"x": 1, "y": 2, "keypointlabels": ["a"]}},
                        {"type": "choices", "value": {"choices": ["a"]}},
                    ]
                }
            ],
        }
    ],
    "coco.json": {
        "images": [{"id": 1, "file_name": "x.png", "height": 10, "width": 20}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "segmentation": {"size": [10, 20], "counts": SQUARE}},
            {"image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]},
            {"image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3]},
        ],
    },
    "x.json": {
        "imagePath": "x.png",
        "imageHeight": 10,
        "imageWidth": 20,
        "flags": {"b": True},
        "shapes": [
            {"label": "a", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon", "group_id": 1},
            {"label": "a", "points": [[1, 1], [2, 2]], "shape_type": "circle"},
            {"label": "a", "points": [[1, 1], [2, 2]], "shape_type": "rectangle"},
            {"label": "a", "points": [[1, 1]], "shape_type": "point"},
        ],
    },
}
JUNK = (None, "", -1, float("nan"), [], {}, "é", [1], {"a": 1}, True, 1e9)


def damaged(content, place=()):
    """The content with one value after another gone or replaced by junk, codes of masks aside."""
    inner = content
    for key in place:
        inner = inner[key]
    keys = inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
    for key in [] if place and place[-1] == "rle" else list(keys):
        for value in ("gone", *JUNK):
            if value == 1e9 and key in ("imageHeight", "imageWidth", "height", "width"):
                continue  # a picture that a computer may have no room for
            changed = copy.deepcopy(content)
            owner = changed
            for step in place:
                owner = owner[step]
            if value == "gone":
                del owner[key]
            else:
                owner[key] = value
            yield changed
        yield from damaged(content, (*place, key))


@pytest.mark.parametrize("name", WHOLE)
def test_whatever_is_damaged_in_a_file_is_told_without_a_traceback(name, tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "x.png")
    source, told = tmp_path / name, 0
    source.write_text(json.dumps(WHOLE[name]))
    assert read_drawn(tmp_path, None if name == "x.json" else source, val_share=0).class_names[0] == "a"
    for content in damaged(WHOLE[name]):
        source.write_text(json.dumps(content))
        try:
            read_drawn(tmp_path, None if name == "x.json" else source, val_share=0)
        except InputError:
            told += 1
    assert told > 50


MISTAKES = {
    "a.json": ('{"x": 1}', "has no 'images'"),
    "b.json": ("[1]", "is not an export of Label Studio"),
    "c.json": ("{", "is not a JSON file"),
    "d.xml": ("<annotations/>", "it has no <image>"),
    "e.xml": ("<annotations>", "is not an XML file"),
    "f.txt": ("", "is none of these"),
    "g.xml": (
        '<annotations><image name="x.png" width="20" height="10"><ellipse label="a"/></image></annotations>',
        "image 'x.png', <ellipse>: such a shape is not read",
    ),
    "h.xml": (
        '<annotations><image name="y.png" width="20" height="10"><tag label="a"/></image></annotations>',
        "there is no picture 'y.png'",
    ),
    "i.xml": (
        '<annotations><image name="x.png" width="21" height="10"><tag label="a"/></image></annotations>',
        "is 20x10, but was 21x10 when it was drawn on",
    ),
    "j.xml": (
        '<annotations><image name="x.png" width="20" height="10">'
        '<tag label="a"/><tag label="A"/></image></annotations>',
        "write them alike",
    ),
    "k.xml": ('<annotations><image name="x.png" width="20" height="10"/></annotations>', "nothing is drawn"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_wrong_files_are_told_in_a_sentence(name, tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "x.png")
    text, sentence = MISTAKES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as error:
        read_drawn(tmp_path, tmp_path / name, val_share=0.2)
    assert sentence in str(error.value)
    assert name in str(error.value)
