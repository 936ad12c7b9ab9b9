"""Every network trains and infers on a pretended GPU: nothing mixes devices, and the losses are those of a CPU."""

import importlib
import inspect
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from calls import Outcome, call
from pretended_gpu import GPU, MixedDevices, OnGpu, pretended_gpu
from trainings import STEPS, make_inputs, paths, settings_of

INFERENCE = {  # the step that uses the network, its settings, and the names of its files
    "classifier.train": ("classifier.infer", {"size": 32, "scales": [1.0, 0.5]}, ("images",), ("maps",)),
    "learning_to_segment.train": ("learning_to_segment.infer", {"size": 32}, ("images",), ("semantic",)),
    "bestie.train": ("bestie.infer", {"flip": True, "long_side": 40}, ("images",), ("labels", "predictions")),
    "community_learning.train": (
        "community_learning.infer", {"short_sides": [32]}, ("images", "proposals"), ("labels", "predictions"),
    ),
    "annotation_consistency.initialise": (
        "annotation_consistency.sample", {"samples": 3}, ("images", "regions", "edges"), ("samples", "labels"),
    ),
    "maskrcnn.train": ("maskrcnn.infer", {}, ("images",), ("predictions",)),
}  # fmt: skip
PLANTED = [  # the step that is tried, the module that is changed, what is taken away, and what is left
    ("bestie.train", "bestie.train", "    model.to(device)\n", ""),
    ("learning_to_segment.train", "vision.loop", "batch.to(device, non_blocking=True)", "batch"),
    ("maskrcnn.train", "maskrcnn.train", "weights).to(device)", "weights)"),
    ("bestie.infer", "bestie.infer", "predict(model, batch.to(device), settings.flip)",
     "predict(model, batch, settings.flip)"),
    ("bestie.infer", "bestie.infer", "torch.from_numpy(images.tags[i]).to(device)", "torch.from_numpy(images.tags[i])"),
    ("classifier.infer", "classifier.infer", "    model.to(device)\n", ""),
    ("maskrcnn.infer", "maskrcnn.infer", ".to(device)", ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    """What the steps read."""
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def train(inputs: dict[str, Path], step: str, folder: Path) -> Outcome:
    """Two iterations of a training; it writes to `folder`."""
    return call(step, settings_of(step, 2), **paths(inputs, step, folder))


def infer(inputs: dict[str, Path], step: str, model: Path, folder: Path) -> Outcome:
    """The inference with the network of a training step."""
    name, settings, reads, writes = INFERENCE[step]
    files = {read.replace("regions", "proposals"): inputs[read] for read in reads}
    files |= {write: folder / write for write in writes}
    split = {"split": "train"} if "split" in importlib.import_module(f"wsis_steps.{name}").STEP.values else {}
    return call(name, settings, model=model, **files, **split)


def losses(folder: Path) -> list[dict]:
    """The losses that a training wrote."""
    return [json.loads(line) for line in (folder / "out/metrics").read_text().splitlines()]


@contextmanager
def planted(module: str, old: str, new: str) -> Iterator[None]:
    """A module of the package with one place of its text changed, while it lasts."""
    changed = importlib.import_module(f"wsis_steps.{module}")
    before, text = dict(vars(changed)), inspect.getsource(changed)
    assert old in text
    try:
        exec(compile(text.replace(old, new, 1), changed.__file__, "exec"), vars(changed))  # noqa: S102
        yield
    finally:
        vars(changed).clear()
        vars(changed).update(before)


@pytest.mark.parametrize("step", STEPS)
def test_networks_stay_on_their_device(inputs: dict[str, Path], step: str, tmp_path: Path):
    on_cpu = train(inputs, step, tmp_path / "cpu")
    with pretended_gpu(step):
        on_gpu = train(inputs, step, tmp_path / "gpu")
    assert (on_cpu.status, on_gpu.status) == (0, 0), on_gpu.errors
    for own, other in zip(losses(tmp_path / "gpu"), losses(tmp_path / "cpu"), strict=True):
        assert own.keys() == other.keys()
        numbers = [name for name, value in own.items() if isinstance(value, float)]
        assert all(math.isclose(own[name], other[name], rel_tol=1e-3, abs_tol=1e-5) for name in numbers), (own, other)
    if step in INFERENCE:
        with pretended_gpu(INFERENCE[step][0]):
            done = infer(inputs, step, tmp_path / "cpu/out/model.pt", tmp_path)
        assert done.status == 0, done.errors


@pytest.mark.parametrize(("step", "module", "old", "new"), PLANTED)
def test_a_planted_fault_is_found(inputs: dict[str, Path], step: str, module: str, old: str, new: str, tmp_path: Path):
    trained = next((name for name, (other, *_) in INFERENCE.items() if other == step), None)
    if trained:
        assert train(inputs, trained, tmp_path).status == 0
    with planted(module, old, new), pretended_gpu(step):
        done = infer(inputs, trained, tmp_path / "out/model.pt", tmp_path) if trained else train(inputs, step, tmp_path)
    assert done.status == 1
    assert "MixedDevices" in done.errors[0]


def test_the_pretended_gpu_refuses_what_a_gpu_refuses():
    with pretended_gpu("bestie.train"):
        here, there = torch.arange(4.0), torch.arange(4.0).to(GPU)
        assert isinstance(there + 1, OnGpu)
        assert (there * torch.tensor(2.0)).tolist() == [0, 2, 4, 6]  # a scalar of the CPU is allowed
        assert there[torch.tensor([1])].tolist() == [1]  # and so are indices
        assert torch.tensor([1.0, 2.0], device=GPU).tolist() == [1, 2]
        for wrong in (
            lambda: here + there,
            lambda: here[there.long()],
            lambda: torch.stack([there[0], here[0]]),
            lambda: there.index_select(0, torch.tensor([1])),
            lambda: here.addmm(here[None].T @ here[None], there[None].T @ there[None]),
        ):
            with pytest.raises(MixedDevices):
                wrong()
        with pytest.raises((RuntimeError, TypeError)):
            there.numpy()
