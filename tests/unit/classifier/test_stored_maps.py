"""Cues of the maps as they are stored, against those of maps that nobody stored."""

from pathlib import Path

import numpy as np
import torch
import yaml
from torch.nn import functional

from wsis_steps.classifier.find_peaks import peaks_of
from wsis_steps.classifier.peaks import find_peaks
from wsis_steps.classifier.settings import ClassifierFindPeaks, ClassifierInfer

PRESET = Path(__file__).parents[3] / "workflow/presets/voc2012.yaml"
SIZES = ((375, 500), (500, 334), (333, 500), (442, 500))


def raw_map(rng: np.random.Generator) -> torch.Tensor:
    """A map of VGG-16 at 321 px, float32 (1, 1, 41, 41): objects with ragged tops on a ragged ground."""
    y, x = np.mgrid[:41, :41]
    values = rng.normal(0, 0.1, (41, 41))
    for _ in range(rng.integers(1, 9)):
        row, column, width = *rng.uniform(0, 41, 2), rng.uniform(1, 4)
        values += rng.uniform(0.5, 1) * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))
    return torch.from_numpy(values.astype(np.float32))[None, None].relu()


def resize(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(maps, size, mode="bilinear")


def cues(stride: int, settings: ClassifierFindPeaks) -> tuple[int, int]:
    """How many cues there are in maps made at the picture's size, as the release makes them, and in stored ones."""
    rng, straight, stored = np.random.default_rng(0), 0, 0
    for height, width in SIZES * 4:
        raw = raw_map(rng)
        full = resize(raw, (height, width))
        straight += len(find_peaks((full / full.max())[0, 0].numpy(), settings))
        seen = resize(raw, (321, 321))
        small = resize(seen / seen.max(), (-(-height // stride), -(-width // stride)))[0].half().numpy()
        stored += len(peaks_of(small, np.array([0]), height, width, settings))
    return straight, stored


def test_the_preset_stores_maps_fine_enough_for_its_cues():
    steps = yaml.safe_load(PRESET.read_text())["steps"]
    settings = ClassifierFindPeaks(**steps["classifier_find_peaks"])
    straight, stored = cues(ClassifierInfer(**steps["classifier_infer"]).stride, settings)
    assert straight > 100 and 0.93 <= stored / straight <= 1.02
    straight, coarse = cues(4, settings)
    assert coarse < 0.93 * straight  # what coarse maps cost, so that the test above sees it
