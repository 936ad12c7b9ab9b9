"""Losses and gradients of one iteration of a training, to compare devices and precisions.

Random numbers that networks draw are drawn on the CPU, so that they are equal everywhere. Of each parameter's gradient
at most VALUES values are kept, always the same ones; the error of the whole gradient is estimated from them.
"""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from bench.gpu_steps import Training
from wsis_steps.vision import device as devices
from wsis_steps.vision.loop import advance

VALUES = 1000
DRAWS = {torch.rand, torch.randn, torch.randperm, torch.randint}


class DrawnOnCpu(TorchFunctionMode):
    """Draws random numbers on the CPU, then moves them to the device that was asked for."""

    def __torch_function__(self, function: Any, types: Any, arguments: tuple = (), options: dict | None = None) -> Any:
        options = dict(options or {})
        if function in DRAWS and options.get("generator") is None:
            where = options.pop("device", None)
            return function(*arguments, **options).to(where or "cpu")
        return function(*arguments, **options)


@dataclass
class Step:
    """One iteration. terms: the losses; gradients: some values of each parameter's gradient, float64, by name; sizes:
    how many values it has; weights: checksum of the parameters before."""

    terms: dict[str, float]
    gradients: dict[str, np.ndarray]
    sizes: dict[str, int]
    weights: float

    def write(self, path: Path) -> None:
        """Writes it as .npz."""
        about = json.dumps({"terms": self.terms, "sizes": self.sizes, "weights": self.weights})
        np.savez_compressed(path, about=about, **{f"of {name}": values for name, values in self.gradients.items()})

    @classmethod
    def read(cls, path: Path) -> "Step":
        """Reads what `write` wrote."""
        with np.load(path) as file:
            gradients = {name.removeprefix("of "): file[name] for name in file.files if name != "about"}
            return cls(gradients=gradients, **json.loads(str(file["about"])))


@contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Computes in float32, without TensorFloat-32, or in mixed precision with bfloat16."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with mock.patch.object(devices, "precision", lambda _: dtype):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def places_of(name: str, count: int) -> np.ndarray:
    """Which of a parameter's `count` values are kept, int64: all, or VALUES random ones."""
    if count <= VALUES:
        return np.arange(count)
    return np.random.default_rng(zlib.crc32(name.encode())).choice(count, VALUES, replace=False)


def step(training: Training, samples: list, dtype: torch.dtype = torch.float32) -> Step:
    """One iteration on these samples, the last of the training; the parameters stay as they are."""
    model = training.model
    weights = sum(float(parameter.detach().double().abs().sum()) for parameter in model.parameters())
    gradients: dict[str, np.ndarray] = {}
    sizes: dict[str, int] = {}

    def keep(*_: Any) -> None:
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                values = parameter.grad.detach().double().flatten()
                places = torch.from_numpy(places_of(name, len(values))).to(values.device)
                gradients[name], sizes[name] = values[places].cpu().numpy(), len(values)

    torch.manual_seed(0)
    with precision(dtype), DrawnOnCpu(), mock.patch.object(training.optimizer, "step", keep):
        terms = advance(
            model, training.optimizer, training.loss, training.batch(samples), training.iterations, training.device,
            training.accumulation,
        )  # fmt: skip
    training.optimizer.zero_grad(set_to_none=True)
    return Step({name: float(value) for name, value in terms.items()}, gradients, sizes, weights)


def loss_error(step: Step, reference: Step) -> float:
    """The largest relative difference of a loss term; terms below a thousandth of the total count as that much."""
    if step.terms.keys() != reference.terms.keys():
        raise RuntimeError(f"the losses are {sorted(step.terms)}, not {sorted(reference.terms)}")
    least = abs(reference.terms["total"]) / 1000
    return max(abs(step.terms[name] - value) / max(abs(value), least) for name, value in reference.terms.items())


def gradient_error(step: Step, reference: Step) -> tuple[float, str]:
    """The norm of the difference of all gradients, divided by the norm of the reference's, and the parameter that
    contributes most. RuntimeError if they are not of the same parameters and initial weights."""
    if step.sizes != reference.sizes:
        names = sorted(step.sizes.keys() ^ reference.sizes.keys())
        raise RuntimeError(f"other parameters have gradients: {', '.join(names[:5])}")
    if abs(step.weights - reference.weights) > 1e-6 * reference.weights:
        raise RuntimeError("the initial weights differ from the reference's; prepare again with this version of torch")
    squares, whole = {}, 0.0
    for name, values in reference.gradients.items():
        share = reference.sizes[name] / len(values)
        squares[name] = share * float(np.sum((step.gradients[name] - values) ** 2))
        whole += share * float(np.sum(values**2))
    error = float(np.sqrt(sum(squares.values()) / max(whole, 1e-300)))
    return error, max(squares, key=squares.get) if error > 0 else ""
