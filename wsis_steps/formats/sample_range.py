"""Which samples of pictures of more than 8 bits become black and white: one range for all pictures of a data set.

Cameras of 12 bits often write files of 16, of which the high bytes alone would be nearly black.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.deep_samples import FULL, Range
from wsis_steps.formats.pictures import read_deep

OUTLIERS = 10_000  # one sample of so many may lie beyond either end of a picture's range: pixels that are defective
_SMALL = 8  # `auto` stretches where less than this part of the full range is used,
_DARK = 2  # and where it does not, less than this part is doubted


def find_range(setting: str, paths: Sequence[Path], mapper: Callable = map) -> tuple[Range | None, list[str]]:
    """The lowest and the highest sample that become 0 and 255 in the pictures of more than 8 bits, None where there is
    no such picture; and sentences on what may surprise.

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
    """Sentences on pictures of more than 8 bits whose `used_range` is not that with which a model was trained."""
    if not found:
        return []
    low, high = min(low for low, _ in found), max(high for _, high in found)
    levels, part = ends[1] - ends[0] + 1, (ends[1] - ends[0] + 1) // _SMALL
    if low < ends[0] - part or high > ends[1] + part:
        what = "beyond it is cut"
    elif (high - low + 1) * _SMALL < levels:
        what = "they are of little contrast"
    else:
        return []
    return [
        f"The model sees samples from {ends[0]} to {ends[1]}, as in training, but pictures of more than 8 bits have "
        f"{low} to {high}: {what}."
    ]


def used_range(path: Path) -> Range | None:
    """The lowest and highest sample of a picture of more than 8 bits, but for OUTLIERS; None of others, and of what
    cannot be read."""
    try:
        samples = read_deep(path) if _may_be_deep(path) else None
    except InputError:  # whoever imports the picture tells what is wrong with it
        return None
    if samples is None:
        return None
    beyond = samples.size // OUTLIERS
    places = [beyond, samples.size - 1 - beyond]
    low, high = np.partition(samples, places, axis=None)[places].tolist()
    return low, high


def _may_be_deep(path: Path) -> bool:
    """Judged by the first bytes, since most pictures of most data sets have 8 bits."""
    try:
        with path.open("rb") as file:
            head = file.read(25)
    except OSError:
        return False
    if head.startswith(b"\x89PNG"):
        return head[24:] == b"\x10"  # bits of a sample
    return head.startswith((b"II", b"MM"))
