"""The tasks of a Label Studio export: which annotation counts, and which images the task has.

Of several submitted annotations, the latest marked as ground truth counts, else the latest. A result belongs to the
image whose key in the task's data equals its `to_name`; if a task has a single image, to that one.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.picture_names import parts_of, variants
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.rings import shown

_LOCAL = re.compile(r"/data/local-files/?\?(?:[^#]*&)?d=([^&#]*)")
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+:)?//[^/?#]*", re.IGNORECASE)
Key = tuple[str, int]  # of an image: its key in the data and its position in the list there


@dataclass(frozen=True)
class PictureName:
    """An image as a task names it. uploaded: folders in the name are a server's."""

    name: str
    uploaded: bool


@dataclass
class Task:
    """A task with the results that count, each a JSON object. data: its images and other fields."""

    where: str
    data: dict
    results: list[dict]
    pictures: dict[Key, PictureName] = field(default_factory=dict)

    @property
    def to_names(self) -> set[str]:
        """The `to_name` values of its results."""
        return {row["to_name"] for row in self.results if isinstance(row.get("to_name"), str)}


def read_tasks(content: object, path: Path, notes: Notes) -> list[Task]:
    """The tasks with a submitted annotation; notes invalid tasks. Raises InputError if it is not an export."""
    rows = content if isinstance(content, list) else [content]
    if not any(isinstance(row, dict) and isinstance(row.get("data"), dict) for row in rows):
        if isinstance(content, list) and content and all(isinstance(row, dict) for row in rows):
            raise InputError(
                f"{path} seems to be Label Studio's JSON-MIN, which leaves too much out; choose the format JSON."
            )
        raise InputError(f"{path} is not an export of Label Studio: it holds no list of tasks; choose the format JSON.")
    tasks = []
    for place, row in enumerate(rows, 1):
        with notes.catch():
            tasks += _task(row, path, place, notes)
    return tasks


def _task(row: object, path: Path, place: int, notes: Notes) -> Iterator[Task]:
    if not isinstance(row, dict) or not isinstance(row.get("data"), dict):
        raise InputError(f"{path}: task {place} of the list has no 'data'.")
    where = f"{path}: task {shown(row.get('id', place))}"
    annotations = row.get("annotations", row.get("completions"))  # its name until 2021
    if annotations is None:
        annotations = []
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise InputError(f"{where}: its annotations are {shown(annotations)}, not a list of them.")
    submitted = [one for one in annotations if not one.get("was_cancelled")]
    if not submitted:
        notes.leave_out("pictures_not_submitted", where)
        return
    dated = all(isinstance(one.get("created_at"), str) for one in submitted)
    _, _, chosen = max(
        (one.get("ground_truth") is True, (one["created_at"] if dated else "", k), k) for k, one in enumerate(submitted)
    )
    notes.leave_out("older_annotations_of_a_picture", where, len(submitted) - 1)
    if "result" not in submitted[chosen]:
        raise InputError(f"{where}: its annotation has no 'result'.")
    results = [] if submitted[chosen]["result"] is None else submitted[chosen]["result"]
    if not isinstance(results, list):
        raise InputError(f"{where}: its 'result' is {shown(results)}, not a list.")
    for number, one in enumerate(results, 1):
        if not isinstance(one, dict):
            notes.add(f"{where}: result {number}: it is {shown(one)}, not an object with its properties.")
    results = [one for one in results if isinstance(one, dict)]
    task = Task(where, row["data"], results)
    task.pictures = _pictures(task.data, task.to_names)
    yield task


def picture_name(address: str) -> PictureName:
    """The image name in an address such as /data/upload/1/b.jpg, /data/local-files/?d=a/b.jpg, s3://bucket/a/b.jpg or
    https://host/a/b.jpg?key=1."""
    if found := _LOCAL.search(address):
        return PictureName(unquote(found.group(1)), False)
    found = _ADDRESS.match(address)
    if not found and not address.startswith("/"):
        return PictureName(address, False)
    path = re.split(r"[?#]", address[found.end() if found else 0 :])[0]
    return PictureName(unquote(path), "/data/upload/" in path)


def _pictures(data: dict, to_names: Collection[str]) -> dict[Key, PictureName]:
    """The values in the data that name images: those with an image suffix; else those that results refer to, else those
    with any suffix, else those that are addresses."""
    found = {}
    for key, value in data.items():
        for place, text in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(text, str) and text.strip() and not text.startswith("data:"):
                found[key, place] = (text, picture_name(text.strip()))

    def suffix(name: PictureName) -> str:
        return PurePosixPath(name.name).suffix.lower()

    for is_one in (
        lambda key, text, name: suffix(name) in SUFFIXES,
        lambda key, text, name: key[0] in to_names,
        lambda key, text, name: bool(suffix(name)),
        lambda key, text, name: "/" in text,
    ):
        if some := {key: name for key, (text, name) in found.items() if is_one(key, text, name)}:
            return _without_repeats(some)
    return {}


def _without_repeats(pictures: dict[Key, PictureName]) -> dict[Key, PictureName]:
    """The images without those that only repeat another one's file name, which people keep in an extra column."""
    files = defaultdict(set)
    for key, name in pictures.items():
        parts = parts_of(name.name)
        for variant in variants(parts) if name.uploaded else [parts]:
            files[variant[-1:]].add(key)

    def is_repeat(key: Key, name: PictureName) -> bool:
        parts = parts_of(name.name)
        return len(parts) == 1 and bool(files[parts] - {key})

    kept = {key: name for key, name in pictures.items() if not is_repeat(key, name)}
    return kept or dict(list(pictures.items())[:1])


def pictures_of(task: Task, named: Collection[str], notes: Notes) -> dict[Key, PictureName]:
    """The images of a task that its results may refer to; others are counted. named: every `to_name` of the export.

    Raises InputError if there are none, or if it is unclear which of several is meant.
    """
    if not task.pictures:
        raise InputError(f"{task.where} names no picture.")
    used = {key: name for key, name in task.pictures.items() if key[0] in named}
    if not used and len({key for key, _ in task.pictures}) == 1:
        used = task.pictures
    if not used:
        raise InputError(
            f"{task.where} has several pictures, {_quoted(key for key, _ in task.pictures)}, and its results are on "
            f"{_quoted(task.to_names) or 'none of them'}; call the keys of the data as the <Image> tags are called."
        )
    others = len(task.pictures) - len(used)
    notes.leave_out("extra_pictures_of_a_task", task.where, others)
    return used


def picture_of(row: dict, task: Task, used: dict[Key, PictureName]) -> Key | None:
    """The image that a result belongs to; None if it refers to other data of the task. Raises ValueError if it is
    unclear."""
    to_name, place = row.get("to_name"), row.get("item_index")
    to_name = to_name if isinstance(to_name, str) else ""
    keys = {key for key, _ in used}
    if to_name in task.data and not any(key == to_name for key, _ in task.pictures):
        return None
    key = to_name if to_name in keys else next(iter(keys)) if len(keys) == 1 else None
    found = [one for one in used if one[0] == key and (place is None or one[1] == place)]
    if len(found) != 1:
        on = f"picture {shown(place)} of {shown(to_name)}" if place is not None else shown(to_name)
        raise ValueError(f"it is on {on}, but the pictures are {_quoted(keys)}")
    return found[0]


def _quoted(names: Collection[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(set(names)))
