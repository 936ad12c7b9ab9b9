"""Chooses which samples of images of more than 8 bits become black and white: one range for the whole data set.

12-bit cameras often write 16-bit files, whose high bytes alone would be nearly black.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.deep_samples import FULL, Range
from wsis_steps.formats.pictures import read_deep

OUTLIERS = 10_000  # one in so many samples may lie beyond either end of an image's range: defective pixels
_SMALL = 8  # `auto` stretches if less than 1 / _SMALL of the full range is used
_DARK = 2  # without stretching, less than 1 / _DARK is a doubt


def find_range(setting: str, paths: Sequence[Path], mapper: Callable = map) -> tuple[Range | None, list[str]]:
    """The samples that become 0 and 255 in images of more than 8 bits (None if there are no such images), and sentences
    that explain the choice.

    setting: `auto`, `full` or `used`. mapper: `map`, or that of a process pool.
    """
    found = [ends for ends in mapper(used_range, paths) if ends is not None]
    if not found:
        return None, []
    low, high = min(low for low, _ in found), max(high for _, high in found)
    levels = high - low + 1
    stretched = low < high and (setting == "used" or setting == "auto" and levels * _SMALL < FULL[1] + 1)
    have = "One picture has" if len(found) == 1 else f"{len(found)} pictures have"
    uses = f"{have} more than 8 bits and samples from {low} to {high} out of 0 to 65535"
    if stretched:
        return (low, high), [f"{uses}; `data_import_dataset.range` makes these black and white, at `wsis predict` too."]
    if levels * _DARK < FULL[1] + 1:
        return FULL, [f"{uses}, so of little contrast; `data_import_dataset.range: used` stretches them."]
    return FULL, []


def unlike_training(found: Sequence[Range], ends: Range) -> list[str]:
    """A sentence if the `used_range` of images of more than 8 bits does not fit the range used in training."""
    if not found:
        return []
    low, high = min(low for low, _ in found), max(high for _, high in found)
    levels, part = ends[1] - ends[0] + 1, (ends[1] - ends[0] + 1) // _SMALL
    if low < ends[0] - part or high > ends[1] + part:
        what = "samples beyond are clipped"
    elif (high - low + 1) * _SMALL < levels:
        what = "they have little contrast"
    else:
        return []
    return [
        f"The model sees samples from {ends[0]} to {ends[1]}, as in training, but pictures of more than 8 bits have "
        f"{low} to {high}: {what}."
    ]


def used_range(path: Path) -> Range | None:
    """The lowest and highest sample of an image of more than 8 bits, without OUTLIERS; None for other and unreadable
    images."""
    try:
        samples = read_deep(path) if _may_be_deep(path) else None
    except InputError:  # the import reports the error
        return None
    if samples is None:
        return None
    beyond = samples.size // OUTLIERS
    places = [beyond, samples.size - 1 - beyond]
    low, high = np.partition(samples, places, axis=None)[places].tolist()
    return low, high


def _may_be_deep(path: Path) -> bool:
    """Whether an image may have more than 8 bits, judged by its first bytes, because most images have 8."""
    try:
        with path.open("rb") as file:
            head = file.read(25)
    except OSError:
        return False
    if head.startswith(b"\x89PNG"):
        return head[24:] == b"\x10"  # bits of a sample
    return head.startswith((b"II", b"MM"))
