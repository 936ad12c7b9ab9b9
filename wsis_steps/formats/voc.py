"""Reads a PASCAL VOC devkit tree (and, for the augmented training list, SBD's masks).

Tags and boxes come from the XML files. Points are instance centers: if the split's masks are read, the mask pixel
nearest to the mask's centroid (BESTIE's point supervision); otherwise the center of the XML box. Points are limited to
tagged classes, so no image has a point of a class it is not tagged with.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from wsis_steps.formats.drawing import Reading, Source
from wsis_steps.formats.labels import is_ignored, is_no_class
from wsis_steps.formats.lists import read_ids, read_labels
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.picture_names import bare
from wsis_steps.formats.voc_images import Entry, Labelling, draw, read_entry
from wsis_steps.formats.voc_masks import MaskFolders
from wsis_steps.formats.voc_tree import (
    LISTS,
    choose_lists,
    class_values,
    find_list,
    find_pictures,
    find_sbd,
    find_tree,
    trees,
)

# In the order of the palette indices 1..20 of VOC's SegmentationClass, which is alphabetical.
VOC_CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
]  # fmt: skip
# Masks and XML may disagree in a few images; above this share, the order of the classes must be wrong.
_DISAGREEING_SHARE = 0.05


@dataclass(frozen=True)
class Options:
    """How to read a tree.

    truth: splits whose masks are read, from PNGs, else from SBD. include_difficult: whether to read objects marked
    difficult. class_names: the classes in the order of their pixel values. labels: a list of image labels that replaces
    the tags of the XML files, which then may be missing. in_both: images may be in both lists.
    """

    truth: tuple[str, ...] = ()
    include_difficult: bool = True
    sbd_root: Path | None = None
    class_names: tuple[str, ...] = ()
    labels: Path | None = None
    in_both: bool = False


@dataclass
class _Tree:
    """The state while a tree is read. values: pixel value -> class."""

    root: Path
    options: Options
    notes: Notes
    entries: list[Entry] = field(default_factory=list)
    values: dict[int, str] = field(default_factory=dict)
    tags: dict[str, tuple[int, ...]] | None = None

    @property
    def class_names(self) -> list[str]:
        """The classes in order of their values, without the background."""
        return [name for name in self.values.values() if not is_no_class(name, self.options.class_names)]


def looks_like(path: Path) -> bool:
    """Whether a folder has VOC's layout. With a labelmap.txt, it is CVAT's instead, unless wsis wrote it."""
    try:
        return any(not _missing(tree) and not _is_of_cvat(tree) for tree in trees(path))
    except OSError:
        return False


def _is_of_cvat(tree: Path) -> bool:
    return (tree / "labelmap.txt").exists() and not (tree / "class_names.txt").exists()


def _missing(tree: Path) -> list[str]:
    """The parts of VOC's layout that a folder lacks."""
    missing = [f"folder {name}" for name in ("JPEGImages", "Annotations") if not (tree / name).is_dir()]
    lists = any(path.suffix == ".txt" for lists in LISTS for path in (tree / lists).glob("*"))
    return missing if lists else [*missing, f"list of pictures in {' or '.join(LISTS)}"]


def lacks(path: Path) -> str:
    """What a folder with most parts of the layout still needs."""
    missing = _missing(path)
    return f"most of its layout is there, but no {missing[0]}" if len(missing) == 1 else ""


def read(source: Source, notes: Notes) -> Reading:
    """The images of the lists in the settings."""
    chosen = source.settings
    lists = choose_lists(find_tree(source.root), chosen)
    options = Options(
        chosen.truth, chosen.difficult == "include", chosen.sbd_root, chosen.class_names or (),
        in_both=chosen.images_in_both,
    )  # fmt: skip
    return read_tree(source.root, lists, options, notes, source.mapper)


def read_tree(
    root: Path, lists: Mapping[str, str | Path], options: Options, notes: Notes, mapper: Callable = map
) -> Reading:
    """The images of a tree. lists: split ('' for a list to be divided) -> path or name of a list in
    ImageSets/Segmentation.

    Images are read one by one by `mapper`, which may be that of a process pool. Raises InputError if the tree or a list
    is missing.
    """
    tree = _Tree(find_tree(root), options, notes)
    masks = MaskFolders(tree.root, find_sbd(options.sbd_root) if options.sbd_root else None)
    wanted = _wanted_masks(tree, masks, lists)
    found = {split: find_list(tree.root, name) for split, name in lists.items()}
    pictures = find_pictures(tree.root / "JPEGImages")
    for split, path in found.items():
        _list_entries(tree, split, path, pictures, split in wanted)
    work = partial(read_entry, tree.root, masks, options.labels is not None)
    listed = [entry for entry in tree.entries if entry.pictures]
    tree.entries = []
    for entry, wrong in mapper(work, listed):
        notes.sentences += wrong
        tree.entries.append(entry)
    _name_classes(tree)
    _check_values(tree)
    disagreeing = _check_order(tree)
    _read_tags(tree)
    drawings = [draw(tree.root, entry, _labelling(tree, entry), notes) for entry in tree.entries if entry.picture]
    return Reading(drawings, list(tree.values.values()), [tree.root / "JPEGImages"], _count(tree, disagreeing))


