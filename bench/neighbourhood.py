"""Speed of the neighbourhood distribution of class probabilities: 56 x 56 pixels, 21 classes, batch 20.

Both kernels are summed over all pixels, weighted and exponentiated. Baseline: pydensecrf, which approximates the same
on a lattice; its result must be near. It uses one thread, so the figures are for one thread unless stated otherwise.
Its time depends on the images: short for smooth colors, as in photographs, and several times as long for noise.
"""

import time
from collections.abc import Callable, Iterable

import cv2
import numpy as np
import torch
from pydensecrf.densecrf import DIAG_KERNEL, NORMALIZE_AFTER, DenseCRF2D

from bench.labels import milliseconds
from bench.rows import Row
from wsis_steps.learning_to_segment.neighbourhood import Neighbourhood
from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain

SIDE, CLASSES, BATCH = 56, 21, 20
NEAR = 0.02  # mean difference of probabilities; the lattice is that coarse for kernels narrower than a pixel


def waves(rng: np.random.Generator, channels: int, side: int) -> np.ndarray:
    """Noise (side, side, channels) of variance near 1, of which each scale has a quarter of the next larger one's
    power."""
    total = np.zeros((side, side, channels), np.float32)
    for octave in range(6):
        grid = rng.normal(0, 0.5**octave, (2 ** (octave + 1), 2 ** (octave + 1), channels)).astype(np.float32)
        total += cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC).reshape(total.shape)
    return total


def draw_picture(rng: np.random.Generator, side: int = SIDE) -> np.ndarray:
    """uint8 (side, side, 3): much change of brightness, little of color."""
    return (128 + 55 * waves(rng, 1, side) + 12 * waves(rng, 3, side)).clip(0, 255).astype(np.uint8)


class Lattice:
    """The kernels of a picture in pydensecrf, with the defaults of `Neighbourhood`."""

    def __init__(self, picture: np.ndarray) -> None:
        self.field = DenseCRF2D(SIDE, SIDE, CLASSES)
        self.field.setUnaryEnergy(np.zeros((CLASSES, SIDE * SIDE), np.float32))
        common = {"kernel": DIAG_KERNEL, "normalization": NORMALIZE_AFTER}
        self.field.addPairwiseGaussian(sxy=0.75, compat=3, **common)
        self.field.addPairwiseBilateral(sxy=20, srgb=13, rgbim=picture, compat=10, **common)

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """One update from float32 (classes, side, side), as large."""
        state = self.field.startInference()
        np.asarray(state[0])[:] = probabilities.reshape(CLASSES, -1)
        self.field.stepInference(*state)
        return np.array(state[0]).reshape(probabilities.shape)


def build(drawn: list[np.ndarray], exclude_self: bool = True) -> Neighbourhood:
    """The neighbourhood of pictures (side, side, 3)."""
    pictures = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2)
    return Neighbourhood(pictures, None, LearningToSegmentTrain(exclude_self=exclude_self))


def filtered(lattices: Iterable[Lattice], probabilities: torch.Tensor) -> np.ndarray:
    """pydensecrf's results of a batch, image by image."""
    return np.stack([lattice.apply(p) for lattice, p in zip(lattices, probabilities.numpy(), strict=True)])


def wall_milliseconds(call: Callable[[], object], repeats: int = 7) -> float:
    """Shortest wall-clock time of a call, for calls with several threads."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1e3 * min(times)


def measure() -> list[Row]:
    """All rows of this benchmark."""
    threads = torch.get_num_threads()
    rng = np.random.default_rng(0)
    smooth = [draw_picture(rng) for _ in range(BATCH)]
    noise = list(rng.integers(0, 256, (BATCH, SIDE, SIDE, 3), dtype=np.uint8))
    given = torch.randn(BATCH, CLASSES, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).mul(3).softmax(dim=1)
    kept, kept_lattices = build(smooth), [Lattice(picture) for picture in smooth]
    difference = build(smooth, exclude_self=False).log_distribution(given).exp() - filtered(kept_lattices, given)
    assert difference.abs().mean() < NEAR, "the exact kernel differs from the lattice"
    calls = {
        "smooth": (lambda: build(smooth).log_distribution(given), lambda: filtered(map(Lattice, smooth), given)),
        "noise": (lambda: build(noise).log_distribution(given), lambda: filtered(map(Lattice, noise), given)),
        "smooth, kernels kept": (lambda: kept.log_distribution(given), lambda: filtered(kept_lattices, given)),
    }
    what = f"neighbourhood, {BATCH} images"
    torch.set_num_threads(1)
    rows = [
        Row(f"{what}, {name}", milliseconds(ours), "ms", "pydensecrf", milliseconds(theirs), 1, of_ratio=True)
        for name, (ours, theirs) in calls.items()
    ]
    torch.set_num_threads(threads)
    ours, theirs = map(wall_milliseconds, calls["smooth"])
    return [*rows, Row(f"{what}, {threads} threads", ours, "ms", "pydensecrf, 1 thread", theirs, 1, of_ratio=True)]
