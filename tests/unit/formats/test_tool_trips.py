"""The rows of docs/other_tools.md about tools of `make test-tools`, and round trips of our exports through them."""

import json

import numpy as np
import pytest
from exported import CLASSES, exported
from imports import imported

from wsis_steps.formats import coco, cvat, cvat_masks
from wsis_steps.formats.coco_writer import write_coco
from wsis_steps.formats.cvat import write_cvat
from wsis_steps.formats.voc_writer import write_voc
from wsis_steps.formats.yolo import write_yolo
from wsis_steps.vision.masks import count_pixels, decode

WRITERS = {"coco_instances": write_coco, "voc_instance_segmentation": write_voc, "cvat": write_cvat, "yolo": write_yolo}


def opened(kind, folder):
    """A data set of ours in Datumaro, and the true masks by id."""
    datumaro = pytest.importorskip("datumaro.components.dataset", reason="needs datumaro: make test-tools")
    labels, truth = exported(folder)
    WRITERS[kind](folder / "out", labels)
    masks = {key: decode(one.rles, *one.rles[0]["size"]) if len(one) else [] for key, one in truth.items()}
    return datumaro.Dataset.import_from(str(folder / "out"), kind), masks


@pytest.mark.parametrize(
    ("kind", "place"),
    [("coco_instances", "images/train/im 0.jpg"), ("cvat", "train.xml"), ("voc_instance_segmentation", "labelmap.txt")],
)
def test_exports_lie_where_datumaro_looks(kind, place, tmp_path):
    labels, _ = exported(tmp_path)
    WRITERS[kind](tmp_path / "out", labels)
    path = tmp_path / "out" / place
    assert path.is_file()
    if path.suffix == ".txt":
        assert path.read_text().splitlines()[:2] == ["background:0,0,0::", "b & w <cat>:128,0,0::"]


@pytest.mark.parametrize("kind", ["coco_instances", "voc_instance_segmentation", "cvat"])
def test_datumaro_reads_the_exact_masks(kind, tmp_path):
    dataset, masks = opened(kind, tmp_path)
    assert len(dataset) == len(masks)
    for item in dataset:
        found = sorted((one for one in item.annotations if one.type.name == "mask"), key=lambda one: one.label)
        for one, mask in zip(found, masks[item.id.replace("_", " ")], strict=True):
            np.testing.assert_array_equal(np.array(one.image) > 0, mask > 0)


def test_datumaro_drops_images_with_yolo_polygons(tmp_path):
    assert [item.id for item in opened("yolo", tmp_path)[0]] == ["im 2"]  # the one without objects


@pytest.mark.parametrize(
    ("kind", "reader", "options"),
    [("voc", cvat_masks, {}), ("cvat", cvat, {}), ("coco_instances", coco, {"segmentation_mode": "mask"})],
)
def test_what_datumaro_saves_exactly_comes_back(kind, reader, options, tmp_path):
    dataset, masks = opened("coco_instances", tmp_path)
    dataset.export(str(tmp_path / "saved"), kind, save_media=True, **options)
    found = imported(reader.read, tmp_path / "saved", truth=("train",), val_share=0, crowds="objects")
    for record in found.records:
        truth = found.truth(record)
        wanted = masks[record.id.removeprefix("images_")]
        assert sorted(mask.tobytes() for mask in decode(truth.masks, *wanted[0].shape) if len(wanted)) == sorted(
            mask.tobytes() for mask in wanted
        ) if len(wanted) else not truth.masks  # fmt: skip


def test_datumaro_saves_masks_as_polygons_that_lose_their_border(tmp_path):
    dataset, masks = opened("coco_instances", tmp_path)
    dataset.export(str(tmp_path / "saved"), "coco_instances", save_media=True)
    found = imported(coco.read, tmp_path / "saved", truth=("train",), val_share=0)
    areas = sum(count_pixels(found.truth(one).masks).sum() for one in found.records)
    assert areas < 0.8 * sum(mask.sum() for some in masks.values() for mask in some)


def test_hotcoco_takes_gray_levels_for_ones_and_two_points_for_a_box():
    hotcoco = pytest.importorskip("hotcoco", reason="needs hotcoco: make test-tools")
    gray = np.asfortranarray(np.pad(np.array([[128, 255], [255, 255]], np.uint8), 1))
    assert int(hotcoco.mask.decode(hotcoco.mask.encode(gray)).sum()) == 4
    assert int(np.sum(hotcoco.mask.area(hotcoco.mask.frPyObjects([[1.0, 1.0, 3.0, 3.0]], 6, 6)))) == 9


def test_faster_coco_eval_codes_gray_levels_as_pycocotools_does():
    faster = pytest.importorskip("faster_coco_eval.core.mask", reason="needs faster-coco-eval: make test-tools")
    gray = np.asfortranarray(np.pad(np.array([[128, 255], [255, 255]], np.uint8), 1))
    assert int(faster.decode(faster.encode(gray)).sum()) == 8


def test_scikit_image_removes_objects_of_exactly_the_size():
    morphology = pytest.importorskip("skimage.morphology", reason="needs scikit-image: make test-tools")
    row = np.zeros((6, 6), bool)
    row[0, :4] = True
    with pytest.warns(FutureWarning):
        assert not morphology.remove_small_objects(row, 4).any()


