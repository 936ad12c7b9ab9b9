"""Turns a reader's drawings into a data set: finds images, fits annotations, names classes, makes splits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.engine.errors import Hints, InputError
from wsis_steps.engine.names import has_control, is_file_name
from wsis_steps.formats.drawing import Drawing, Reading
from wsis_steps.formats.fitted import Fitted
from wsis_steps.formats.fitting import Rules, fit
from wsis_steps.formats.labels import is_ignored, is_no_class
from wsis_steps.formats.notes import Notes, doubt_sentences
from wsis_steps.formats.packing import Packed, pack, pack_truth
from wsis_steps.formats.picture_names import Pictures, identities
from wsis_steps.formats.pictures import Header, picture_header
from wsis_steps.formats.places import CORNERS, MAY_BE_SHARES, SHARES, SIZES
from wsis_steps.formats.records import Dataset, ImageRecord, check_ids, divide
from wsis_steps.formats.tables import note_alike


@dataclass(frozen=True)
class Choices:
    """The settings of `data_import_dataset` that apply after reading.

    class_names: the classes, empty if not set; truth: splits whose masks are complete ground truth; val_share: the
    share of images for val if no split is given; skip_unknown, leave_out_maskless, leave_out_untouched: whether to
    leave out shapes that cannot be masks, objects without a mask in a split of `truth`, images without a shape;
    crowds_are_objects: whether crowds are read as objects.
    """

    class_names: tuple[str, ...] = ()
    truth: tuple[str, ...] = ()
    val_share: float = 0.2
    skip_unknown: bool = False
    leave_out_maskless: bool = False
    leave_out_untouched: bool = False
    crowds_are_objects: bool = False

    @classmethod
    def of(cls, settings: DataImportDataset) -> "Choices":
        return cls(
            settings.class_names or (),
            settings.truth,
            settings.val_share,
            settings.unknown_shapes == "skip",
            settings.without_mask == "leave_out",
            settings.untouched == "leave_out",
            settings.crowds == "objects",
        )


_NONE: list = []  # what nothing is added to


@dataclass(slots=True)
class _Image:
    drawing: Drawing
    path: Path
    found: Packed
    id: str = ""
    split: str = ""


def assemble(root: Path, reading: Reading, choices: Choices, notes: Notes, mapper: Callable = map) -> Dataset:
    """The data set of what a reader found in `root`. Raises one InputError that lists up to 20 errors.

    mapper: `map`, or that of a process pool.
    """
    pictures = reading.pictures or Pictures(root, reading.folders)
    located = _locate(reading, pictures, choices, notes)
    rules = Rules(choices.class_names, choices.skip_unknown, choices.crowds_are_objects)
    drawings, paths = [drawing for drawing, _ in located], [path for _, path in located]
    images: list[_Image] = []
    numbers: dict[str, int] = {}  # label -> number; `first`: where each label was first seen
    first: list[str] = []
    for drawing, path, found in zip(drawings, paths, mapper(partial(_fit, rules), drawings, paths), strict=True):
        if isinstance(found, InputError):
            notes.sentences += found.sentences
        else:
            images.append(_Image(drawing, path, pack(found, numbers)))
            first += [drawing.where] * (len(numbers) - len(first))
            notes.omit(found.omitted)
        drawing.shapes = _NONE  # large files do not fit in memory twice
    _check_readings(images, notes)
    seen = dict(zip(numbers, first, strict=True))
    class_names = _name_classes(root, reading, seen, choices, notes)
    for name in filter(has_control, class_names):
        notes.add(f"{seen.get(name, root)}: the class {name!r} has a control character; write it without.")
    notes.raise_any(f"The data in {root}")
    doubts = _divide(root, images, pictures, choices, notes)
    _check_truth(images, choices, notes)
    notes.raise_any(f"The data in {root}")
    dataset = _dataset(images, numbers, class_names, reading, choices, notes)
    dataset.doubts += doubts
    return dataset


def _fit(rules: Rules, drawing: Drawing, path: Path) -> Fitted | InputError:
    is_sized = drawing.height or drawing.width or any(shape.kind != "tag" for shape in drawing.shapes)
    try:
        # tags alone need no image header; there may be millions of images
        return fit(drawing, path, picture_header(path) if is_sized else Header(0, 0, 1), rules)
    except InputError as error:
        return error


def _locate(reading: Reading, pictures: Pictures, choices: Choices, notes: Notes) -> list[tuple[Drawing, Path]]:
    """Drawings with their images; notes drawings without one, and images with two drawings."""
    found: dict[tuple[Path, str], Drawing] = {}
    missing: list[str] = []
    for drawing in reading.drawings:
        try:
            path = drawing.path or pictures.find(drawing.name, drawing.uploaded)
        except InputError as error:
            missing.append(f"{drawing.where}: {error}.")
            continue
        key = (path, drawing.name if drawing.path else "")  # a layout may list an image under two names
        if key in found:
            notes.add(f"{drawing.where}: {path} is also the picture of {found[key].where}.")
        else:
            found[key] = drawing
    if len(missing) > 1 and not found and pictures.names:
        missing = [
            f"{pictures.root} holds none of the {len(missing)} annotated pictures; is it their folder? {missing[0]}"
        ]
    notes.sentences += missing
    used = {path for path, _ in found}
    unused = [path for path in pictures.files if path not in used]
    if unused and found:
        notes.leave_out("pictures_not_listed", str(unused[0]), len(unused))
    rows = [(drawing, path) for (path, _), drawing in found.items()]
    if choices.leave_out_untouched:
        for drawing, _ in rows:
            notes.leave_out("pictures_untouched", drawing.where, count=int(not drawing.shapes))
        rows = [row for row in rows if row[0].shapes]
    return rows


def _name_classes(root: Path, reading: Reading, first: dict[str, str], choices: Choices, notes: Notes) -> list[str]:
    """The classes in order. first: where each label was first seen."""
    own = [n for n in reading.class_names if not is_no_class(n, choices.class_names) and not is_ignored(n)]
    if not choices.class_names and not own:
        note_alike(first, notes)
    class_names = list(choices.class_names or own or sorted(first))
    hints = Hints()
    for name in sorted(set(first) - set(class_names)):
        notes.add(f"{first[name]}: there is no class '{name}'; {hints.nearest(name, class_names)}")
    if not notes.sentences and not first:
        notes.add(f"{root}: nothing is annotated, so there is nothing to learn{_why_nothing(notes)}.")
    return class_names


def _why_nothing(notes: Notes) -> str:
    told = " ".join(notes.sentences_of_omissions()).rstrip(".")
    return f". {told}" if told else ""


def _divide(root: Path, images: list[_Image], pictures: Pictures, choices: Choices, notes: Notes) -> list[str]:
    """Sets the id and split of each image. Returns a sentence if training images were moved to val."""
    names = [image.drawing.name if image.drawing.path else pictures.name(image.path) for image in images]
    given = [image.drawing.split for image in images]
    splits = _splits(names, given, choices.val_share)
    doubts = []
    if "val" not in splits and "train" in given:
        splits = _splits(names, [""] * len(names), choices.val_share)
        if count := splits.count("val"):
            doubts.append(
                f"No evaluation images are given, so {count} of the {len(names)} training images are used for "
                "evaluation; set `val_share: 0` to train on all of them."
            )
    for image, identity, split in zip(images, identities(names), splits, strict=True):
        image.id, image.split = identity, split
        if not is_file_name(identity):
            notes.add(f"{str(image.path)!r}: its name has a control character, or cannot be a file name; rename it.")
    if images and "train" not in splits:
        notes.add(f"{root}: every image is in val, so there are none to train on.")
    return doubts


def _splits(names: list[str], given: list[str], share: float) -> list[str]:
    """The given splits; images without one are divided by the hashes of their names."""
    undecided = [k for k, split in enumerate(given) if not split]
    chosen = dict(zip(undecided, divide([names[k] for k in undecided], share), strict=True))
    return [split or chosen[k] for k, split in enumerate(given)]


def _check_truth(images: list[_Image], choices: Choices, notes: Notes) -> None:
    """Notes objects without a mask in a split of `truth`, unless they are left out."""
    for split in choices.truth:
        found = [(image, *one) for image in images if image.split == split for one in image.found.without_mask]
        if found and not choices.leave_out_maskless:
            image, label, where = found[0]
            notes.add(
                f"Objects without a mask in the split {split}: {len(found)} (the first: {image.drawing.where}: "
                f"{where}, '{label}'). `truth` says that every object there has one: draw them, leave {split} out of "
                "`truth`, or set `without_mask: leave_out`."
            )


def _check_readings(images: list[_Image], notes: Notes) -> None:
    """Notes if the numbers of most shapes seem to mean something else; a few may do so by chance."""
    doubts = [(kind, image, where) for image in images for kind, where in image.found.doubts]
    clicks = notes.counts.get("boxes_under_one_pixel", 0) + notes.counts.get("shapes_without_area", 0)
    placed = clicks + sum(max(len(image.found.points), len(image.found.boxes)) for image in images)
    for kind, what in (("areas_of_other_boxes", "do not match their areas"), (MAY_BE_SHARES, "lie in the first pixel")):
        odd = [(image, where) for found, image, where in doubts if found == kind]
        if 2 * len(odd) > placed:
            image, where = odd[0]
            reading = SHARES if kind == MAY_BE_SHARES else CORNERS if image.drawing.sized else SIZES
            notes.add(f"Shapes that {what}: {len(odd)} (the first: {where}); {reading}.")


def _dataset(
    images: list[_Image],
    numbers: dict[str, int],
    class_names: list[str],
    reading: Reading,
    choices: Choices,
    notes: Notes,
) -> Dataset:
    places = {name: k for k, name in enumerate(class_names)}
    categories = np.array([places[name] for name in numbers], np.int64)
    records = []
    for image in images:
        found = image.found
        for table in (found.points, found.boxes):
            if len(table):
                table[:, -1] = categories[table[:, -1].astype(np.int64)]
        tags = tuple(sorted(categories[list(found.tags)].tolist()))
        name = image.drawing.name
        records.append(ImageRecord(image.id, image.split, image.path, tags, found.points, found.boxes, name))
    check_ids(records, notes)
    notes.raise_any("The data set")
    truth = pack_truth([(image.id, image.found) for image in images if image.split in choices.truth], categories)
    return Dataset(
        class_names, records, truth, _counts(images, reading), notes.sentences_of_omissions(), notes.counts,
        doubt_sentences([*reading.doubts, *(doubt for image in images for doubt in image.found.doubts)]),
    )  # fmt: skip


def _counts(images: list[_Image], reading: Reading) -> dict:
    found = [image.found for image in images]
    crowds = [int(one.crowd.sum()) for one in found]
    return {
        **reading.counts,
        "shapes": sum(one.kept for one in found),
        "shapes_joined_to_others": sum(one.joined for one in found),
        "masks": sum(len(one.labels) for one in found) - sum(crowds),
        "crowds": sum(crowds),
        "points": sum(len(one.points) for one in found),
        "boxes": sum(len(one.boxes) for one in found),
        "images_with_ignored_pixels": sum(one.ignore is not None for one in found),
        "images_with_crowds_only": sum(0 < len(one.crowd) == count for one, count in zip(found, crowds, strict=True)),
        "objects_without_a_mask": sum(len(one.without_mask) for one in found),
        "images_without_tags": sum(not len(one.tags) for one in found),
    }
