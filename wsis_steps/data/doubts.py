"""What is allowed in a data set but makes learning from it harder: told before anything is trained."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import combinations, permutations

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.labels import numbered
from wsis_steps.formats.pictures import picture_size
from wsis_steps.formats.records import SPLITS, Dataset, ImageRecord

FEW_IMAGES = 20  # of a class, in training
SMALL = 32  # pixels of the shorter side
UNEVEN = 20  # times as many images of one class as of another
ALIKE = 0.85  # of two names, as difflib measures it
_CHANCE = 2  # images that two classes may share without anything being wrong
_NAMED = 3  # images that a sentence names


def find_doubts(dataset: Dataset) -> list[str]:
    """A sentence for each doubt about the classes, tags and pictures of a data set."""
    train = [record for record in dataset.records if record.split == "train"]
    return [
        *dataset.doubts,
        *_names_alike(dataset.class_names, dataset.records),
        *_names_that_count(dataset.class_names),
        *_names_of_names(dataset.class_names),
        *_few_images(train, dataset.class_names),
        *_inseparable(train, dataset.class_names),
        *_untagged(train),
        *_never_validated(dataset),
        *_small(dataset.records),
    ]


def _some(records: Sequence[ImageRecord]) -> str:
    """'a.jpg, b.jpg, c.jpg and 4 more'."""
    names = ", ".join(str(record.path) for record in records[:_NAMED])
    return names + (f" and {len(records) - _NAMED} more" if len(records) > _NAMED else "")


def _names_alike(class_names: Sequence[str], records: Sequence[ImageRecord]) -> list[str]:
    def bare(name: str) -> str:
        return "".join(sign for sign in name.casefold() if sign.isalnum())

    found, counted = [], [set(names) for names in numbered(class_names).values()]
    for one, other in combinations(class_names, 2):
        if any({one, other} <= names for names in counted):
            continue  # told as names that count
        a, b = bare(one), bare(other)
        if abs(len(a) - len(b)) > 2:
            continue
        longer, shorter = max(a, b, key=len), min(a, b, key=len)
        plural = longer in (f"{shorter}s", f"{shorter}es")
        long_enough = len(shorter) > 4 and not (shorter + longer).isdecimal()
        alike = _swapped(a, b) or SequenceMatcher(None, a, b).ratio() >= ALIKE
        if a == b or plural or (long_enough and alike):
            users = [[r for r in records if class_names.index(name) in r.tags] for name in (one, other)]
            fewer = min(zip((one, other), users, strict=True), key=lambda pair: len(pair[1]))
            found.append(
                f"The classes '{one}' and '{other}' are nearly alike; if they are one, write them alike ('{fewer[0]}': "
                f"{_some(fewer[1]) or 'no image'})."
            )
    return found


def _swapped(one: str, other: str) -> bool:
    """Whether two neighbouring letters have changed places: 'wahser' for 'washer'."""
    places = [k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    return sorted(one) == sorted(other) and len(places) == 2 and places[1] - places[0] == 1


def _names_that_count(class_names: Sequence[str]) -> list[str]:
    """Classes that tell the instances of one apart."""
    found = []
    for base, names in numbered(class_names).items():
        shown = ", ".join(f"'{name}'" for name in names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        found.append(
            f"The classes {shown} differ only at their ends; if they count instances of one class, name all of them "
            f"'{base.rstrip(' _-')}'."
        )
    return found


def _names_of_names(class_names: Sequence[str]) -> list[str]:
    """Classes whose names are those of others side by side."""
    found = [name for name in class_names if len(words := name.split()) > 1 and set(words) <= set(class_names)]
    if not found:
        return []
    named = ", ".join(f"'{name}'" for name in found)
    return [
        f"{named} is made of the names of other classes; tags with a semicolon or comma anywhere have no spaces "
        "between them."
    ]


def _table(train: Sequence[ImageRecord], count: int) -> np.ndarray:
    """bool (images, classes): the tags."""
    tags = np.zeros((len(train), count), bool)
    for row, record in zip(tags, train, strict=True):
        row[list(record.tags)] = True
    return tags


def _few_images(train: Sequence[ImageRecord], class_names: Sequence[str]) -> list[str]:
    images = _table(train, len(class_names)).sum(axis=0)
    few = [f"{name} {count}" for name, count in zip(class_names, images.tolist(), strict=True) if count < FEW_IMAGES]
    found = [f"Few training images of: {', '.join(few)}; some hundred a class are a good start."] if few else []
    if len(images) and images.max() > UNEVEN * max(images.min(), 1):
        most, least = class_names[images.argmax()], class_names[images.argmin()]
        found.append(
            f"Classes are uneven: {images.max()} training images of '{most}', {images.min()} of '{least}', which will "
            "be found less."
        )
    return found


def _inseparable(train: Sequence[ImageRecord], class_names: Sequence[str]) -> list[str]:
    """Classes that are on every image, and pairs that never come alone: tags cannot tell what of it is what."""
    if len(class_names) == 1:
        name = class_names[0]
        if not all(record.tags for record in train):
            return []
        return [f"'{name}' is the only class and on every training image; add images without it, with empty tags."]
    tags = _table(train, len(class_names))
    images = tags.sum(axis=0)
    found = [
        f"Class '{name}' is on every training image, so tags cannot tell it from the background; add images without it."
        for name, count in zip(class_names, images.tolist(), strict=True)
        if count == len(train) > 0
    ]
    together = tags.T.astype(int) @ tags.astype(int)
    for a, b in combinations(range(len(class_names)), 2):
        if _CHANCE < together[a, b] == images[a] == images[b] < len(train):
            one, other = class_names[a], class_names[b]
            found.append(f"'{one}' and '{other}' are always on the same images, so tags cannot tell them apart.")
    for a, b in permutations(range(len(class_names)), 2):
        if _CHANCE < together[a, b] == images[a] < images[b] < len(train):
            one, other = class_names[a], class_names[b]
            found.append(f"'{other}' is on every image of '{one}', so tags hardly tell what of these is '{one}'.")
    return found


def _untagged(train: Sequence[ImageRecord]) -> list[str]:
    bare = [record for record in train if not record.tags]
    if 2 * len(bare) <= len(train):
        return []
    return [f"{len(bare)} of {len(train)} training images have no tag, such as {_some(bare)}; are they really empty?"]


def _never_validated(dataset: Dataset) -> list[str]:
    """Classes that training knows and validation does not, where there is any."""
    tags = {split: set() for split in SPLITS}
    for record in dataset.records:
        tags[record.split].update(record.tags)
    missing = [dataset.class_names[tag] for tag in sorted(tags["train"] - tags["val"])]
    if not missing or not tags["val"]:
        return []
    return [f"No val image of: {', '.join(missing)}; how well these classes are found can be neither scored nor seen."]


def _small(records: Sequence[ImageRecord]) -> list[str]:
    small = []
    for record in records:
        try:
            if min(picture_size(record.path)) < SMALL:
                small.append(record)
        except InputError:
            continue  # reading the picture tells what is wrong with it
    return [f"{len(small)} images have a side of fewer than {SMALL} pixels: {_some(small)}."] if small else []
