"""What is counted on fake tensors, against what torch's counter sees in a real step, and against closed forms."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from artifacts import CLASSES, SIZE
from calls import call
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from trainings import STEPS, make_inputs, paths, settings_of

from wsis_steps.plan.steps import STEPS as SETTINGS
from wsis_steps.vision.passes import MODEL, Pass, Pictures, Taken, count

BOXES = 13  # of an image of `square_boxes`
# What a real iteration takes, as a multiple of what is counted. More: kernels and sums over regions, which are not
# sketched. Less: Mask R-CNN finds fewer regions and objects than its settings allow.
RATIOS = {
    "classifier.train": (1, 1),
    "learning_to_segment.train": (1, 1.01),
    "bestie.train": (1, 1),
    "community_learning.train": (1, 1.02),
    "annotation_consistency.initialise": (1, 1.01),
    "annotation_consistency.train_prediction": (0.95, 1),
    "annotation_consistency.train_conditional": (0.98, 1.01),
    "maskrcnn.train": (0.95, 1),
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    """What the steps read."""
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def name_of(step: str) -> str:
    return step.replace(".", "_")


def settings(name: str) -> Any:
    """The settings of a step by its name, as the tests use them."""
    values = {name_of(step): values for step, (values, _) in STEPS.items()}
    return SETTINGS[name].model_validate(values.get(name, {}))


def counted(step: str) -> Taken:
    sketch = importlib.import_module(f"wsis_steps.{step.split('.')[0]}.passes").PASSES[name_of(step)]
    return count(sketch, settings, Pictures(len(CLASSES), SIZE, SIZE, BOXES, tags=1))


@pytest.mark.parametrize("step", STEPS)
def test_iterations_take_what_is_counted(inputs: dict[str, Path], step: str, tmp_path: Path):
    counter = FlopCounterMode(display=False)
    with counter:
        done = call(step, settings_of(step, 2), **paths(inputs, step, tmp_path))
    assert done.status == 0
    ratio = counter.get_total_flops() / 2 / counted(step).flops
    least, most = RATIOS[step]
    assert least * 0.999 <= ratio <= most * 1.001


def sketch_of(network: nn.Module, shape: tuple[int, ...], backward: bool, times: int = 1):
    def sketch(values: Any, pictures: Pictures) -> list[Pass]:
        moved = network()
        return [Pass(moved, lambda: [moved(torch.empty(shape)) for _ in range(times)], backward)]

    return sketch


def test_a_convolution_takes_what_it_must():
    def network() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1))

    first, second = 2 * 2 * 10 * 10 * 3 * 8 * 9, 2 * 2 * 10 * 10 * 8 * 4
    shape, pictures = (2, 3, 10, 10), Pictures(1, 1, 1, 1)
    forward = count(sketch_of(network, shape, backward=False), settings, pictures)
    assert forward.flops == first + second
    assert forward.parameters == 3 * 8 * 9 + 8 + 8 * 4 + 4
    assert (forward.trained, forward.memory(None)) == (0, 4 * forward.parameters + forward.activations)
    both = count(sketch_of(network, shape, backward=True), settings, pictures)
    assert both.flops == 2 * first + 3 * second  # no gradient for the picture
    assert both.trained == both.parameters
    assert both.memory("sgd") == 4 * 3 * both.parameters + both.activations
    assert both.memory("adam") == 4 * 4 * both.parameters + both.activations


@pytest.mark.parametrize("times", [1, 3])
def test_the_peak_of_memory_is_what_lives_at_once(times: int):
    """Each output stays; of a pass without gradients the inner one goes when the outer one is made."""

    def network() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 5, 1), nn.Conv2d(5, 2, 1))

    cells = 4 * 6 * 6  # float32 values of a map of a batch of four
    found = count(sketch_of(network, (4, 1, 6, 6), False, times), settings, Pictures(1, 1, 1, 1))
    assert found.activations == 4 * (cells * 2 * (times - 1) + cells * (1 + 5 + 2))


def test_what_depends_on_values_is_not_counted():
    class Chooses(nn.Linear):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return super().forward(values) if values.sum() > 0 else values

    assert count(sketch_of(lambda: Chooses(2, 2), (1, 2), False), settings, Pictures(1, 1, 1, 1)) is None


def test_detections_are_counted_for_the_network_that_makes_them():
    """Mask R-CNN's inference runs the network of another step, which may have another backbone."""
    sketch = importlib.import_module("wsis_steps.maskrcnn.passes").PASSES["maskrcnn_infer"]
    small = settings("maskrcnn_train")
    wide = small.model_copy(update={"box_width": 64})
    flops = [
        count(
            sketch,
            lambda name, trained=trained: trained if name == MODEL else settings(name),
            Pictures(2, 32, 32, 1),
        ).flops
        for trained in (small, wide)
    ]
    regions, inner, classes = small.proposals_after_nms[1], 7 * 7 * small.fpn_channels, 1 + 2
    more = regions * 2 * (inner * (64 - 8) + 64 * 64 - 8 * 8 + (64 - 8) * classes * 5)
    assert flops[1] - flops[0] == more
