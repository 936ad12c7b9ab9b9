"""The parts of the check on a GPU: errors of gradients, equal random numbers, largest batches, packages, limits."""

import contextlib
import math
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from bench import gpu_check, gpu_gradients, gpu_speed
from bench.gpu_gradients import VALUES, DrawnOnCpu, Step, gradient_error, loss_error
from bench.gpu_packages import NEEDED, advice, missing
from bench.gpu_steps import Training
from bench.gpu_tasks import figure, job_from
from bench.jobs import PlannedJob
from wsis_steps.plan.steps import module_of
from wsis_steps.vision.schedule import build_optimizer
from wsis_steps.vision.settings import Training as Settings


def linear_training(width=40, seed=0):
    """The mean of squares of a linear layer's outputs for all-one inputs, whose gradient is known."""
    torch.manual_seed(seed)
    model = nn.Linear(width, width)
    settings = Settings(weights="none", batch_size=2)
    optimizer = build_optimizer(settings, [{"params": list(model.parameters())}])

    def loss(model, batch, iteration):
        return {"total": model(batch).square().mean()}

    dataset = [torch.ones(width)] * 2
    return Training(SimpleNamespace(settings=settings), model, optimizer, dataset, loss, 2, torch.device("cpu"))


def test_gradients_are_those_of_autograd_and_the_parameters_stay():
    training = linear_training(width=40)  # 1,600 weights, of which 1,000 are kept
    before = [parameter.detach().clone() for parameter in training.model.parameters()]
    step = gpu_gradients.step(training, training.dataset)
    outputs = training.model(torch.ones(2, 40)).detach()
    of_bias = 2 * outputs.sum(dim=0).double() / outputs.numel()
    assert np.allclose(step.gradients["bias"], of_bias, rtol=1e-5)
    assert step.sizes == {"weight": 1600, "bias": 40}
    assert len(step.gradients["weight"]) == VALUES
    assert set(np.round(step.gradients["weight"], 6)) <= set(np.round(of_bias.numpy(), 6))  # inputs are all one
    assert all(map(torch.equal, before, training.model.parameters()))


def test_the_error_is_the_norm_of_the_difference():
    step = gpu_gradients.step(linear_training(), linear_training().dataset)
    assert gradient_error(step, step) == (0, "")
    assert loss_error(step, step) == 0
    doubled = Step(step.terms, {**step.gradients, "bias": 3 * step.gradients["bias"]}, step.sizes, step.weights)
    error, parameter = gradient_error(doubled, step)
    weight, bias = (np.square(step.gradients[name]).mean() * step.sizes[name] for name in ("weight", "bias"))
    assert math.isclose(error, math.sqrt(4 * bias / (weight + bias)), rel_tol=1e-9)
    assert parameter == "bias"


def test_what_cannot_be_compared_is_refused():
    step, other = (gpu_gradients.step(linear_training(seed=seed), linear_training().dataset) for seed in (0, 1))
    with pytest.raises(RuntimeError, match="initial weights differ"):
        gradient_error(other, step)
    with pytest.raises(RuntimeError, match="other parameters have gradients"):
        gradient_error(step, Step(step.terms, step.gradients, {"weight": 1600}, step.weights))
    with pytest.raises(RuntimeError, match="the losses are"):
        loss_error(Step({"other": 1.0}, {}, {}, 0), step)


def test_a_step_survives_its_file(tmp_path: Path):
    step = gpu_gradients.step(linear_training(), linear_training().dataset)
    step.write(tmp_path / "step.npz")
    read = Step.read(tmp_path / "step.npz")
    assert (read.terms, read.sizes, read.weights) == (step.terms, step.sizes, step.weights)
    assert gradient_error(read, step) == (0, "")


def test_random_numbers_are_drawn_on_the_cpu():
    torch.manual_seed(1)
    wanted = torch.randperm(9)
    with DrawnOnCpu():
        torch.manual_seed(1)
        assert torch.equal(torch.randperm(9, device="cpu"), wanted)
        assert torch.rand(2, device="meta").device.type == "meta"  # without values, but where it was asked for


@pytest.mark.parametrize(("fits", "slow", "found"), [(40, 99, (32, True)), (3, 99, (0, True)), (1e9, 16, (16, False))])
def test_the_largest_batch_that_fits(fits: int, slow: int, found: tuple[int, bool]):
    def take(count: int) -> float:
        if count > fits:
            raise torch.OutOfMemoryError
        return count / slow

    assert gpu_speed.largest_batch(take, 4, 0.99) == found


def test_missing_packages_are_named_with_their_versions():
    assert missing(NEEDED) == []
    (told,) = missing({"no_such_module": "h5py"})
    assert told.startswith("h5py==3.")
    assert "pip wheel" in advice([told])


OPTIONAL = {"wsis", "setuptools", "charset-normalizer"}  # used if present


def required(package: str, found: set[str]) -> set[str]:
    """A package and all that it requires, without extras."""
    name = re.sub(r"[-_.]+", "-", package).lower()
    if name not in found:
        found.add(name)
        for line in metadata.requires(package) or []:
            if "extra ==" not in line:
                with contextlib.suppress(metadata.PackageNotFoundError):  # of other systems
                    required(re.match(r"[\w.-]+", line)[0], found)
    return found


def test_the_check_needs_no_other_packages():
    steps = [module_of(step) for _, _, step, _ in gpu_check.TASKS if step]
    modules = ["bench.gpu_tasks", "bench.rehearsal_data", *(f"wsis_steps.{step}" for step in steps)]
    program = f"import {', '.join(modules)}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    of = metadata.packages_distributions()
    packages = {package for module in loaded for package in of.get(module, ())}
    names = {re.sub(r"[-_.]+", "-", package).lower() for package in packages} - OPTIONAL
    bring: set[str] = set()
    for package in NEEDED.values():
        required(package, bring)
    assert len(names) > 10
    assert names <= bring


def test_figures_know_whether_they_are_as_wanted():
    assert figure("speed", 3)["met"]
    assert not figure("memory", 13, "GB", 12)["met"]
    assert "NO" in gpu_check.row("c", figure("memory", 13, "GB", 12))


def test_a_planned_job_survives_its_document():
    job = PlannedJob("a_train", "run/a_train", ("x",), ("y",), True, (sys.executable, "-m", "wsis_steps.a.train"))
    document = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(job).items()}
    assert job_from(document) == job


def test_a_task_that_takes_too_long_ends_and_the_next_starts_anew(tmp_path: Path, monkeypatch):
    program = (
        "import sys, time\n"
        "for line in sys.stdin:\n"
        "    if 'slow' in line: time.sleep(60)\n"
        "    if 'dies' in line: sys.exit(3)\n"
        "    print('{\"figures\": []}', flush=True)\n"
    )
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/gpu_tasks.py").write_text(program)
    monkeypatch.setattr(gpu_check, "ROOT", tmp_path)
    monkeypatch.setattr(gpu_check, "STARTING", 20)
    worker = gpu_check.Worker(tmp_path, tmp_path / "said.txt", dry=True)
    assert worker.do("quick", "", 20) == {"figures": []}
    assert "no result in" in worker.do("slow", "", 0.5)["fault"]
    assert worker.do("quick", "", 20) == {"figures": []}
    assert worker.do("dies", "", 20) == {"fault": "the process ended with 3"}
    worker.stop()
