"""What is exported for Label Studio is read to the same masks, by its own converter too."""

import json

import numpy as np
import pytest
from exported import CLASSES, check_same, exported
from imports import imported

from wsis_steps.formats.label_studio import looks_like, read
from wsis_steps.formats.label_studio_writer import write_label_studio
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.masks import decode


def accept(path):
    """What Label Studio exports of suggestions that a person submitted unchanged."""
    tasks = json.loads(path.read_text())
    for number, task in enumerate(tasks):
        task["id"] = number
        [suggestion] = task.pop("predictions")
        task["annotations"] = [
            {"result": suggestion["result"], "was_cancelled": False, "completed_by": 1, "id": number}
        ]
    path.write_text(json.dumps(tasks))
    return path


def test_accepted_suggestions_come_back_to_the_same_codes_and_classes(tmp_path):
    labels, truth = exported(tmp_path)
    path = write_label_studio(tmp_path / "out", labels)
    assert looks_like(path) and looks_like(path.parent)
    assert (tmp_path / "out/images/im 0.jpg").read_bytes() == Images(tmp_path / "images.h5").encoded(0).tobytes()
    check_same(imported(read, tmp_path / "out/images", accept(path), truth=("train",), val_share=0), truth)
    found = imported(read, tmp_path / "out", truth=("train",), val_share=0)
    assert [record.id for record in found.records] == [f"images_{name}" for name in truth]


def test_label_studio_converts_accepted_suggestions_to_the_same_masks(tmp_path):
    converter = pytest.importorskip("label_studio_sdk.converter", reason="needs label-studio-sdk: make test-tools")
    labels, truth = exported(tmp_path)
    accepted = accept(write_label_studio(tmp_path, labels))
    out = tmp_path / "converted"
    out.mkdir()
    interface = (tmp_path / "label_studio_interface.xml").read_text()
    tool = converter.Converter(interface, str(tmp_path), download_resources=False)
    tool.convert(str(accepted), str(out), "BRUSH_TO_NUMPY", is_dir=False)
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
