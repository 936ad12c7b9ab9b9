"""Finds the parts of a PASCAL VOC devkit tree and reports missing ones."""

from collections import Counter, defaultdict
from pathlib import Path

from wsis_steps.data.archives import ARCHIVES, missing_message
from wsis_steps.data.settings import DataImportDataset
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.formats.files import walk
from wsis_steps.formats.labels import is_ignored, is_no_class
from wsis_steps.formats.lists import read_lines
from wsis_steps.formats.picture_names import bare, parts_of
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.subsets import split_of

LISTS = ("ImageSets/Segmentation", "ImageSets/Main")  # the first existing one; detection data have only the second
_LAYOUT = "JPEGImages, Annotations, and the lists ImageSets/Segmentation/train.txt and val.txt"
_SHOWN = 6  # names per folder in messages


def find_tree(root: Path) -> Path:
    """The folder that contains JPEGImages: `root` itself, or VOC2012 or another year below it. Raises `InputError`."""
    for candidate in trees(root):
        if (candidate / "JPEGImages").is_dir():
            return candidate
    raise InputError(_no_tree(root))


def trees(root: Path) -> list[Path]:
    """Where a tree may be: the folder itself, then the folders of years below it, latest first."""
    years = (sorted(root.glob(pattern), reverse=True) for pattern in ("VOC20??", "VOCdevkit/VOC20??"))
    return [root, *(path for found in years for path in found)]


def _no_tree(root: Path) -> str:
    """The error for a missing tree; for the official archive's folder, also where to get it."""
    there = [path for path in sorted(root.iterdir()) if not path.name.startswith(".")] if root.is_dir() else []
    if not there or _is_official(root):
        return missing_message("voc", root)
    shown = ", ".join(f"{path.name}/" if path.is_dir() else path.name for path in there[:_SHOWN])
    folders = [path.name for path in there if path.is_dir()]
    near = nearest("JPEGImages", folders) if folders else ""
    near = f" ({near})" if near.startswith("the nearest") else ""
    xml = next((path for path in walk(root, (".xml",))), None)
    hint = f" XML files without lists, as {xml}, are read as format labelimg." if xml else ""
    more = ", ..." if len(there) > _SHOWN else ""
    return f"{root} has no folder JPEGImages{near}; it holds {shown}{more}. VOC's layout is {_LAYOUT}.{hint}"


def _is_official(root: Path) -> bool:
    """Whether a folder is, or contains, the unpacked archive of VOC 2012."""
    made = Path(ARCHIVES["voc"][0].makes[0])
    return any(root.parts[-k:] == made.parts[:k] for k in (1, 2)) or (root / made.parts[0]).exists()


def find_sbd(sbd_root: Path) -> Path:
    """SBD's folder of .mat files, at one of its usual places below `sbd_root`. Raises `InputError`."""
    for candidate in (sbd_root, sbd_root / "dataset", sbd_root / "benchmark_RELEASE" / "dataset"):
        if (candidate / "inst").is_dir():
            return candidate / "inst"
    raise InputError(missing_message("sbd", sbd_root))


def find_list(root: Path, name: str | Path) -> Path:
    """The file of a list, given by path or by its name in the tree. Raises `InputError`."""
    shipped = _list_folder(root)
    for candidate in (Path(name), shipped / f"{name}.txt"):
        if candidate.is_file():
            return candidate
    known = [path.stem for path in shipped.glob("*.txt")]
    if known:
        raise InputError(f"There is no list '{name}', as a file or in {shipped}; {nearest(str(name), known)}")
    raise InputError(
        f"There is no list '{name}', as a file or in {shipped}, which has no lists; XML files without lists are read "
        "as format labelimg, which divides the images by `val_share`."
    )


def choose_lists(root: Path, settings: DataImportDataset) -> dict[str, str]:
    """Split -> list to read: train and val. Unless the settings name it, a missing val list is left out. If both are
    missing, a single list of undivided images, such as CVAT's default.txt, is used (split '')."""
    chosen = {"train": settings.train_list, "val": settings.val_list}
    folder = _list_folder(root)
    there = {path.stem for path in folder.glob("*.txt")}
    missing = [split for split, name in chosen.items() if name not in there and f"{split}_list" not in
               settings.model_fields_set]  # fmt: skip
    if missing == ["val"]:
        return {"train": chosen["train"]}
    undivided = sorted(name for name in there if split_of(name) == "")
    if len(missing) == 2 and len(undivided) == 1:
        return {"": undivided[0]}
    return chosen


def _list_folder(root: Path) -> Path:
    return next((root / lists for lists in LISTS if any((root / lists).glob("*.txt"))), root / LISTS[0])


def find_pictures(folder: Path) -> dict[str, list[Path]]:
    """Id -> the images of a folder that it may mean."""
    found = defaultdict(list)
    for path in walk(folder, SUFFIXES):
        found[bare(parts_of(path.name)[-1])].append(path)
    return dict(found)


def class_values(path: Path) -> dict[int, str]:
    """Pixel value -> class name, from class_names.txt. wsis's files start with the class of value 1; labelme2voc's with
    _background_ (0) or __ignore__ (-1, 255 in PNGs)."""
    names = [line for _, line in read_lines(path)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{path} has the class '{twice[0]}' twice.")
    first = 1
    if names and is_ignored(names[0]):
        first = -1
    elif names and is_no_class(names[0]):
        first = 0
    return dict(enumerate(names, first))
