"""Writes proposals in published layouts: .mat files of both versions, and COCO's RLE."""

import json
from pathlib import Path

import h5py
import numpy as np
from pycocotools import mask as coco
from scipy.io import savemat

VERSIONS = ("5", "7.3")


def cell(elements: list, across: bool = False) -> np.ndarray:
    """A cell array: a column, or a row."""
    array = np.empty((1, len(elements)) if across else (len(elements), 1), dtype=object)
    for k, element in enumerate(elements):
        array[(0, k) if across else (k, 0)] = element
    return array


def write_mat(path: Path, version: str, variables: dict) -> Path:
    """Variables: arrays of numbers with two axes, texts, or cell arrays of them (`cell`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if version == "5":
        savemat(path, variables, do_compression=True)
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        references = file.create_group("#refs#")
        for name, value in variables.items():
            _put(file, name, value, references)
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 ."
    with path.open("r+b") as file:
        file.write(header.ljust(116, b" ") + bytes(8) + b"\x00\x02IM")
    return path


def _put(group: h5py.Group, name: str | None, value: np.ndarray | str, references: h5py.Group) -> h5py.Dataset:
    """Writes a value as MATLAB does: axes reversed, text as code units, a cell as references into `#refs#`, where names
    do not matter (None)."""
    if isinstance(value, str):
        value, kind = np.frombuffer(value.encode("utf-16-le"), np.uint16)[None], b"char"
    else:
        kinds = {"f": "double", "b": "logical", "O": "cell"}
        kind = kinds.get(value.dtype.kind, value.dtype.name).encode()
    parts = [_put(references, None, part, references).ref for part in value.ravel("F")] if kind == b"cell" else []
    name = name or f"r{len(references)}"
    if value.size == 0:
        data = group.create_dataset(name, data=np.array(value.shape, np.uint64))
        data.attrs["MATLAB_empty"] = np.uint8(1)
    elif kind == b"cell":
        data = group.create_dataset(name, shape=value.shape[::-1], dtype=h5py.ref_dtype)
        data[...] = np.array(parts, dtype=h5py.ref_dtype).reshape(value.shape[::-1])
    else:
        packed = {"chunks": True, "compression": "gzip"} if value.size > 99 else {}
        data = group.create_dataset(
            name, data=value.T.astype(np.uint8 if kind == b"logical" else value.dtype), **packed
        )
    if kind in (b"char", b"logical"):
        data.attrs["MATLAB_int_decode"] = np.int32(2 if kind == b"char" else 1)
    data.attrs["MATLAB_class"] = np.bytes_(kind)
    return data


def write_regions(
    path: Path, version: str, superpixels: np.ndarray, labels: list[list[int]], scores: np.ndarray, **more
) -> Path:
    """What MCG writes of an image: superpixels (h, w) from 1, the superpixels of each region, a score for each."""
    variables = {
        "superpixels": superpixels.astype(np.uint16),
        "labels": cell([np.array(part, np.float64).reshape(1, -1) for part in labels]),
        "scores": np.array(scores, np.float64).reshape(-1, 1),
    }
    return write_mat(path, version, {**variables, **more})


def write_boxes(path: Path, version: str, images: dict[str, np.ndarray]) -> Path:
    """Selective Search of a split, from boxes (n, 4) x1, y1, x2, y2 by name; x2 and y2 one past the last pixel."""
    boxes = [np.asarray(rows).reshape(-1, 4)[:, [1, 0, 3, 2]] + [1, 1, 0, 0] for rows in images.values()]
    variables = {"images": cell(list(images)), "boxes": cell([rows.astype(np.float64) for rows in boxes], across=True)}
    return write_mat(path, version, variables)


def entry(image: int | str, mask: np.ndarray, score: float, runs: bool = False, **more) -> dict:
    """A mask as an entry of a JSON list, its RLE as text or as a list of runs."""
    rle = coco.encode(np.asfortranarray(mask))
    counts = rle["counts"].decode()
    if runs:
        flat = mask.ravel(order="F")
        ends = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *ends, len(flat)]).tolist()
        counts = [0, *counts] if flat[0] else counts
    key = "image_id" if isinstance(image, int) else "file_name"
    return {key: image, "segmentation": {"size": list(mask.shape), "counts": counts}, "score": score, **more}


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
