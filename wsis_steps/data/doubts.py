"""Warnings about data sets that are valid but hard to learn from, given before training."""

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice

from wsis_steps.data.names_alike import alike_names
from wsis_steps.engine.errors import InputError
from wsis_steps.formats.labels import numbered
from wsis_steps.formats.pictures import picture_size
from wsis_steps.formats.records import SPLITS, Dataset, ImageRecord
from wsis_steps.vision.masks import MOST_CLASSES

FEW_IMAGES = 20  # training images of a class
SMALL = 32  # pixels of the shorter side
MOST = 0.8  # share of the training images that a class may be on
FEW_CLASSES = 5  # below which images of other classes do not show all that background can be
UNEVEN = 20  # ratio between the numbers of images of two classes
_CHANCE = 2  # images that two classes may share by chance
_NAMED = 3  # images named in a sentence
_MOST_TOLD = 20  # names in a sentence, and sentences of a kind


def find_doubts(dataset: Dataset) -> list[str]:
    """A sentence for each doubt about the classes, tags and images of a data set."""
    train = [record for record in dataset.records if record.split == "train"]
    return [
        *dataset.doubts,
        *_more_than_labels(dataset.class_names),
        *_names_alike(dataset.class_names, dataset.records),
        *_names_that_count(dataset.class_names),
        *_names_of_names(dataset.class_names),
        *_few_images(train, dataset.class_names),
        *_inseparable(train, dataset.class_names),
        *_no_background(train, dataset.class_names),
        *_untagged(train),
        *_never_validated(dataset),
        *_small(dataset.records),
    ]


def _some(records: Sequence[ImageRecord], count: int | None = None) -> str:
    """'a.jpg, b.jpg, c.jpg and 4 more'; count: of how many, by default all."""
    count = len(records) if count is None else count
    names = ", ".join(str(record.path) for record in records[:_NAMED])
    return names + (f" and {count - _NAMED} more" if count > _NAMED else "")


def _listed(names: Sequence[str]) -> str:
    """A list of names, cut off after the first few."""
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return ", ".join(names[:_MOST_TOLD]) + more


def _told(sentences: Sequence[str]) -> list[str]:
    """Sentences of one kind; if there are many, the first and the number of the others."""
    more = [f"... and {len(sentences) - _MOST_TOLD} more of this kind."] if len(sentences) > _MOST_TOLD else []
    return [*sentences[:_MOST_TOLD], *more]


def _more_than_labels(class_names: Sequence[str]) -> list[str]:
    if len(class_names) <= MOST_CLASSES:
        return []
    return [
        f"There are {len(class_names)} classes, but label maps are bytes and hold at most {MOST_CLASSES}: steps that "
        "make or learn semantic maps will stop."
    ]


def _names_alike(class_names: Sequence[str], records: Sequence[ImageRecord]) -> list[str]:
    pairs = list(islice(alike_names(class_names), _MOST_TOLD + 1))
    counts, first = images_of({place for pair in pairs[:_MOST_TOLD] for place in pair}, records)
    found = []
    for pair in pairs[:_MOST_TOLD]:
        fewer = min(pair, key=lambda place: counts[place])
        one, other = (class_names[place] for place in pair)
        images = _some(first[fewer], counts[fewer]) or "no image"
        found.append(
            f"The classes '{one}' and '{other}' are nearly alike; if they are the same, use one spelling "
            f"('{class_names[fewer]}': {images})."
        )
    more = [f"More classes are nearly alike; the first {_MOST_TOLD} pairs are listed."]
    return found + more * (len(pairs) > _MOST_TOLD)


def images_of(places: Collection[int], records: Sequence[ImageRecord]) -> tuple[Counter, dict[int, list[ImageRecord]]]:
    """The number of images of each of some classes, and the first few of these images."""
    counts, first = Counter(), {place: [] for place in places}
    for record in records if places else ():
        for tag in record.tags:
            if tag in first:
                counts[tag] += 1
                first[tag] += [record] if counts[tag] <= _NAMED else []
    return counts, first


