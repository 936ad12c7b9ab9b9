"""What becomes of the class probabilities of a network before they are made labels."""

from collections.abc import Iterator

import numpy as np
import torch

from wsis_steps.core.dense_crf import DenseField
from wsis_steps.core.images import Pictures
from wsis_steps.core.pool import fork_map
from wsis_steps.settings.base import DenseCrf

LEAST = 1e-12  # where all that the tags allow has underflowed to 0, the first class of all, background, is left


def limit_to_tags(probability: torch.Tensor, tags: torch.Tensor, background_weight: float) -> torch.Tensor:
    """Class probabilities (1 + C, h, w) given the tags bool (C,): other classes 0, the background weighted."""
    factors = torch.cat([tags.new_full((1,), background_weight, dtype=torch.float32), tags.float()])
    weighted = probability * factors[:, None, None]
    return weighted / weighted.sum(dim=0).clamp(min=LEAST)


def refine_ahead(
    pictures: Pictures, outputs: Iterator[tuple[int, torch.Tensor]], settings: DenseCrf, processes: int
) -> Iterator[torch.Tensor]:
    """The probabilities after a dense CRF over the classes that are likeliest somewhere, in order, on the CPU.

    outputs: image index and class probabilities (1 + C, h, w) at the picture's size. With no iteration they pass
    as they are. Processes refine a few pictures ahead of the reader; they run no torch, which a fork could lock.
    """
    if not settings.crf_iterations:
        yield from (probability for _, probability in outputs)
        return

    def refine(item: tuple[int, np.ndarray]) -> np.ndarray:
        i, probability = item
        present = np.unique(probability.argmax(axis=0))
        if len(present) == 1:
            return probability
        part = probability[present] / probability[present].sum(axis=0).clip(LEAST)
        refined = np.zeros_like(probability)
        refined[present] = DenseField(pictures.read(i), len(present), settings).refine_probabilities(part)
        return refined

    items = ((i, probability.cpu().numpy()) for i, probability in outputs)
    yield from map(torch.from_numpy, fork_map(refine, items, processes, chunk=1))
