"""Writes a trained Mask R-CNN as one TorchScript or ONNX file, for programs without this package."""

import io
import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from wsis_steps.engine.writers import one_writer, write_whole
from wsis_steps.formats.deep_samples import FULL
from wsis_steps.maskrcnn.network import load_maskrcnn, read_maskrcnn
from wsis_steps.maskrcnn.settings import MaskrcnnInfer

OUTPUTS = ("boxes", "labels", "scores", "masks")
CLASSES = "class_names"  # metadata key in both kinds of file; the value is a JSON list
RANGE = "picture_range"  # likewise: the samples that were black and white in training, for images of more than 8 bits
_OPSET = 17  # of ONNX; runtimes of recent years support it


class OneImage(nn.Module):
    """The detector on one float RGB image (3, h, w) from 0 to 1.

    Returns boxes (n, 4) x1 y1 x2 y2 in pixels, labels (n,) 1 + category, scores (n,) and masks (n, 1, h, w) from 0 to
    1.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found = self.detector([image])[0]
        return tuple(found[name] for name in OUTPUTS)


def export_model(path: Path, kind: str, out: Path) -> None:
    """Writes the Mask R-CNN of a model.pt as `torchscript` or `onnx`; it takes one image of any size."""
    trained = read_maskrcnn(path)
    network = OneImage(load_maskrcnn(trained, MaskrcnnInfer())).eval().requires_grad_(False)
    side = trained.settings["min_size"]
    # Square: torchvision derives the scales of the feature levels from the first image, padding included.
    example = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    about = {CLASSES: json.dumps(trained.class_names), RANGE: json.dumps(trained.picture_range or FULL)}
    with one_writer(out), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of each tensor used in Python, and of its own deprecation
        write_whole(out, {"torchscript": _torchscript, "onnx": _onnx}[kind](network, example, about))


def _torchscript(network: nn.Module, example: Tensor, about: dict[str, str]) -> bytes:
    """The file in memory: torch ends the process if it writes to a full disk itself."""
    traced = torch.jit.trace(network, example, check_trace=False)
    return traced.save_to_buffer(_extra_files=about)


def _onnx(network: nn.Module, example: Tensor, about: dict[str, str]) -> bytes:
    import onnx  # only this function needs it

    sides = {1: "height", 2: "width"}
    axes = {"image": sides, **{name: {0: "instances"} for name in OUTPUTS}}
    axes["masks"] |= {2: "height", 3: "width"}
    # torch's newer exporter rejects torchvision's detector, whose number of boxes depends on the data
    written = io.BytesIO()
    torch.onnx.export(
        network, (example,), written, dynamo=False, opset_version=_OPSET,
        input_names=["image"], output_names=list(OUTPUTS), dynamic_axes=axes,
    )  # fmt: skip
    model = onnx.load_from_string(written.getvalue())
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()
