"""Images as tensors: single ones, and batches of the same or of different sizes."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from wsis_steps.vision.images import Pictures


def to_tensor(picture: np.ndarray) -> torch.Tensor:
    """uint8 (3, h, w) tensor of an RGB image (h, w, 3)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def at_once(picture: torch.Tensor, batch: int, pixels: int | None) -> int:
    """Number of images (3, h, w) like this one in a batch: `batch`, halved until they have at most `pixels` together;
    at least one."""
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
    """Yields (image indices, stack of their prepared images) in order, decoding in threads ahead of the reader.

    A batch holds up to `batch` consecutive images whose prepared images have the same shape, halved until they have at
    most `pixels` together or one is left. Batches start at fixed image counts, so they are the same when several jobs
    share the images.
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
    """Indices of the images (3, h, w), grouped by height and width, in the order of the first of each group."""
    groups: dict[torch.Size, list[int]] = {}
    for place, picture in enumerate(pictures):
        groups.setdefault(picture.shape, []).append(place)
    return list(groups.values())


def stack_pictures(pictures: list[torch.Tensor], normalize: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Normalized images (B, 3, H, W) from uint8 images (3, h, w), padded at the right and bottom with the mean color to
    the largest height and width."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (1, 2))
    stacked = torch.zeros(len(pictures), 3, height, width, device=pictures[0].device)
    for place, picture in zip(stacked, pictures, strict=True):
        place[:, : picture.shape[1], : picture.shape[2]] = normalize(picture[None])[0]
    return stacked
