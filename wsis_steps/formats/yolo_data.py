"""Reads the classes of a YOLO data set from its data.yaml, or from the classes.txt or obj.names of other tools."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import yaml

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.files import files_below, read_text
from wsis_steps.formats.rings import shown

BORDERS = "border_pixels"  # `corners` in a data.yaml of ours: polygons run through centers of border pixels
CLASSES = ("classes.txt", "obj.names", "labels/classes.txt")
SUBSETS = ("train", "val", "valid", "validation", "test")
_YAML = (".yaml", ".yml")
_SIGNS = (re.compile(rb"^names\s*:", re.MULTILINE), re.compile(rb"^(train|val|nc)\s*:", re.MULTILINE))
_LINE = re.compile(r"\s*\d+(\.0*)?(\s+[-+.\deE]+){4,}\s*")
_HEAD = 1 << 16  # bytes of a file that are looked at
_LOOKED_AT = 50  # label files
_COUNT = re.compile("[0-9]{1,5}")


@dataclass(frozen=True)
class Data:
    """The content of such a file. class_names: by number. subsets: name -> folder or list of images, or several, as
    written; start: the folder to search from. keypoints: keypoints per object, and numbers per keypoint, after the box.
    borders: polygons run through the centers of border pixels."""

    file: Path
    class_names: dict[int, str]
    subsets: dict[str, object]
    start: str = "."
    keypoints: tuple[int, int] = (0, 0)
    borders: bool = False


def looks_like(path: Path) -> bool:
    """Whether a file is a data.yaml, or a folder contains one, or a list of classes with label files."""
    try:
        if not path.is_dir():
            return path.suffix.lower() in _YAML and _is_data(path)
        if any(map(_is_data, _yaml_files(path))):
            return True
        texts = (file for file in files_below(path) if file.suffix == ".txt")
        return _names_classes(path) and any(map(is_labels, islice(texts, _LOOKED_AT)))
    except OSError:
        return False


def lacks(path: Path) -> str:
    """What a folder with label files still needs."""
    texts = (file for file in files_below(path) if file.suffix == ".txt")
    if not _names_classes(path) and any(map(is_labels, islice(texts, _LOOKED_AT))):
        return f"it has files of labels, but neither a data.yaml nor a {CLASSES[0]}, which name the classes"
    return ""


def _names_classes(folder: Path) -> bool:
    return any((folder / name).is_file() for name in CLASSES)


def is_labels(file: Path) -> bool:
    """Whether the first non-empty line of a text file is an object; True for unreadable files."""
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return bool(_LINE.fullmatch(opened.read(_HEAD).lstrip().partition("\n")[0]))
    except OSError:
        return True


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _YAML and path.name[0] != "." and path.is_file()
    )


def _is_data(file: Path) -> bool:
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    return all(sign.search(head) for sign in _SIGNS)


def read_data(path: Path) -> Data:
    """The content of the file, or of a folder's file. Raises InputError if it is missing or invalid."""
    file = _find_file(path) if path.is_dir() else path
    if file.suffix.lower() in _YAML:
        return _read_data(file)
    if file.suffix.lower() not in (".txt", ".names"):
        raise InputError(f"{file} is neither a data.yaml nor a classes.txt.")
    lines = read_text(file).rstrip().splitlines()
    return Data(file, _checked(file, dict(enumerate(map(str.strip, lines)))), {})


def _find_file(folder: Path) -> Path:
    if (folder / "data.yaml").is_file():
        return folder / "data.yaml"
    files = _yaml_files(folder)
    found = [file for file in files if _is_data(file)] or files
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise InputError(
            f"{folder} has {len(found)} files that may be its data.yaml: {names}; set `annotations` to one."
        )
    found += [folder / name for name in CLASSES if (folder / name).is_file()]
    if not found:
        raise InputError(f"{folder} has no data.yaml, which names the classes and the folders, nor a classes.txt.")
    return found[0]


def _read_data(file: Path) -> Data:
    content = _read_yaml(file)
    start = content.get("path") or "."
    if not isinstance(start, str):
        raise InputError(f"{file}: its 'path' is {shown(start)}, not a folder.")
    subsets = {name: content[name] for name in SUBSETS if content.get(name)}
    borders = content.get("corners") == BORDERS
    return Data(file, _class_names(file, content), subsets, start, _keypoints(file, content), borders)


def _read_yaml(file: Path) -> dict:
    """The content of a YAML file, with all values as text, lists or mappings. Raises InputError if it is not one."""
    text = read_text(file)
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)  # keeps a class named `no` as text
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else "it"
        raise InputError(f"{file} is not a YAML file: {line} breaks YAML's rules.") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InputError(f"{file} is not a YAML file: it has invalid characters or is nested too deeply.") from None
    if not isinstance(content, dict):
        there = "nothing" if content is None else shown(content)
        raise InputError(f"{file} holds {there}, not keys with their values.")
    return content


def _is_count(value: object) -> bool:
    return isinstance(value, str) and bool(_COUNT.fullmatch(value))


def _class_names(file: Path, content: dict) -> dict[int, str]:
    """Number -> class."""
    names, count = content.get("names"), content.get("nc")
    if count and not _is_count(count):
        raise InputError(f"{file}: its 'nc' is {shown(count)}, not the number of classes.")
    if not names and count:
        names = [f"class_{k}" for k in range(int(count))]  # as Ultralytics calls them
    if isinstance(names, list):
        names = {str(k): name for k, name in enumerate(names)}
    if not isinstance(names, dict):
        raise InputError(f"{file}: its 'names' are {shown(names)}, not a list of classes.")
    for key, name in names.items():
        if not (_is_count(key) and isinstance(name, str)):
            raise InputError(f"{file}: its 'names' hold {shown(key)}: {shown(name)}, not a number and a name.")
    if count and int(count) != len(names):
        raise InputError(f"{file}: its 'nc' is {count}, but it has {len(names)} 'names'.")
    return _checked(file, {int(key): name.strip() for key, name in sorted(names.items(), key=lambda one: int(one[0]))})


def _checked(file: Path, names: dict[int, str]) -> dict[int, str]:
    """The names. Raises InputError if there are none, or one is repeated."""
    if not names:
        raise InputError(f"{file} names no class.")
    name, uses = Counter(names.values()).most_common(1)[0]
    if uses > 1:
        raise InputError(f"{file} names the class '{name}' {uses} times.")
    return names


def _keypoints(file: Path, content: dict) -> tuple[int, int]:
    """Keypoints per object and numbers per keypoint; 0, 0 if there are none."""
    shape = content.get("kpt_shape")
    if not shape:
        return 0, 0
    if not isinstance(shape, list) or len(shape) != 2 or not all(map(_is_count, shape)):
        raise InputError(f"{file}: its 'kpt_shape' is {shown(shape)}, not two numbers.")
    return int(shape[0]), int(shape[1])
