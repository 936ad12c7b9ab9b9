"""Parts of a data set for the jobs that share the work of one step."""

import re

import numpy as np

from wsis_steps.core.errors import InputError

BLOCK = 8  # images that a step may take at once: a shard has whole blocks, so that they meet in it as in one job


def members_of_shard(count: int, shard: str) -> np.ndarray:
    """Indices int64 of the images of a shard: '1/4' is the first quarter of `count` images, in whole blocks.

    Raises:
        InputError: the text is no such fraction.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, shards = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= shards:
        raise InputError(f"--shard is '{shard}'; it should be like 1/4, from 1/4 to 4/4.")
    blocks = -(-count // BLOCK)
    return np.arange(blocks * (number - 1) // shards * BLOCK, min(blocks * number // shards * BLOCK, count))
