"""What we write, the tools' own libraries read as what it is; where they are not installed, those tests skip."""

import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO
from test_exchange_formats import CLASSES, blobs, data  # noqa: F401

from wsis_steps.data.label_studio import decode_brush
from wsis_steps.exchange.coco_json import write_coco
from wsis_steps.exchange.label_studio import encode_brush, write_label_studio
from wsis_steps.exchange.yolo import polygon, write_yolo
from wsis_steps.vision.masks import decode


def test_pycocotools_reads_the_masks_boxes_areas_and_classes(data, tmp_path):  # noqa: F811
    labels, truth = data
    read = COCO(str(write_coco(tmp_path, labels)))
    assert [row["name"] for row in read.loadCats(read.getCatIds())] == list(CLASSES)
    assert len(read.getImgIds()) == 3
    for image in read.loadImgs(read.getImgIds()):
        instances = truth[image["file_name"].rsplit(".", 1)[0]]
        rows = read.loadAnns(read.getAnnIds(imgIds=image["id"]))
        dense = decode(instances.rles, image["height"], image["width"])
        assert [row["category_id"] - 1 for row in rows] == instances.categories.tolist()
        for row, mask in zip(rows, dense, strict=True):
            np.testing.assert_array_equal(read.annToMask(row), mask)
            assert row["area"] == mask.sum()
            assert row["bbox"] == rle_codec.toBbox(read.annToRLE(row)).tolist()


def test_label_studio_reads_our_brush_and_we_read_its(tmp_path):
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="label-studio-sdk is not installed")
    for seed, (height, width) in enumerate(((1, 1), (7, 5), (40, 61), (90, 64))):
        mask = blobs(seed, 1, height, width)[0] if seed > 1 else np.ones((height, width), np.uint8)
        opacity = brush.decode_rle(encode_brush(mask)).reshape(height, width, 4)[..., 3]
        np.testing.assert_array_equal(opacity > 0, mask > 0)
        np.testing.assert_array_equal(decode_brush(brush.mask2rle(255 * mask), height, width), mask)


def test_label_studio_converts_accepted_suggestions_to_the_same_masks(data, tmp_path):  # noqa: F811
    converter = pytest.importorskip("label_studio_sdk.converter", reason="label-studio-sdk is not installed")
    labels, truth = data
    tasks = json.loads(write_label_studio(tmp_path, labels).read_text())
    for number, task in enumerate(tasks):  # as Label Studio exports what somebody has submitted unchanged
        [suggestion] = task.pop("predictions")
        task |= {"id": number, "annotations": [{"id": number, "completed_by": 1, "result": suggestion["result"]}]}
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    out = tmp_path / "converted"
    out.mkdir()
    interface = (tmp_path / "label_studio_interface.xml").read_text()
    tool = converter.Converter(interface, str(tmp_path), download_resources=False)
    tool.convert(str(tmp_path / "export.json"), str(out), "BRUSH_TO_NUMPY", is_dir=False)
    count = 0
    for number, instances in enumerate(truth.values()):
        dense = decode(instances.rles, *instances.rles[0]["size"]) if len(instances) else []
        for category in set(instances.categories.tolist()):
            wanted = sorted(
                mask.tobytes() for mask, c in zip(dense, instances.categories, strict=True) if c == category
            )
            paths = out.glob(f"task-{number}-*-masks-{CLASSES[category]}-*.npy")
            found = [(np.load(path) > 0).astype(np.uint8).tobytes() for path in paths]
            assert sorted(found) == wanted
            count += len(found)
    assert count == len(list(out.iterdir())) == sum(map(len, truth.values())) > 0


def test_supervision_reads_the_masks_of_yolo(data, tmp_path):  # noqa: F811
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    labels, truth = data
    write_yolo(tmp_path, labels)
    folders = [str(tmp_path / name / "train") for name in ("images", "labels")]
    read = supervision.DetectionDataset.from_yolo(*folders, str(tmp_path / "data.yaml"), force_masks=True)
    assert read.classes == list(CLASSES)
    for path, _, found in read:
        instances = truth[path.rsplit("/", 1)[-1].rsplit(".", 1)[0]]
        masks = decode(instances.rles, *_size(path))
        assert found.class_id.tolist() == instances.categories.tolist()
        for mask, there in zip(masks, found.mask if len(masks) else (), strict=True):
            filled = cv2.fillPoly(np.zeros_like(mask), [polygon(mask).astype(np.int32)], 1)
            np.testing.assert_array_equal(there, filled > 0)


def _size(path):
    return cv2.imread(path).shape[:2]
