"""Runs of an ablation start from the same weights and see the same pictures in the same order."""

import json

import pytest
import torch
import yaml
from artifacts import write_images, write_labels
from calls import call
from snakemake.utils import update_config
from tiny_workflow import ROOT

from wsis_steps.learning_to_segment import train as step
from wsis_steps.plan.config import load
from wsis_steps.plan.runs import Runs
from wsis_steps.vision.loop import Batches

STEP, FIRST = "learning_to_segment_train", "learning_to_segment_seed1"


@pytest.fixture(scope="module")
def runs() -> Runs:
    """All runs of the preset that train the semantic network, with seed 1."""
    merged: dict = {}
    for name in ("config.yaml", "workflow/presets/shapes_ablations.yaml"):
        update_config(merged, yaml.safe_load((ROOT / name).read_text()))
    return Runs(load(merged))


def start(runs: Runs, run: str, folder, monkeypatch) -> dict:
    """What a run's training begins with: weights, random state, the order of the images and samples of them."""
    found = {}

    def look(job, model, optimizer, dataset, loss, iterations, device):
        settings = job.settings
        found["weights"] = {name: value.clone() for name, value in model.state_dict().items()}
        found["rates"] = [group["lr"] for group in optimizer.param_groups]
        found["next"] = torch.rand(3)
        batches = Batches(len(dataset), settings.batch_size, settings.seed, 0, iterations, 0, 1)
        found["order"] = [key for _, batch in zip(range(3), batches, strict=False) for key in batch]
        found["samples"] = [dataset[key] for key in found["order"]]
        job.outputs["metrics"].write_text("")

    monkeypatch.setattr(step, "train", look)
    settings = runs.values(run, STEP)
    files = {"images": write_images(folder / "images.h5"), "model": folder / "model.pt"}
    if settings.supervision == "masks":
        files["truth"] = write_labels(folder / "truth.h5")
    values = {**settings.model_dump(mode="json"), "weights": "none"}  # no run trains a classifier of its own
    done = call("learning_to_segment.train", json.dumps(values), **files, metrics=folder / "metrics.jsonl")
    assert done.status == 0, done.errors
    return found


def test_every_run_of_the_ablations_starts_alike(runs, tmp_path, monkeypatch):
    names = [name for name in runs.runs if name.endswith("_seed1") and STEP in runs.steps(name)]
    assert len(names) >= 6
    expected = None
    for name in names:
        (tmp_path / name).mkdir()
        found = start(runs, name, tmp_path / name, monkeypatch)
        assert runs.owner(name, "classifier_train") == runs.owner(FIRST, "classifier_train"), name
        expected = expected or found
        assert found["order"] == expected["order"] and found["rates"] == expected["rates"], name
        torch.testing.assert_close(found["next"], expected["next"], atol=0, rtol=0, msg=name)
        torch.testing.assert_close(found["weights"], expected["weights"], atol=0, rtol=0, msg=name)
        for own, other in zip(found["samples"], expected["samples"], strict=True):
            same = {key: own[key] for key in other if key in own}
            assert {"picture", "tags", "valid"} <= same.keys()
            torch.testing.assert_close(same, {key: other[key] for key in same}, atol=0, rtol=0, msg=name)
