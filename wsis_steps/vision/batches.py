"""Pictures as tensors: one, several of a size, several of many sizes."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from wsis_steps.vision.images import Pictures


def to_tensor(picture: np.ndarray) -> torch.Tensor:
    """uint8 (3, h, w) tensor of an RGB picture (h, w, 3)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def at_once(picture: torch.Tensor, batch: int, pixels: int | None) -> int:
    """How many pictures (3, h, w) like this one a batch takes: `batch`, or half, a quarter ... where that is more than
    `pixels`; at least one."""
    each = picture.shape[-2] * picture.shape[-1]
    while batch > 1 and pixels is not None and batch * each > pixels:
        batch //= 2
    return batch


def read_ahead(
    pictures: Pictures,
    members: Iterable[int],
    prepare: Callable[[np.ndarray], torch.Tensor],
    threads: int,
    batch: int,
    pixels: int | None = None,
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Yields (image indices, their prepared pictures stacked) in order, decoding in threads ahead of the reader.

    A batch holds up to `batch` neighbours whose prepared pictures have the same shape, halved until they have no more
    than `pixels` together or one is left; every so many begin a new one, so that pictures meet as they would in one
    job where several share them.
    """
    indices: list[int] = []
    stack: list[torch.Tensor] = []
    with ThreadPoolExecutor(max(threads - 1, 1)) as pool:
        waiting, taken, many = deque(), 0, batch
        todo = iter(members)
        for i in itertools.chain(todo, [None]):
            if i is not None:
                waiting.append((int(i), pool.submit(lambda i=i: prepare(pictures.read(i)))))
            while waiting and (i is None or len(waiting) > 2 * many):
                index, future = waiting.popleft()
                picture = future.result()
                many = at_once(picture, batch, pixels)
                if stack and (taken % many == 0 or picture.shape != stack[0].shape):
                    yield indices, torch.stack(stack)
                    indices, stack = [], []
                taken += 1
                indices.append(index)
                stack.append(picture)
    if stack:
        yield indices, torch.stack(stack)


def same_sizes(pictures: list[torch.Tensor]) -> list[list[int]]:
    """Places of the pictures (3, h, w) in groups of the same height and width, in the order of their first."""
    groups: dict[torch.Size, list[int]] = {}
    for place, picture in enumerate(pictures):
        groups.setdefault(picture.shape, []).append(place)
    return list(groups.values())


def stack_pictures(pictures: list[torch.Tensor], normalize: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Normalized pictures (B, 3, H, W) of uint8 pictures (3, h, w), at the top left of the largest height and width;
    the mean color around them."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (1, 2))
    stacked = torch.zeros(len(pictures), 3, height, width, device=pictures[0].device)
    for place, picture in zip(stacked, pictures, strict=True):
        place[:, : picture.shape[1], : picture.shape[2]] = normalize(picture[None])[0]
    return stacked
