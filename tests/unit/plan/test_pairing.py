"""Runs that are compared start alike: the same initial weights, the same order of images, equally long trainings.

Without that a difference between them would be that of two draws of random numbers as well.
"""

import hashlib
import json
from functools import cache

import pytest
import torch
from calls import call
from presets import NAMES, preset
from trainings import STEPS, make_inputs, paths

from wsis_steps.engine.errors import InputError
from wsis_steps.plan.runs import Runs
from wsis_steps.vision import loop

ARCHITECTURE = ("backbone", "network")  # settings that say another network
SMALL = {
    "backbone": "small",
    "normalization": "imagenet",
}  # quick to build; the classifier's is that of its layers 4 to 6


class Start:
    """What a training has before its first iteration; takes the place of the parts of the loop that know it."""

    def __init__(self) -> None:
        self.parameters: dict[str, tuple[tuple[int, ...], bytes]] = {}  # shape and digest by name
        self.order: tuple = ()  # number of images, size of a batch, seed, first and last iteration
        self.pictures: list[bytes] = []  # of the first samples, as they are augmented

    def checkpoint(self, job, model, optimizer):
        for name, value in model.state_dict().items():
            self.parameters[name] = (tuple(value.shape), digest(value))
        return self

    def resume(self, device):
        return 0, [], {}, 0

    def loader(self, dataset, batches, *_):
        self.order = (batches.count, batches.batch_size, batches.seed, batches.start, batches.end)
        for place in next(iter(batches))[:3]:
            self.pictures += [digest(part) for part in tensors(dataset[place]) if is_picture(part)]
        raise InputError("the training would start here.")


def digest(values: torch.Tensor) -> bytes:
    return hashlib.blake2b(values.numpy().tobytes()).digest()


def tensors(sample) -> list[torch.Tensor]:
    """All tensors of a sample, whatever holds them."""
    if isinstance(sample, torch.Tensor):
        return [sample]
    parts = sample.values() if isinstance(sample, dict) else sample if isinstance(sample, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors(part)]


def is_picture(values: torch.Tensor) -> bool:
    return values.ndim == 3 and len(values) == 3 and min(values.shape[1:]) > 8


def differing(runs: Runs, run: str) -> list[str]:
    """The trainings that a run and what it is compared with set differently."""
    other = runs.runs[run].against
    steps = runs.steps(run) & runs.steps(other)
    trainings = sorted(step for step in steps if runs.values(run, step).shares_batches)
    return [step for step in trainings if runs.settings(run, step) != runs.settings(other, step)]


def cases() -> list:
    """Preset, run, what it is compared with, and a training of both, for each pair of the first seed."""
    found = []
    for name in NAMES:
        runs = Runs(preset(name))
        first = runs.configuration.seeds[0]
        for run, values in runs.runs.items():
            if values.against is not None and values.seed == first:
                found += [pytest.param(name, run, step, id=f"{run} {step}") for step in differing(runs, run)]
    return found


@cache
def runs_of(name: str) -> Runs:
    return Runs(preset(name))


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A function of a step and its settings (JSON): how its training starts on small data."""
    inputs = make_inputs(tmp_path_factory.mktemp("inputs"))

    @cache
    def started(step: str, settings: str) -> Start:
        found = Start()
        folder = tmp_path_factory.mktemp("training")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "Checkpoint", found.checkpoint)
            patch.setattr(loop, "build_loader", found.loader)
            outcome = call(step, settings, **paths(inputs, step, folder))
        assert outcome.errors == ["the training would start here."], outcome
        return found

    return started


def small(runs: Runs, run: str, step: str) -> tuple[str, str]:
    """The module of a step and its settings in a run (JSON): of a small network, whose weights come from no file that
    would hide what is drawn."""
    values = runs.values(run, step).model_dump(mode="json")
    if step != "classifier_train":
        values |= {key: value for key, value in SMALL.items() if key in values}
    if values["weights"] != "previous":
        values["weights"] = "none"
    module = next(module for module in STEPS if module.replace(".", "_") == step)
    return module, json.dumps(values, sort_keys=True)


@pytest.mark.parametrize(("name", "run", "step"), cases())
def test_compared_runs_start_alike(start, name, run, step):
    runs = runs_of(name)
    both = run, runs.runs[run].against
    own, other = (start(*small(runs, one, step)) for one in both)
    assert own.order == other.order and own.pictures and own.pictures == other.pictures
    first, second = (runs.values(one, step) for one in both)
    if any(getattr(first, key, None) != getattr(second, key, None) for key in ARCHITECTURE):
        return
    theirs = other.parameters
    shared = [key for key, (shape, _) in own.parameters.items() if key in theirs and theirs[key][0] == shape]
    assert shared and [key for key in shared if own.parameters[key] != theirs[key]] == []
