"""Speed of finding cues: two tags of an image of 375 x 500 pixels, maps stored at half that size, one thread.

Baseline: max pooling in torch, of maps and of the ranks of their pixels, as the step used to do it; the same cues.
"""

import numpy as np
import torch
from torch.nn import functional

from bench.labels import milliseconds
from bench.rows import Row
from wsis_steps.classifier.find_peaks import peaks_of
from wsis_steps.classifier.settings import ClassifierFindPeaks

HEIGHT, WIDTH, SETTINGS = 375, 500, ClassifierFindPeaks()


def pooled_peaks(maps: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """What `peaks_of` returns, by max pooling; equal peaks in any order."""
    full = functional.interpolate(torch.from_numpy(maps)[None].float(), (HEIGHT, WIDTH), mode="bilinear")[0][:, None]
    full = functional.avg_pool2d(full, SETTINGS.smoothing, stride=1, padding=SETTINGS.smoothing // 2)
    peaks = (full == _window_maximum(full)) & (full > 0) & (full >= SETTINGS.min_value)
    ranks = torch.arange(HEIGHT * WIDTH, 0, -1, dtype=torch.float32).view(HEIGHT, WIDTH) * peaks
    peaks &= ranks == _window_maximum(ranks)
    values, places = (full * peaks).flatten(1).topk(SETTINGS.top_k, dim=1)
    row, column = (values > 0).nonzero(as_tuple=True)
    place, category = places[row, column], torch.from_numpy(categories)[row]
    return torch.stack([place % WIDTH, place // WIDTH, category, values[row, column]], dim=1).float().numpy()


def _window_maximum(maps: torch.Tensor) -> torch.Tensor:
    kernel = SETTINGS.kernel
    columns = functional.max_pool2d(maps, (kernel, 1), stride=1, padding=(kernel // 2, 0))
    return functional.max_pool2d(columns, (1, kernel), stride=1, padding=(0, kernel // 2))


def draw_maps(rng: np.random.Generator) -> np.ndarray:
    """Maps float16 (2, h, w) of half the image's size: blobs of several heights."""
    coarse = torch.from_numpy(rng.random((1, 2, 12, 16), np.float32))
    return functional.interpolate(coarse, (-(-HEIGHT // 2), WIDTH // 2), mode="bilinear")[0].half().numpy()


def _sorted(peaks: np.ndarray) -> np.ndarray:
    return peaks[np.lexsort(peaks.T)]


def measure() -> list[Row]:
    """The only row of this benchmark."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    maps, categories = draw_maps(np.random.default_rng(0)), np.array([3, 11])
    found = peaks_of(maps, categories, HEIGHT, WIDTH, SETTINGS)
    pooled = pooled_peaks(maps, categories)
    assert len(found) > 9 and np.array_equal(_sorted(found), _sorted(pooled)), "the cues differ from those of pooling"
    ours = milliseconds(lambda: peaks_of(maps, categories, HEIGHT, WIDTH, SETTINGS), 15)
    theirs = milliseconds(lambda: pooled_peaks(maps, categories), 15)
    torch.set_num_threads(threads)
    return [Row(f"cues, {HEIGHT} x {WIDTH}, 2 tags", ours, "ms", "max pooling", theirs, 0.1, of_ratio=True)]
