"""Text lists of image ids and of image labels, and IRN's label file `cls_labels.npy`."""

import codecs
import io
import pickle
from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import Hints, InputError
from wsis_steps.engine.problems import Problems
from wsis_steps.formats.files import read_bytes, read_text
from wsis_steps.formats.picture_names import bare, parts_of
from wsis_steps.formats.subsets import is_subset, split_of

# What a pickled dict of NumPy arrays is made of; NumPy 2 moved its core.
_LABEL_FILE_PARTS = {
    (f"numpy.{core}.multiarray", name): getattr(np._core.multiarray, name)
    for core in ("core", "_core")
    for name in ("_reconstruct", "scalar")
} | {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): codecs.encode}


class _LabelFileReader(pickle.Unpickler):
    """Reads the one pickle file in common use; it refuses everything but arrays, so it runs no other code."""

    def find_class(self, module: str, name: str):
        if (module, name) not in _LABEL_FILE_PARTS:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, not only arrays")
        return _LABEL_FILE_PARTS[module, name]


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The non-empty lines of a text file, stripped, with their 1-based numbers. Raises `InputError`."""
    return [(n, line.strip()) for n, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]


def _image_id(token: str) -> str:
    """The id that a word of a list means: 2007_000032 for itself and for /JPEGImages/2007_000032.jpg."""
    return bare((parts_of(token) or (token,))[-1])


def read_ids(path: Path, problems: Problems, known: Container[str] = ()) -> list[tuple[str, str]]:
    """The (id, 'file:line') pairs of a list: the first word of each line, or the whole line if it is a known id. Notes
    repeats and an empty list."""
    rows, first = [], {}
    for number, line in read_lines(path):
        name = _image_id(line)
        name = name if name in known else _image_id(line.split()[0])
        if name in first:
            problems.add(f"{path}:{number}: id '{name}' is also in line {first[name]}.")
            continue
        first[name] = number
        rows.append((name, f"{path}:{number}"))
    if not rows:
        problems.add(f"{path} lists no image.")
    return rows


def read_subsets(folder: Path) -> Iterator[tuple[str, str | None, str]]:
    """Name (with folders, without suffix), split and 'file:line' of each line of the subset lists that CVAT and
    Datumaro write beside VOC's folders. An image may be in several lists. Lists of classes in Main are skipped."""
    segmented = sorted((folder / "ImageSets/Segmentation").glob("*.txt"))
    others = [path for path in sorted((folder / "ImageSets/Main").glob("*.txt")) if is_subset(path.stem)]
    for path in (path for path in (*segmented, *others) if not path.name.startswith(".")):
        for number, line in read_lines(path):
            yield "/".join(parts_of(bare(line))), split_of(path.stem), f"{path}:{number}"


def augmented_ids(voc_lists: Path, sbd_dataset: Path) -> list[str]:
    """The ids of trainaug, sorted: VOC's train and all of SBD, without VOC's val; 10,582 with the official lists.

    voc_lists: VOC 2012's ImageSets/Segmentation; sbd_dataset: SBD's folder with train.txt and val.txt. Raises
    `InputError` for a list that is missing, empty or holds an id twice.
    """
    problems = Problems()
    train, val, *sbd = (
        {name for name, _ in read_ids(folder / f"{split}.txt", problems)}
        for folder in (voc_lists, sbd_dataset)
        for split in ("train", "val")
    )
    problems.raise_any("trainaug")
    return sorted(train.union(*sbd) - val)


def _read_label_array(path: Path) -> dict[str, list[int]]:
    """id -> 0-based categories, from a NumPy file with one dict of id -> 0/1 vector (IRN's cls_labels.npy)."""
    content = io.BytesIO(read_bytes(path))
    try:
        version = np.lib.format.read_magic(content)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
        shape, _, dtype = read_header(content)
        if shape != () or not dtype.hasobject:
            raise ValueError(f"it holds an array of shape {shape}")
        labels = _LabelFileReader(content).load().item()
        # IRN writes 2007_000032 as the number 2007000032.
        names = {k: k if isinstance(k, str) else f"{int(k) // 10**6}_{int(k) % 10**6:06d}" for k in labels}
        return {names[k]: np.flatnonzero(vector).tolist() for k, vector in labels.items()}
    except (OSError, ValueError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} is not a label file, one dict of id -> 0/1 vector: {error}.") from None


def read_labels(path: Path, class_names: list[str], problems: Problems) -> dict[str, tuple[int, ...]]:
    """Image labels: id -> sorted 0-based categories.

    `path` is a text list with one line `id class class ...` per image, where a class is a name or a 0-based index
    (BESTIE's train_cls.txt), or IRN's cls_labels.npy. Unknown classes and repeated ids are noted in `problems`; an
    unreadable file raises `InputError`.
    """
    if path.suffix == ".npy":
        labels = {name: (str(path), categories) for name, categories in _read_label_array(path).items()}
    else:
        labels, hints, places = {}, Hints(), {name: k for k, name in enumerate(class_names)}
        for number, line in read_lines(path):
            token, *classes = line.split()
            name, where = _image_id(token), f"{path}:{number}"
            if name in labels:
                problems.add(f"{where}: id '{name}' is also in {labels[name][0]}.")
                continue
            for unknown in (c for c in classes if not c.isdecimal() and c not in places):
                problems.add(f"{where}: there is no class '{unknown}'; {hints.nearest(unknown, class_names)}")
            labels[name] = (
                where,
                [int(c) if c.isdecimal() else places[c] for c in classes if c.isdecimal() or c in places],
            )
    for where, categories in labels.values():
        if categories and max(categories) >= len(class_names):
            problems.add(f"{where}: class {max(categories)} is not one of 0..{len(class_names) - 1}.")
    return {name: tuple(sorted(set(categories))) for name, (_, categories) in labels.items()}