def test_torchmetrics_gives_minus_one_for_300_detections():
    torch = pytest.importorskip("torch")
    detection = pytest.importorskip("torchmetrics.detection", reason="needs torchmetrics: make test-tools")
    metric = detection.MeanAveragePrecision(max_detection_thresholds=[1, 10, 300])
    box, label = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0])
    metric.update([{"boxes": box, "scores": torch.tensor([0.9]), "labels": label}], [{"boxes": box, "labels": label}])
    found = metric.compute()
    assert float(found["map"]) == -1 and float(found["map_50"]) == float(found["mar_300"]) == 1


def test_torchmetrics_takes_class_maps_for_one_hot_planes():
    torch = pytest.importorskip("torch")
    segmentation = pytest.importorskip("torchmetrics.segmentation", reason="needs torchmetrics: make test-tools")
    truth = torch.arange(2 * 64 * 48).reshape(2, 64, 48) % 4
    found = truth.clone()
    found[:, :32] = (found[:, :32] + 1) % 4  # half of each class is right, half of the rest is taken for it: 1/3
    scores = {}
    for layout in ("one-hot", "index"):  # one-hot is the default
        metric = segmentation.MeanIoU(num_classes=4, input_format=layout)
        metric.update(found, truth)
        scores[layout] = float(metric.compute())
    assert scores["index"] == pytest.approx(1 / 3, abs=1e-6)
    assert scores["one-hot"] > 0.5


def test_kornia_flips_boxes_to_another_place_than_masks():
    torch = pytest.importorskip("torch")
    augmentation = pytest.importorskip("kornia.augmentation", reason="needs kornia: make test-tools")
    mask = torch.zeros(1, 1, 5, 8)
    mask[..., 0, 0:2] = 1
    flip = augmentation.AugmentationSequential(
        augmentation.RandomHorizontalFlip(p=1.0), data_keys=["input", "mask", "bbox_xyxy"]
    )
    _, flipped, box = flip(torch.zeros(1, 3, 5, 8), mask, torch.tensor([[[0.0, 0, 2, 1]]]))
    assert flipped[0, 0, 0].nonzero()[:, 0].tolist() == [6, 7]
    assert box.flatten().tolist() == [5, 0, 7, 1]  # the mask now lies from 6 to 8


def converted(results, labels, folder):
    """The COCO file that Label Studio's converter makes of one task of 200x100 pixels."""
    converter = pytest.importorskip("label_studio_sdk.converter", reason="needs label-studio-sdk: make test-tools")
    about = {"to_name": "image", "original_width": 200, "original_height": 100, "image_rotation": 0}
    rows = [about | {"id": str(k)} | row for k, row in enumerate(results)]
    note = {"id": 1, "was_cancelled": False, "completed_by": 1, "result": rows}
    (folder / "in.json").write_text(json.dumps([{"id": 1, "data": {"image": "/data/a.png"}, "annotations": [note]}]))
    view = f'<View><Image name="image" value="$image"/>{labels}</View>'
    tool = converter.Converter(view, str(folder), download_resources=False)
    tool.convert(str(folder / "in.json"), str(folder / "out"), "COCO", is_dir=False)
    return json.loads((folder / "out/result.json").read_text())


def test_label_studio_turns_boxes_in_percent_and_counts_from_zero(tmp_path):
    value = {"x": 40, "y": 40, "width": 20, "height": 20, "rotation": 30, "rectanglelabels": ["leaf"]}
    labels = '<RectangleLabels name="r" toName="image"><Label value="leaf"/></RectangleLabels>'
    [row] = converted([{"from_name": "r", "type": "rectanglelabels", "value": value}], labels, tmp_path)["annotations"]
    assert row["id"] == 0 and row["segmentation"] == []
    assert row["bbox"] == pytest.approx([60, 40, 54.641, 27.321], abs=1e-3)  # in pixels it is 70, 40, 44.641, 37.321


def test_label_studio_leaves_ellipses_out_of_coco(tmp_path):
    value = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 10, "rotation": 0, "ellipselabels": ["leaf"]}
    labels = '<EllipseLabels name="e" toName="image"><Label value="leaf"/></EllipseLabels>'
    found = converted([{"from_name": "e", "type": "ellipselabels", "value": value}], labels, tmp_path)
    assert found["annotations"] == []


def test_supervision_splits_objects_on_the_way_through_yolo(tmp_path):
    supervision = pytest.importorskip("supervision", reason="needs supervision: make test-tools")
    labels, truth = exported(tmp_path)
    write_coco(tmp_path / "out", labels)
    found = supervision.DetectionDataset.from_coco(
        str(tmp_path / "out/images/train"), str(tmp_path / "out/annotations/instances_train.json"), force_masks=True
    )
    assert found.classes == list(CLASSES)
    for path, _, seen in found:
        own = truth[path.rsplit("/", 1)[-1].rsplit(".", 1)[0]]
        for mask, rle in zip(seen.mask if len(own) else (), own.rles, strict=True):
            np.testing.assert_array_equal(mask, decode([rle], *mask.shape)[0] > 0)
    found.as_yolo(annotations_directory_path=str(tmp_path / "labels"))
    lines = sum(len(path.read_text().splitlines()) for path in (tmp_path / "labels").glob("*.txt"))
    assert lines > sum(map(len, truth.values()))
