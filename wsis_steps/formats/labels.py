"""Labels that are not classes: background, ignored pixels, empty labels."""

import re
from collections import defaultdict
from collections.abc import Collection

from wsis_steps.formats.rings import shown

IGNORED_LABEL = "__ignore__"  # LabelMe's name for ignored pixels, 255 in VOC's masks
IGNORED = frozenset({IGNORED_LABEL})
NO_CLASS = frozenset({"", "_background_", "__background__", "background"})
_NUMBERED = re.compile(r"(.*[^\W\d_])(?:[\s_.#-]*\d+|[\s_.#-]+[A-Za-z])", re.DOTALL)


def label_text(label: object) -> str:
    """A label as stripped text. Raises ValueError if it is neither text nor a whole number."""
    if isinstance(label, str):
        return label.strip()
    if isinstance(label, int) and not isinstance(label, bool):
        return str(label)
    raise ValueError(f"{shown(label)} is no name of a class")


def is_ignored(label: str, chosen: Collection[str] = ()) -> bool:
    """Whether a label marks ignored pixels; never for a chosen class."""
    return label.casefold() in IGNORED and label not in chosen


def is_no_class(label: str, chosen: Collection[str] = ()) -> bool:
    """Whether a label is empty or means background; never for a chosen class."""
    return label.casefold() in NO_CLASS and label not in chosen


def numbered(class_names: Collection[str]) -> dict[str, list[str]]:
    """Class names that differ only in a number or letter at the end, by their common part: car -> car-1, car-2."""
    groups = defaultdict(list)
    for name in class_names:
        if found := _NUMBERED.fullmatch(name):
            groups[found.group(1)].append(name)
    return {
        base: sorted(names)
        for base, names in groups.items()
        if len(names) > 1 and (len(names) + (base in class_names)) > 1
    }
