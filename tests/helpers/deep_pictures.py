"""Images of more than 8 bits, in the ways that cameras and tools write them."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

ORIENTATION = 274


def write_tiff(
    path: Path, samples: np.ndarray, photometric: int, planes: int = 1, alpha: int | None = None, turn: int = 1
) -> Path:
    """Writes uint16 (h, w, c) without compression. photometric: 1 gray, 2 RGB, 5 CMYK; planes: 2 for separate channels;
    alpha: 1 for premultiplied colors, 2 otherwise; turn: EXIF orientation."""
    height, width, channels = samples.shape
    parts = [samples] if planes == 1 else [samples[..., k] for k in range(channels)]
    strips = [part.astype("<u2").tobytes() for part in parts]
    start = 1024
    places = [start + sum(map(len, strips[:k])) for k in range(len(strips))]
    entries = {
        256: ("I", [width]), 257: ("I", [height]), 258: ("H", [16] * channels), 259: ("H", [1]),
        262: ("H", [photometric]), 273: ("I", places), ORIENTATION: ("H", [turn]), 277: ("H", [channels]),
        278: ("I", [height]), 279: ("I", list(map(len, strips))), 284: ("H", [planes]),
        **({} if alpha is None else {338: ("H", [alpha])}),
    }  # fmt: skip
    table, beyond = struct.pack("<H", len(entries)), b""
    free = 8 + 2 + 12 * len(entries) + 4
    for tag, (kind, values) in sorted(entries.items()):
        packed = struct.pack(f"<{len(values)}{kind}", *values)
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place, beyond = struct.pack("<I", free + len(beyond)), beyond + packed
        table += struct.pack("<HHI", tag, 3 if kind == "H" else 4, len(values)) + place
    head = b"II*\0" + struct.pack("<I", 8) + table + bytes(4) + beyond
    path.write_bytes(head.ljust(start, b"\0") + b"".join(strips))
    return path


def write_png(path: Path, samples: np.ndarray, turn: int = 1) -> Path:
    """uint16 (h, w, c) of gray, gray with alpha, RGB or RGBA."""
    height, width, channels = samples.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0),
        b"eXIf": exif.tobytes().removeprefix(b"Exif\0\0"),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    parts = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks.items()]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path
