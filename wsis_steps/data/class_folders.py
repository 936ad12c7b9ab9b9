"""Imports pictures that lie in a folder a class, as ImageNet's training images do: one tag a picture, no masks.

root/<folder>/*.JPEG   pictures, also in subfolders
class_map              a CSV file `folder,class`: several folders may be one class, those it leaves out are not read;
                       without one, every folder is a class of its name

Evaluation images are those of a VOC tree, with their masks and the same classes, or a share of the pictures.
"""

from collections.abc import Callable
from pathlib import Path

from wsis_steps.data.archives import missing_message
from wsis_steps.data.pictures import SUFFIXES
from wsis_steps.data.records import Dataset, ImageRecord, check_ids, divide, no_truth
from wsis_steps.data.tables import note_alike, read_table
from wsis_steps.data.voc import read_voc
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.problems import Problems


def _read_class_map(root: Path, path: Path | None, problems: Problems) -> dict[str, str]:
    """Folder -> class, in the order of the file; folders that do not exist are noted."""
    there = sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    if path is None:
        return {name: name for name in there}
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    for where, cells in read_table(path, ("folder", "class"), 2, problems):
        folder, name = cells["folder"], cells["class"]
        if not name:
            problems.add(f"{where} gives folder '{folder}' no class.")
        elif folder not in there:
            problems.add(f"{where}: there is no folder '{folder}' in {root}; {nearest(folder, there)}")
        elif folder in found:
            problems.add(f"{where} gives folder '{folder}' a second class.")
        else:
            found[folder] = name
            first.setdefault(name, where)
    note_alike(first, problems)
    return found


def _find_pictures(root: Path, classes: dict[str, str], problems: Problems) -> list[tuple[Path, str]]:
    """Pictures with their classes, in the order of their paths; folders without any are noted."""
    found = []
    for folder, name in classes.items():
        pictures = sorted(path for path in (root / folder).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not pictures:
            problems.add(f"{root / folder} holds no picture.")
        found += [(path, name) for path in pictures]
    return sorted(found)


def _read_val(root: Path, val_list: str, class_names: list[str], truth: tuple[str, ...], mapper: Callable) -> Dataset:
    """The evaluation images of a VOC tree; InputError names the classes that the folders lack."""
    try:
        return read_voc(root, None, val_list, class_names=class_names, truth=truth, mapper=mapper)
    except InputError:
        there = read_voc(root, None, val_list, truth=(), mapper=mapper).class_names
        if lacking := sorted(set(there) - set(class_names)):
            raise InputError(
                f"The evaluation images in {root} show classes that no folder has: {', '.join(lacking)}; add folders, "
                "or set data_import_dataset.class_names to all classes."
            ) from None
        raise


def read_class_folders(
    root: Path | str,
    class_map: Path | str | None = None,
    class_names: list[str] | None = None,
    val_root: Path | str | None = None,
    *,
    val_list: str,
    val_share: float,
    truth: tuple[str, ...],
    mapper: Callable = map,
) -> Dataset:
    """Imports the pictures of class folders, for training, and images to evaluate on.

    With `val_root` these are the images of `val_list` of that VOC tree; its classes must be those of the folders. Else
    they are the share `val_share` (0 to 1) of the pictures whose names hash last, and there are no masks. Classes are
    in alphabetical order unless `class_names` fixes them. `mapper` may be the `map` of a process pool.
    Raises one `InputError` that names up to 20 bad lines or folders.
    """
    root, problems = Path(root), Problems()
    if not root.is_dir():
        raise InputError(missing_message("class_folders", root))
    classes = _read_class_map(root, Path(class_map) if class_map else None, problems)
    pictures = _find_pictures(root, classes, problems)
    class_names = list(class_names or sorted(set(classes.values())))
    for name in sorted(set(classes.values()) - set(class_names)):
        problems.add(f"there is no class '{name}'; {nearest(name, class_names)}")
    if not classes and not problems.sentences:
        problems.add(f"{class_map or root} names no folder of pictures.")
    problems.raise_any(f"The folder {root}")
    ids = [path.relative_to(root).with_suffix("").as_posix() for path, _ in pictures]
    splits = ["train"] * len(pictures) if val_root else divide(ids, val_share)
    records = [
        ImageRecord(identity.replace("/", "_"), split, path, (class_names.index(name),))
        for identity, split, (path, name) in zip(ids, splits, pictures, strict=True)
    ]
    counts = {"folders": len(classes)}
    val = Dataset(class_names, [], no_truth, {})
    if val_root:
        val = _read_val(Path(val_root), val_list, class_names, truth, mapper)
    records += val.records
    check_ids(records, problems)
    problems.raise_any(f"The folder {root}")
    return Dataset(class_names, records, val.truth, {**val.counts, **counts})
