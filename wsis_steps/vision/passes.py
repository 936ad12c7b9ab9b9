"""What one pass through a network takes, counted on fake tensors, which have shapes but no values and no memory.

A folder of steps may have a `passes.py` that sketches its steps in `PASSES`: for each, a function that returns the
passes of one iteration (trainings) or one image (inference), with the networks of the steps themselves.
"""

import weakref
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    UnsupportedFakeTensorException,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

STATES = {"sgd": 1, "adam": 2, "adamw": 2}  # values that an optimizer keeps for each trained parameter


@dataclass(frozen=True)
class Pictures:
    """What passes need to know of a data set: classes without background, the height and width of its images, the
    proposals of an image, and the tags of a training image, which decide how many classes are searched."""

    class_count: int
    height: int
    width: int
    proposals: int
    tags: int = 2


@dataclass(frozen=True)
class Pass:
    """compute: makes the outputs, from inputs that it makes itself. backward: whether losses are differentiated. share:
    of the iterations that take this pass."""

    network: nn.Module
    compute: Callable[[], Iterable[Tensor]]
    backward: bool
    share: float = 1


# takes the settings of every step of a run by its name; those of the training that made a step's network by MODEL
Sketch = Callable[[Callable[[str], Any], Pictures], list[Pass]]
MODEL = "model"


@dataclass(frozen=True)
class Taken:
    """flops: multiplications and additions of convolutions and matrix products, of an iteration or an image.
    parameters: their number; trained: of them those that have gradients. activations: bytes in float32 at the peak,
    besides parameters, their gradients and the optimizer."""

    flops: float
    parameters: int
    trained: int
    activations: int

    def memory(self, optimizer: str | None) -> int:
        """Bytes of all tensors at the peak, with a training's optimizer."""
        states = 1 + STATES[optimizer] if optimizer else 0  # gradients, and what the optimizer keeps
        return 4 * (self.parameters + states * self.trained) + self.activations


class _NoModules(nullcontext):
    """Stops torch's counter from tracking modules, which is slow and not needed."""

    parents = frozenset({"Global"})


class _Peak(TorchDispatchMode):
    """The most bytes that tensors made within it held at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: tuple = (), options: dict | None = None) -> Any:
        result = function(*arguments, **(options or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._hold(tensor.untyped_storage())
        return result

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self.known:
            return
        self.known.add(key)
        size = storage.nbytes()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size

    def leave_out(self, tensors: Iterable[Tensor]) -> None:
        """Does not count what exists before."""
        self.known |= {tensor.untyped_storage()._cdata for tensor in tensors}


def count(sketch: Sketch, values: Callable[[str], Any], pictures: Pictures) -> Taken | None:
    """FLOPs of the passes of a step on average, and the memory of the largest; None if it is not sketched with these
    settings, or its network cannot be built without values, as may be with some of timm's."""
    try:
        return _counted(sketch, values, pictures)
    except (DataDependentOutputException, DynamicOutputShapeException, UnsupportedFakeTensorException):
        return None


def _counted(sketch: Sketch, values: Callable[[str], Any], pictures: Pictures) -> Taken | None:
    skipped = {
        name: lambda tensor, *_, **__: tensor for name in ("orthogonal_", "trunc_normal_")
    }  # they look at values
    with FakeTensorMode(), mock.patch.multiple(nn.init, **skipped):
        passes = sketch(values, pictures)
        if not passes:
            return None
        found = [_count(one) for one in passes]
    parameters = list(passes[0].network.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad) if passes[0].backward else 0
    flops = sum(one.share * own for one, (own, _) in zip(passes, found, strict=True))
    return Taken(flops, sum(p.numel() for p in parameters), trained, max(own for _, own in found))


def _count(one: Pass) -> tuple[float, int]:
    """FLOPs and bytes of activations of a pass."""
    counter, peak = FlopCounterMode(display=False), _Peak()
    counter.mod_tracker = _NoModules()
    peak.leave_out([*one.network.parameters(), *one.network.buffers()])
    gradients = 0
    with counter, peak, torch.set_grad_enabled(one.backward):
        outputs = [output for output in one.compute() if output.requires_grad]
        if outputs:
            trained = [parameter for parameter in one.network.parameters() if parameter.requires_grad]
            found = torch.autograd.grad(outputs, trained, [torch.empty_like(one) for one in outputs], allow_unused=True)
            gradients = sum(gradient.nbytes for gradient in found if gradient is not None)
    return counter.get_total_flops(), peak.most - gradients
