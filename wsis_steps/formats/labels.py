"""Names that are no classes: what tools and conventions write in the place of a class."""

import re
from collections import defaultdict
from collections.abc import Collection

from wsis_steps.formats.rings import shown

IGNORED_LABEL = "__ignore__"  # LabelMe's: pixels that do not count, 255 in VOC's masks
IGNORED = frozenset({IGNORED_LABEL})
NO_CLASS = frozenset({"", "_background_", "__background__", "background"})
_NUMBERED = re.compile(r"(.*[^\W\d_])(?:[\s_.#-]*\d+|[\s_.#-]+[A-Za-z])", re.DOTALL)


def label_text(label: object) -> str:
    """A label as text without spaces around it; ValueError where it is neither text nor a number."""
    if isinstance(label, str):
        return label.strip()
    if isinstance(label, int) and not isinstance(label, bool):
        return str(label)
    raise ValueError(f"{shown(label)} is no name of a class")


def is_ignored(label: str, chosen: Collection[str] = ()) -> bool:
    """Whether a label marks pixels that do not count; not where it is a chosen class."""
    return label.casefold() in IGNORED and label not in chosen


def is_no_class(label: str, chosen: Collection[str] = ()) -> bool:
    """Whether a label says that there is none, or that something is background; not where it is a chosen class."""
    return label.casefold() in NO_CLASS and label not in chosen


def numbered(class_names: Collection[str]) -> dict[str, list[str]]:
    """What names that differ only in a number or a letter at their end begin with -> these names: car-1 and car-2 ->
    car."""
    groups = defaultdict(list)
    for name in class_names:
        if found := _NUMBERED.fullmatch(name):
            groups[found.group(1)].append(name)
    return {
        base: sorted(names)
        for base, names in groups.items()
        if len(names) > 1 and (len(names) + (base in class_names)) > 1
    }