def _wanted_masks(tree: _Tree, masks: MaskFolders, splits: Collection[str]) -> set[str]:
    """The splits whose masks are read; notes an error if the tree has no masks at all."""
    truth = tree.options.truth
    wanted = [split for split in splits if split in truth or (truth and "val" not in splits)]  # val is a share
    if not wanted or masks.exist():
        return set(wanted)
    tree.notes.add(
        f"{tree.root} has no SegmentationObject, so {' and '.join(truth)} have no masks; leave them out of `truth`."
    )
    return set()


def _list_entries(tree: _Tree, split: str, path: Path, pictures: Mapping[str, list[Path]], masked: bool) -> None:
    """Adds an entry for each listed image; notes missing images and, unless allowed, ids in both lists."""
    known = {entry.identity: entry for entry in tree.entries}
    for name, where in read_ids(path, tree.notes, pictures):
        identity = f"{name}_{split}" if tree.options.in_both and name in known else name
        if identity in known:
            first = known[identity].where
            tree.notes.add(f"{where}: id '{identity}' of the {split} list is also in {first}.")
            continue
        found = pictures.get(name, [])
        files = bare(found[0].name) if found else name  # accents as the file system has them
        entry = Entry(files, identity, split, where, found, masked)
        known[identity] = entry
        tree.entries.append(entry)
        if not found:
            tree.notes.add(f"{where}: there is no image '{name}' in {tree.root / 'JPEGImages'}.")


def _name_classes(tree: _Tree) -> None:
    """Sets the classes by pixel value: from the setting, else from class_names.txt, else VOC's 20 if no others occur,
    else the names in the XML files in alphabetical order."""
    names = tree.options.class_names
    if not names and (tree.root / "class_names.txt").is_file():
        tree.values = class_values(tree.root / "class_names.txt")
        return
    if not names:
        found = {one.name for entry in tree.entries for one in entry.objects}
        found = {name for name in found if not is_no_class(name) and not is_ignored(name)}
        names = VOC_CLASSES if found <= set(VOC_CLASSES) else sorted(found)
        if not found and any(entry.masks for entry in tree.entries):
            tree.notes.add(f"No object is named in {tree.root / 'Annotations'}; set `class_names`.")
    tree.values = dict(enumerate(names, 1))


def _check_values(tree: _Tree) -> None:
    """Notes masks with values that are not classes, and drops them."""
    for entry in tree.entries:
        unknown = [one.value for one in entry.masks.instances if one.value not in tree.values] if entry.masks else []
        if unknown:
            tree.notes.add(
                f"{entry.masks.path}: class value {max(unknown)} is not one of 1..{max(tree.values, default=0)}."
            )
            entry.masks = None


def _check_order(tree: _Tree) -> int:
    """Checks that pixel values match the classes. Returns the number of images that contradict their XML."""
    rows, both, known = [], 0, set(tree.values.values())
    for entry in (entry for entry in tree.entries if entry.masks and entry.annotation and not entry.annotation.wrong):
        both += 1
        names = {one.name for one in entry.objects}
        extra = {tree.values[one.value] for one in entry.masks.instances} - names
        if extra and names <= known:  # unknown names are reported elsewhere and say nothing about the order
            rows.append((min(extra), entry.name))
    if len(rows) > _DISAGREEING_SHARE * both:
        name, image = rows[0]
        tree.notes.add(
            f"{len(rows)} of {both} masks show a class that the XML file does not name (first '{name}' in {image}), so "
            f"the pixel values are not in the order {', '.join(tree.class_names[:4])}, ...; set "
            "`class_names` in the order of the pixel values of SegmentationClass."
        )
    return len(rows)


def _read_tags(tree: _Tree) -> None:
    """Reads the list of image labels, if there is one; notes images without a line."""
    path = tree.options.labels
    if path is None:
        return
    tree.tags = read_labels(path, tree.class_names, tree.notes)
    for entry in tree.entries:
        if entry.name not in tree.tags:
            tree.notes.add(f"{entry.where}: image '{entry.name}' has no line in {path}.")


def _labelling(tree: _Tree, entry: Entry) -> Labelling:
    tags = None
    if tree.tags is not None:
        numbers = [k for k in tree.tags.get(entry.name, ()) if k < len(tree.class_names)]
        tags = frozenset(tree.class_names[k] for k in numbers)
    return Labelling(tree.values, tags, tree.options.include_difficult)


def _count(tree: _Tree, disagreeing: int) -> dict:
    objects = [one for entry in tree.entries for one in entry.objects]
    return {
        "objects": len(objects),
        "difficult_objects": sum(one.difficult for one in objects),
        "difficult": "include" if tree.options.include_difficult else "exclude",
        "images_whose_masks_show_an_untagged_class": disagreeing,
    }
