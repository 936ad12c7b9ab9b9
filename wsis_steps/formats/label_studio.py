"""Reads JSON exports of Label Studio.

Rectangles become boxes, key points become points; polygons, ellipses, rotated rectangles, brushes and bit masks become
masks. Tasks without a submitted annotation are left out.

Choices about a whole image are tags only if they name classes. The export does not say so: one control may ask for a
class, another whether the image is sharp. A control is taken to be about classes
  - if regions are labelled with it too;
  - else if one of its choices is in `class_names` or, without `class_names`, is the label of a region;
  - else if nothing in the export has a label and it is the only control with choices. With several controls,
    `class_names` must be set.
Other answers, and all answers about regions, are only counted.
"""

from collections.abc import Iterator
from pathlib import Path

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.drawing import Drawing, Reading, Shape, Source
from wsis_steps.formats.files import few_files, head_of, read_json
from wsis_steps.formats.label_studio_results import (
    Answer,
    Region,
    Results,
    class_controls,
    read_results,
    region_shapes,
    stated_size,
)
from wsis_steps.formats.label_studio_tasks import Key, Task, picture_of, pictures_of, read_tasks
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.rings import shown

# Keys of a task, also of the JSON-MIN format, which is recognized to be refused.
_SIGNS = (b'"annotations"', b'"completions"', b'"data"', b'"predictions"', b'"annotator"', b'"annotation_id"')


def looks_like(path: Path) -> bool:
    """Whether a file is an export of Label Studio, or a folder contains one, judged by its first bytes."""
    try:
        return bool(_files(path))
    except OSError:
        return False


def _files(path: Path) -> list[Path]:
    """The exports among a file or the files of a folder."""
    return list(filter(_is_export, few_files(path, ".json") if path.is_dir() else [path]))


def _is_export(file: Path) -> bool:
    head = head_of(file) if file.suffix.lower() == ".json" else b""
    is_other = b'"coordinates"' in head  # CreateML's list also has "annotations"
    return head.startswith(b"[") and any(sign in head for sign in _SIGNS) and not is_other


def read(source: Source, notes: Notes) -> Reading:
    """The annotated tasks of an export. Raises InputError if there is no export."""
    path = source.annotations
    if path.is_dir():
        files = _files(path)
        if len(files) != 1:
            found = f"{len(files)} exports of Label Studio" if files else "no export of Label Studio"
            raise InputError(f"{path} holds {found}; set `annotations` to one.")
        [path] = files
    tasks = read_tasks(read_json(path), path, notes)
    found = [read_results(task.results, task.where, notes) for task in tasks]
    named = {name for task in tasks for name in task.to_names}
    controls = class_controls(found, source.settings.class_names or (), path, notes)
    drawings = []
    for task, results in zip(tasks, found, strict=True):
        with notes.catch():
            drawings += _drawings(task, results, named, controls, notes)
    return Reading(drawings)


def _drawings(task: Task, results: Results, named: set[str], controls: set[str], notes: Notes) -> Iterator[Drawing]:
    """One drawing per image of a task."""
    pictures = pictures_of(task, named, notes)
    on: dict[Key, list[Region | Answer]] = {key: [] for key in pictures}
    for one in [*results.regions, *results.answers]:
        try:
            key = picture_of(one.row, task, pictures)
        except ValueError as error:
            notes.add(f"{task.where}: {one.where}: {error}.")
            continue
        if key is None:
            notes.leave_out("answers_that_are_no_tags", f"{task.where}: {one.where}", one.count)
        else:
            on[key].append(one)
    for key, name in pictures.items():
        where = f"{task.where} ({shown(name.name.rsplit('/')[-1])})"
        height, width = _size(on[key], where, notes)
        drawing = Drawing(where, name.name, height, width, sized=True, shares=not height, uploaded=name.uploaded)
        for one in on[key]:
            if isinstance(one, Answer):
                drawing.shapes += _tags(one, where, controls, notes)
                continue
            try:
                drawing.shapes += region_shapes(one, height, width)
            except ValueError as error:
                notes.add(f"{where}: {one.where}: {error}.")
        yield drawing


def _size(found: list[Region | Answer], where: str, notes: Notes) -> tuple[int, int]:
    """The height and width that the results state, 0 if none does; notes contradictions."""
    size = (0, 0)
    for one in found:
        try:
            stated = stated_size(one.row)
            if size[0] and stated[0] and stated != size:
                raise ValueError(f"the picture is {stated[1]}x{stated[0]}, but {size[1]}x{size[0]} by results before")
        except ValueError as error:
            notes.add(f"{where}: {one.where}: {error}.")
            continue
        size = size if size[0] else stated
    return size


def _tags(answer: Answer, where: str, controls: set[str], notes: Notes) -> list[Shape]:
    """The choices that are tags; other answers are counted."""
    if answer.choices and answer.control in controls:
        return [Shape(answer.where, "tag", choice) for choice in answer.choices]
    notes.leave_out("answers_that_are_no_tags", f"{where}: {answer.where}", answer.count)
    return []
