"""COCO's compressed run-length codes of masks, read without a library: libraries may crash or hang on other bytes.

A run is a piece of equal pixels, so only the first, of zeros, may be empty. pycocotools writes no other empty runs;
given some, it decodes the mask but computes a wrong box.
"""

import math
from typing import NamedTuple

import numpy as np

_LONGEST = 7  # digits of a number, enough for the difference of two 32-bit lengths
_MOST_PIXELS = 1 << 32  # libraries store the length of a run in 32 bits


def run_bounds(rle: dict) -> tuple[np.ndarray, np.ndarray]:
    """Where the runs of ones of a compressed COCO RLE begin and end: int64 (n,) each, in column-major pixels. Raises
    `ValueError` for bytes that are not the runs of a mask of that size."""
    starts, ends, _ = bounds_of_runs([rle])
    return starts, ends


def bounds_of_runs(rles: list[dict]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`run_bounds` of several masks (n >= 1) at once: starts, ends, and the index of the mask of each run.

    Decoding only the runs saves writing 300 kB of pixels for each of COCO's 860,000 masks.
    """
    codes = [rle["counts"] for rle in rles]
    pixels = np.array([rle["size"][0] * rle["size"][1] for rle in rles], dtype=np.int64)
    lengths = np.array([len(code) for code in codes])
    runs = _read_runs(np.frombuffer(b"".join(codes), np.uint8), lengths, pixels)
    ends = np.flatnonzero(runs.odd)
    return runs.bounds[ends - 1], runs.bounds[ends], runs.owner[ends]


def run_lengths(rle: dict) -> list[int]:
    """The lengths of all runs of a compressed COCO RLE, which may be empty; raises as `run_bounds`."""
    code = rle["counts"]
    runs = _read_runs(np.frombuffer(code, np.uint8), np.array([len(code)]), np.array([math.prod(rle["size"])]))
    return np.diff(runs.bounds, prepend=0).tolist()


def without_empty(runs: list[int]) -> list[int]:
    """The same mask without empty runs but the first: the runs beside an empty one become one."""
    found: list[int] = []
    for place, run in enumerate(runs):
        if found and run and len(found) % 2 != place % 2:
            found[-1] += run
        elif run or not place:
            found.append(run)
    return found


def find_bad_code(data: np.ndarray, offsets: np.ndarray, pixels: np.ndarray) -> int | None:
    """The first of several codes that is not a valid mask, None if all are; valid ones are safe to give to a library.

    data: uint8, the codes one after the other; offsets: int64 (n + 1,), rising, where each begins and the last ends;
    pixels: int64 (n,), the number of pixels of each code's image.
    """
    if not len(pixels) or _is_good(data, offsets, pixels):
        return None
    each = (slice(k, k + 1) for k in range(len(pixels)))
    return next(
        one.start
        for one in each
        if not _is_good(data[offsets[one.start] : offsets[one.stop]], offsets[one.start : one.stop + 1], pixels[one])
    )


def _is_good(data: np.ndarray, offsets: np.ndarray, pixels: np.ndarray) -> bool:
    try:
        runs = _read_runs(data, np.diff(offsets), pixels)
    except ValueError:
        return False
    follows = np.diff(runs.owner) == 0  # the run is not the first of its code
    return bool((np.diff(runs.bounds)[follows] > 0).all())


class _Runs(NamedTuple):
    """Runs of several codes, one after another: where each ends, whether it is of ones, and its code."""

    bounds: np.ndarray
    odd: np.ndarray
    owner: np.ndarray


def _read_runs(data: np.ndarray, lengths: np.ndarray, pixels: np.ndarray) -> _Runs:
    """The runs of several codes. From the fourth number of a code on, each is the difference to the number two before
    (the format of cocoapi's maskApi). Raises ValueError if a run is negative or a code's runs do not fill its image."""
    numbers, first, owner = _numbers(data, lengths)
    if pixels.max() >= _MOST_PIXELS:
        raise ValueError("its image is too large for run lengths of 32 bits")
    place = np.arange(len(numbers)) - first[owner]
    odd, head = (place & 1).astype(bool), numbers[first]
    numbers[first] = 0  # the first number of a code is in no sum
    runs = np.where(odd, _sums(np.where(odd, numbers, 0), first, owner), _sums(np.where(odd, 0, numbers), first, owner))
    runs[first] = head
    if runs.min() < 0 or (runs > pixels[owner]).any():  # checked before sums could overflow
        raise ValueError("its runs do not fit its size")
    bounds = _sums(runs, first, owner)
    last = np.append(first[1:], len(numbers)) - 1
    if (bounds[last] != pixels).any():  # too few would leave pixels unset
        raise ValueError("its runs do not fit its size")
    return _Runs(bounds, odd, owner)


def _numbers(data: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers of several codes, one after another; the index of the first of each code; the code of each number.

    The bytes are base-32 digits, least significant first, offset by 48. Bit 5 says that the number continues; bit 4 of
    its last digit is its sign.
    """
    digits = data - np.uint8(48)  # bytes below 48 wrap to values above 63
    stops = np.flatnonzero((digits & 32) == 0)  # the last digit of each number
    code_ends = np.cumsum(lengths)
    if lengths.min() == 0 or digits.max() > 63 or (digits[code_ends - 1] & 32).any():
        raise ValueError("its counts are not a compressed RLE")
    starts = np.append(0, stops[:-1] + 1)
    sizes = stops - starts + 1
    if sizes.max() > _LONGEST:
        raise ValueError("its counts are not a compressed RLE")
    numbers = np.zeros(len(starts), np.int64)
    for place in range(sizes.max()):
        long = np.flatnonzero(sizes > place)
        numbers[long] += (digits[starts[long] + place] & 31).astype(np.int64) << (5 * place)
    numbers -= np.where(digits[stops] & 16, 1 << (5 * sizes), 0)
    first = np.searchsorted(starts, code_ends - lengths)
    return numbers, first, np.repeat(np.arange(len(lengths)), np.diff(first, append=len(numbers)))


def _sums(values: np.ndarray, first: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """The cumulative sums of the values of each code; first: the place of the first value of each code."""
    total = np.cumsum(values)
    return total - (total[first] - values[first])[owner]
