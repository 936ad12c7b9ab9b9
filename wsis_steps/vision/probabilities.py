"""Processing of a network's class probabilities before they become labels."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import torch

from wsis_steps.engine.pool import fork_map
from wsis_steps.vision.dense_crf import DenseField
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.settings import DenseCrf

LEAST = 1e-12  # avoids division by zero in pixels where all allowed classes underflowed to 0


def limit_to_tags(probability: torch.Tensor, tags: torch.Tensor, background_weight: float) -> torch.Tensor:
    """Class probabilities (1 + C, h, w) given the tags bool (C,): 0 for other classes, background weighted.

    They no longer sum to 1, so that scores computed from them remain the network's own.
    """
    factors = torch.cat([tags.new_full((1,), background_weight, dtype=torch.float32), tags.float()])
    return probability * factors[:, None, None]


def refine_ahead(
    pictures: Pictures, outputs: Iterator[tuple[int, torch.Tensor]], settings: DenseCrf, processes: int
) -> Iterator[torch.Tensor]:
    """Class probabilities after a dense CRF over the classes that are the most likely ones somewhere, in order.

    outputs: image index and class probabilities (1 + C, h, w) at image size, in any scale. Without iterations, or with
    only one class, they pass unchanged. Processes refine a few images ahead of the reader; they run no torch, which
    could deadlock after a fork.
    """
    if not settings.crf_iterations:
        yield from (probability for _, probability in outputs)
        return
    waiting: deque[tuple[torch.Tensor, torch.Tensor]] = deque()

    def parts() -> Iterator[tuple[int, np.ndarray]]:
        for i, probability in outputs:
            present = probability.max(dim=0).indices.unique()
            waiting.append((present, probability if len(present) == 1 else torch.zeros_like(probability)))
            yield i, probability[present].cpu().numpy()

    def refine(item: tuple[int, np.ndarray]) -> np.ndarray:
        i, part = item
        if len(part) == 1:
            return part
        field = DenseField(pictures.read(i), len(part), settings)
        return field.refine_probabilities(part / part.sum(axis=0).clip(LEAST))

    for part in fork_map(refine, parts(), processes, chunk=1, ahead=processes + 2):
        present, refined = waiting.popleft()
        if len(present) > 1:  # with one class, it is the network's own tensor, which must not be changed
            refined[present] = torch.from_numpy(part).to(refined.device)
        yield refined
