"""Encodes and decodes the brush masks of Label Studio.

The code is the run-length code of the package rle-pack over the four channels of an image. Only the last channel, the
opacity, matters. The header has 32 bits (number of values), 5 bits (bits per value - 1) and four times 4 bits (bits of
the four length sizes - 1). Each run then has 1 bit (1: one value repeated, 0: single values), 2 bits (which length
size), the length - 1, and the value or values.
"""

import numpy as np

from wsis_steps.formats.rings import shown

_SIZES = np.array([3, 4, 8, 16])  # bits of the lengths that we write
_CHANNELS = 4
_LONGEST = 1 << 16


def decode_brush(code: object, height: int, width: int) -> np.ndarray:
    """The binary mask uint8 (height, width) of a code, a list of bytes. Raises ValueError if it does not fit the
    image."""
    if not isinstance(code, list) or not all(type(byte) is int and 0 <= byte < 256 for byte in code):
        raise ValueError(f"its brush mask is {shown(code)}, not a list of bytes")
    bits = np.unpackbits(np.array(code, np.uint8))
    text = bits.tobytes().translate(bytes([48, 49]) + bytes(254)).decode("ascii")
    count, size = int(text[:32] or "0", 2), int(text[32:37] or "0", 2) + 1
    lengths = [int(text[37 + 4 * k : 41 + 4 * k] or "0", 2) + 1 for k in range(4)]
    if count != _CHANNELS * height * width or size > 8:
        raise ValueError(f"its brush mask has {count} values, but the picture is {width}x{height}")
    values, done, at = np.zeros(count, np.uint8), 0, 53
    while done < count:
        length = lengths[int(text[at + 1 : at + 3] or "0", 2)]
        repeated, end = text[at : at + 1] == "1", done + 1 + int(text[at + 3 : at + 3 + length] or "0", 2)
        at += 3 + length
        number = 1 if repeated else end - done
        words = bits[at : at + number * size].reshape(-1, size) if at + number * size <= len(bits) else None
        if words is None or end > count:
            raise ValueError("its brush mask breaks off")
        values[done:end] = words @ (1 << np.arange(size)[::-1])
        done, at = end, at + number * size
    return (values.reshape(height, width, _CHANNELS)[..., 3] > 0).astype(np.uint8)


def encode_brush(mask: np.ndarray) -> list[int]:
    """The code of a binary mask (h, w) as bytes; all four channels are 255 inside and 0 outside."""
    flat = mask.reshape(-1) > 0
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    lengths = _CHANNELS * np.diff(starts, append=len(flat))
    pieces = -(-lengths // _LONGEST)  # longer runs are split
    values = np.repeat(flat[starts], pieces)
    last = np.cumsum(pieces) - 1
    sizes = np.full(pieces.sum(), _LONGEST)
    sizes[last] = lengths - (pieces - 1) * _LONGEST
    which = np.searchsorted(1 << _SIZES, sizes)
    bits = _SIZES[which]
    codes = (((4 + which) << bits | (sizes - 1)) << 8) | np.where(values, 255, 0)
    widths = 3 + bits + 8
    ends = np.cumsum(widths)
    shift = np.repeat(ends, widths) - 1 - np.arange(ends[-1])
    stream = (np.repeat(codes, widths) >> shift) & 1
    header = f"{_CHANNELS * len(flat):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in _SIZES)
    return np.packbits(np.concatenate([np.array(list(header), np.uint8), stream.astype(np.uint8)])).tolist()