def _names_that_count(class_names: Sequence[str]) -> list[str]:
    """Class names that number the instances of one class."""
    found = []
    for base, names in numbered(class_names).items():
        shown = ", ".join(f"'{name}'" for name in names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        found.append(
            f"The classes {shown} differ only at their ends; if they number instances of one class, name all of them "
            f"'{base.rstrip(' _-')}'."
        )
    return _told(found)


def _names_of_names(class_names: Sequence[str]) -> list[str]:
    """Class names that consist of other class names."""
    known = set(class_names)
    found = [f"'{name}'" for name in class_names if len(words := name.split()) > 1 and known.issuperset(words)]
    if not found:
        return []
    return [
        f"{_listed(found)} consists of names of other classes; once any row has a semicolon or comma, spaces do not "
        "separate tags."
    ]


def _few_images(train: Sequence[ImageRecord], class_names: Sequence[str]) -> list[str]:
    counts = Counter(tag for record in train for tag in record.tags)
    images = [counts[k] for k in range(len(class_names))]
    few = [f"{name} {count}" for name, count in zip(class_names, images, strict=True) if count < FEW_IMAGES]
    found = [f"Few training images of: {_listed(few)}; a few hundred per class are a good start."] if few else []
    if images and max(images) > UNEVEN * max(min(images), 1):
        most, least = (class_names[images.index(end(images))] for end in (max, min))
        found.append(
            f"Classes are unbalanced: {max(images)} training images of '{most}', but {min(images)} of '{least}', which "
            "will be found less often."
        )
    return found


def _inseparable(train: Sequence[ImageRecord], class_names: Sequence[str]) -> list[str]:
    """Classes that are on every image, or pairs that never occur alone: tags cannot tell such classes apart."""
    if len(class_names) == 1:
        name = class_names[0]
        if not all(record.tags for record in train):
            return []
        return [f"'{name}' is the only class and on every training image; add images without it, with empty tags."]
    counts = Counter(tag for record in train for tag in record.tags)
    everywhere = [
        f"Class '{name}' is on every training image, so tags cannot tell it from the background; add images without it."
        for k, name in enumerate(class_names)
        if counts[k] == len(train) > 0
    ]
    same, within = [], []
    for one, others in sorted(companions(train).items()):
        for other in others if _CHANCE < counts[one] < len(train) else ():
            a, b = class_names[one], class_names[other]
            if counts[one] == counts[other] and one < other:
                same.append(f"'{a}' and '{b}' are always on the same images, so tags cannot tell them apart.")
            elif counts[one] < counts[other] < len(train):
                within.append(f"'{b}' is on every image of '{a}', so tags hardly show which parts are '{a}'.")
    return [*_told(everywhere), *_told(same), *_told(within)]


def _no_background(train: Sequence[ImageRecord], class_names: Sequence[str]) -> list[str]:
    """Classes on most images but not on all, which `_inseparable` tells, and images of few classes none of which is
    empty."""
    counts, most = Counter(tag for record in train for tag in record.tags), MOST * len(train)
    often = [
        f"Class '{name}' is on {counts[k]} of {len(train)} training images, so tags hardly tell it from the "
        "background; add images without it."
        for k, name in enumerate(class_names)
        if most < counts[k] < len(train)
    ]
    enough = len(class_names) >= FEW_CLASSES or not all(record.tags for record in train)
    if enough or any(counts[k] > most for k in range(len(class_names))):  # these ask for such images already
        return _told(often)
    return [f"Each of the {len(train)} training images has a tag; add images without any object, with empty tags."]


def companions(train: Sequence[ImageRecord]) -> dict[int, list[int]]:
    """The other classes that are on all images of a class, by class; classes without any are left out.

    The time is proportional to the number of tags, times the number of companions of a class.
    """
    found: dict[int, set[int]] = {}
    for record in train:
        tags = set(record.tags)
        for tag in record.tags:
            if tag not in found:
                found[tag] = tags - {tag}
            elif found[tag]:
                found[tag] = found[tag] & tags
    return {tag: sorted(others) for tag, others in found.items() if others}


def _untagged(train: Sequence[ImageRecord]) -> list[str]:
    bare = [record for record in train if not record.tags]
    if 2 * len(bare) <= len(train):
        return []
    return [f"{len(bare)} of {len(train)} training images have no tag, such as {_some(bare)}; are they really empty?"]


def _never_validated(dataset: Dataset) -> list[str]:
    """Classes that occur in training but not in validation."""
    tags = {split: set() for split in SPLITS}
    for record in dataset.records:
        tags[record.split].update(record.tags)
    missing = [dataset.class_names[tag] for tag in sorted(tags["train"] - tags["val"])]
    if not missing or not tags["val"]:
        return []
    return [f"No val image of: {_listed(missing)}; for these classes there will be neither scores nor examples."]


def _small(records: Sequence[ImageRecord]) -> list[str]:
    small = []
    for record in records:
        try:
            if min(picture_size(record.path)) < SMALL:
                small.append(record)
        except InputError:
            continue  # reading the image reports what is wrong with it
    return [f"{len(small)} images have a side of fewer than {SMALL} pixels: {_some(small)}."] if small else []
