"""A GPU that is only pretended: its tensors say that they are on another device, but hold their values on the CPU.

Operations run on the CPU, after a check whether a GPU would take them: one that mixes devices raises, and so does
`.numpy()` of a tensor on the GPU. Unlike with torch's FakeTensorMode, operations whose course depends on values run,
so whole steps can be tried.

The device is called `meta`, not `cuda`: without a driver, torch cannot run the backward pass of tensors on `cuda`, not
even of fake ones. Mixed precision is off.
"""

import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
GPU, CPU = torch.device("meta"), torch.device("cpu")
COPIES = {aten.copy_.default, aten._to_copy.default, aten._foreach_copy_.default}  # from one device to another
INDEXED = {  # by a list of tensors that may be on the CPU
    aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default,
}  # fmt: skip
# may take scalars from the CPU, as all that torch tags as pointwise
SCALARS = {aten.fill.Tensor, aten.fill_.Tensor, aten.masked_fill_.Tensor, aten.where.self}


class MixedDevices(RuntimeError):
    """An operation on tensors of both devices."""


class OnGpu(torch.Tensor):
    """A tensor on the pretended GPU; `held` has its values."""

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "OnGpu":
        about = {"dtype": held.dtype, "layout": held.layout, "device": GPU}
        if held.layout == torch.strided:
            about |= {"strides": held.stride(), "storage_offset": held.storage_offset()}
        own = torch.Tensor._make_wrapper_subclass(cls, held.shape, **about)
        own.held = held
        return own

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: tuple = (), options: dict | None = None) -> Any:
        return run(function, arguments, options or {})


class Pretending(TorchDispatchMode):
    """Catches operations without tensors on the GPU, such as copies to it."""

    def __torch_dispatch__(self, function: Any, types: Any, arguments: tuple = (), options: dict | None = None) -> Any:
        return run(function, arguments, options or {})


class Converting(TorchFunctionMode):
    """Conversions between tensors and Python values, which torch does without operations that `Pretending` sees."""

    def __torch_function__(self, function: Any, types: Any, arguments: tuple = (), options: dict | None = None) -> Any:
        options = options or {}
        if function is torch.Tensor.tolist and isinstance(arguments[0], OnGpu):  # torch refuses it for subclasses
            return arguments[0].held.tolist()
        if function in (torch.tensor, torch.as_tensor) and options.get("device"):
            return function(*arguments, **{**options, "device": CPU}).to(options["device"])
        if function is torch.Tensor.new_tensor and isinstance(arguments[0], OnGpu):
            return OnGpu(arguments[0].held.new_tensor(*arguments[1:], **options))
        return function(*arguments, **options)


def run(function: Any, arguments: tuple, options: dict) -> Any:
    """The result of an operation, on the device where it would be; MixedDevices if a GPU would refuse the operation."""
    tensors = [one for one in tree_leaves((arguments, options)) if isinstance(one, torch.Tensor)]
    device = options.get("device") or device_of(function, arguments, tensors)
    if options.get("device"):
        options = {**options, "device": CPU}
    owners = {id(one.held): one for one in tensors if isinstance(one, OnGpu)}
    arguments, options = tree_map(lambda one: one.held if isinstance(one, OnGpu) else one, (arguments, options))

    def put(result: Any) -> Any:
        if torch.device(device).type == "cpu" or not isinstance(result, torch.Tensor):
            return result
        return owners[id(result)] if id(result) in owners else OnGpu(result)  # in place: the tensor that was given

    return tree_map(put, function(*arguments, **options))


def device_of(function: Any, arguments: tuple, tensors: list[torch.Tensor]) -> torch.device:
    """The device of an operation's tensors; MixedDevices if they may not be mixed in it."""
    if function in COPIES or function in INDEXED:
        first = arguments[0][0] if isinstance(arguments[0], list | tuple) else arguments[0]
        if function in INDEXED and first.device == CPU and any(one.device == GPU for one in tensors):
            raise MixedDevices(f"{function}: a tensor on the CPU is indexed by, or filled from, one on the GPU")
        return first.device
    on_cpu = [one for one in tensors if one.device == CPU]
    if len(on_cpu) == len(tensors):
        return CPU
    scalars = torch.Tag.pointwise in function.tags or function in SCALARS
    if [one for one in on_cpu if one.dim() or not scalars]:
        told = ", ".join(f"{'CPU' if one.device == CPU else 'GPU'} {tuple(one.shape)}" for one in tensors)
        raise MixedDevices(f"{function} of {told}")
    return GPU


def _autocast(kind: str, *arguments: Any, **options: Any) -> torch.autocast:
    return _AUTOCAST("cpu", enabled=False) if kind == GPU.type else _AUTOCAST(kind, *arguments, **options)


_AUTOCAST = torch.autocast


def _enter(mode: torch.inference_mode) -> None:
    # tensors made in inference mode have no versions, which subclasses need
    mode.without_gradient = torch.no_grad()
    mode.without_gradient.__enter__()


def _leave(mode: torch.inference_mode, *error: Any) -> None:
    mode.without_gradient.__exit__(*error)


@contextmanager
def pretended_gpu(step: str) -> Iterator[None]:
    """Within it, a step of this process (such as 'bestie.train') computes on the pretended GPU."""
    module = importlib.import_module(f"wsis_steps.{step}")
    move = torch.nn.Module.to

    def to(network: torch.nn.Module, *arguments: Any, **options: Any) -> torch.nn.Module:
        # a change of the memory format would replace the parameters that the optimizer has
        return network if options.keys() == {"memory_format"} else move(network, *arguments, **options)

    with ExitStack() as stack:
        for owner, name, value in (
            (module, "choose_device", lambda *_, **__: GPU),
            (torch, "autocast", _autocast),
            (torch.inference_mode, "__enter__", _enter),
            (torch.inference_mode, "__exit__", _leave),
            (torch.nn.Module, "to", to),
            (torch.__future__, "get_overwrite_module_params_on_conversion", lambda: True),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        stack.enter_context(Pretending())
        stack.enter_context(Converting())
        yield
