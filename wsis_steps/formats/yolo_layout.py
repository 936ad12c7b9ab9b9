"""Finds the images and the label files of a YOLO data set.

The subset paths of a data.yaml are searched from its `path`, from the file's folder and from the data set's folder,
also without a leading `../` and by their last parts only, because such files are copied between computers. Without a
data.yaml, folders named train, val and the like are the splits.

The labels of images/train/a.jpg are in labels/train/a.txt, else beside the image.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.files import read_text, walk
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.picture_names import without_masks
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.rings import shown
from wsis_steps.formats.subsets import is_subset, split_of
from wsis_steps.formats.yolo_data import CLASSES, Data, is_labels

_DARKNET = re.compile("obj_(.+)_data")  # CVAT's folder name, such as obj_train_data


@dataclass(frozen=True, slots=True)
class Item:
    """An image. name: its id is made of it. split: train, val, '' if it is to be divided, None for another subset.
    labels: its label file, or None."""

    path: Path
    name: str
    split: str | None
    labels: Path | None = None


@dataclass
class Layout:
    """The images of a data set and their folders."""

    root: Path
    data: Data
    items: list[Item] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    def find(self, text: str, subset: str, *bases: Path) -> Path | None:
        """The file or folder that a data.yaml or a list means; None if there is none.

        A path that does not exist is searched by its last parts: at least two, or one that has the subset's name.
        """
        parts = PurePosixPath(text.strip().replace("\\", "/")).parts
        below = [part for part in parts if part not in ("/", "..")]
        is_alike = below and is_subset(below[-1]) and split_of(below[-1]) == split_of(subset)
        tails = [below[k:] for k in range(len(below) if is_alike else len(below) - 1)]
        start = self.data.file.parent / self.data.start.replace("\\", "/")
        for tail in (parts, below, *tails):
            for base in (*bases, start, self.data.file.parent, self.root):
                if os.path.exists(found := base.joinpath(*tail)):  # Path.exists raises for long names
                    return self._place(found)
        return None

    def pictures(self) -> list[Path]:
        """All images of the data set without those of other subsets, which are counted separately."""
        others = {item.path for item in self.items if item.split is None}
        return [path for path in walk(self.root, SUFFIXES) if path not in others]

    def _place(self, path: Path) -> Path:
        """A path without `..`, starting with the root if it is below it."""
        absolute, root = Path(os.path.abspath(path)), Path(os.path.abspath(self.root))
        return self.root / absolute.relative_to(root) if absolute.is_relative_to(root) else absolute


def find_layout(root: Path, data: Data, notes: Notes) -> Layout:
    """The images of a data set and their labels; notes what is missing or ambiguous."""
    layout = Layout(root, data)
    for subset, entries in data.subsets.items():
        split = split_of(subset)
        for entry in entries if isinstance(entries, list) else [entries]:
            with notes.catch():
                _add_entry(layout, subset, entry, split)
    if not data.subsets:
        _add_root(layout)
    _pair(layout, notes)
    _name(layout)
    return layout


def _add_entry(layout: Layout, subset: str, entry: object, split: str | None) -> None:
    """Adds the images of a folder or of a list. Raises InputError if there are none and the subset is read."""
    if not isinstance(entry, str):
        raise InputError(f"{layout.data.file}: its '{subset}' is {shown(entry)}, not a folder or a list of pictures.")
    found = layout.find(entry, subset)
    if found is None and split is not None:
        raise InputError(f"{layout.data.file}: its '{subset}' is {shown(entry)}, and there is no such folder or file.")
    if found is None:
        return
    if found.is_dir():
        layout.folders.append(found)
        paths = walk(found, SUFFIXES)
        names = [_without_images(path.relative_to(found).parts) for path in paths]
    else:
        paths = list(_listed(layout, found, subset, split))
        layout.folders += sorted({path.parent for path in paths})
        names = [path.name for path in paths]
    if not paths and split is not None:
        raise InputError(f"{layout.data.file}: its '{subset}' is {shown(entry)}, which holds no picture.")
    layout.items += [Item(path, name, split) for path, name in zip(paths, names, strict=True)]


def _listed(layout: Layout, file: Path, subset: str, split: str | None) -> Iterator[Path]:
    """The images of a list with one path per line. Raises InputError if one is missing and the subset is read."""
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if line.strip():
            found = layout.find(line, subset, file.parent)
            if found is not None and found.is_file():
                yield found
            elif split is not None:
                raise InputError(f"{file}:{number}: there is no picture {shown(line.strip())}.")


def _add_root(layout: Layout) -> None:
    """Adds all images; the outermost folder named as a subset determines the split."""
    layout.folders.append(layout.root)
    for path in walk(layout.root, SUFFIXES):
        parts = path.relative_to(layout.root).parts
        folders = [(part, _DARKNET.sub(r"\1", part)) for part in parts[:-1]]
        split = next((split_of(bare) for _, bare in folders if is_subset(bare)), "")
        kept = [part for part, bare in folders if not is_subset(bare)]
        layout.items.append(Item(path, _without_images((*kept, parts[-1])), split))


def _without_images(parts: tuple[str, ...]) -> str:
    """The name of an image without its `images` folders."""
    return "/".join(part for part in parts if part != "images")


def _pair(layout: Layout, notes: Notes) -> None:
    """Makes one item per image, with its labels; notes images in two subsets, and label files that fit two images."""
    by_path: dict[Path, Item] = {}
    in_both = [item.path for item in layout.items if by_path.setdefault(item.path, item).split != item.split]
    if in_both:
        notes.add(
            f"{layout.data.file}: {len(in_both)} pictures are in two of its subsets (the first: {in_both[0]}); leave "
            "them out of one, or leave out `val` to use a share of the pictures for it."
        )
    by_place = defaultdict(list)
    for path in by_path:
        by_place[_label_place(path)].append(path)
    layout.items = []
    for place, paths in by_place.items():
        paths = without_masks(paths)
        labels = next((file for file in (place, paths[0].with_suffix(".txt")) if file.is_file()), None)
        if len(paths) > 1 and labels:
            notes.add(f"{labels}: these may be the labels of {' or of '.join(map(str, paths))}.")
        layout.items += [replace(by_path[path], labels=labels) for path in paths]


def _label_place(picture: Path) -> Path:
    """Where the labels of an image belong: the last `images` in its path becomes `labels`."""
    parts = list(picture.with_suffix(".txt").parts)
    for k in reversed(range(len(parts) - 1)):
        if parts[k] == "images":
            return Path(*parts[:k], "labels", *parts[k + 1 :])
    return picture.with_suffix(".txt")


def _name(layout: Layout) -> None:
    """Renames images that share a name to their paths in the data set."""
    uses = Counter(item.name for item in layout.items)

    def place(path: Path) -> str:
        return path.relative_to(layout.root).as_posix() if path.is_relative_to(layout.root) else path.as_posix()

    layout.items = [replace(item, name=place(item.path)) if uses[item.name] > 1 else item for item in layout.items]


def unused_labels(layout: Layout) -> Iterator[tuple[Path, str]]:
    """Label files that no image uses, with the error, '' for labels of images that are not listed.

    Errors: a file is where labels belong but has no image; or it is elsewhere and has the name of an image without
    labels.
    """
    used = {item.labels for item in layout.items}
    places = {_label_place(folder / "a").parent for folder in layout.folders} | {file.parent for file in used if file}
    folders = {layout.root, *layout.folders, *places}
    pictures = {path for folder in folders if folder.is_dir() for path in walk(folder, SUFFIXES)}
    known = {place for path in pictures for place in (_label_place(path), path.with_suffix(".txt"))}
    bare = {item.path.stem: item.path for item in layout.items if item.labels is None and item.split is not None}
    for file in sorted({file for folder in folders if folder.is_dir() for file in walk(folder, (".txt",))} - used):
        if file.name in CLASSES or not ("labels" in file.parent.parts or is_labels(file)):
            continue
        fault = ""
        if file not in known and file.parent in places:
            fault = f"there is no picture '{file.stem}' that these labels are of"
        elif file not in known and file.stem in bare:
            picture = bare[file.stem]
            fault = f"these may be the labels of {picture}, which are looked for in {_label_place(picture)}; move them"
        yield file, fault
