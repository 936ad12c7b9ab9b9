"""Class names that may be one name in two spellings: another case, a plural, or a wrong letter.

Names are not compared pair by pair. Two names that differ in one place become equal if the right letter of each is left
out, so a table of all names with one letter left out gives the pairs. Time and memory grow with the number of letters.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from wsis_steps.formats.labels import numbered

ALIKE = 0.85  # of two names that differ in a letter, as difflib measures it
_SHORT, _LONG = 4, 64  # letters: only names longer than the first and not longer than the second are compared
_CROWD = 50  # more names of one form are a family of names, not spelling mistakes


def alike_names(class_names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The places of each two names that are nearly alike, the smaller place first, in order.

    These are names that differ only in case, spaces and signs, a word and its plural in -s or -es, and names of at
    least five letters that differ in one letter or in two swapped neighbors. Names that number the instances of one
    class (car-1, car-2) are left out.
    """
    family = {name: base for base, names in numbered(class_names).items() for name in names}
    letters = ["".join(sign for sign in name.casefold() if sign.isalnum()) for name in class_names]
    whole = _places((name, place) for place, name in enumerate(letters))
    parts = _places((form, place) for place, name in enumerate(letters) for form in _forms(name))
    for place, name in enumerate(letters):
        others = {other for form in _plurals(name) for other in _behind(place, whole.get(form, []))}
        near = {other for form in _forms(name) if len(parts[form]) <= _CROWD for other in parts[form]} - others
        others |= {other for other in near if other > place and _are_alike(name, letters[other])}
        own = family.get(class_names[place])
        for other in sorted(others):
            if own is None or family.get(class_names[other]) != own:
                yield place, other


def _places(rows: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found = defaultdict(list)
    for form, place in rows:
        found[form].append(place)
    return found


def _behind(place: int, places: list[int]) -> list[int]:
    """The next places in a sorted list, at most `_CROWD`."""
    start = bisect_right(places, place)
    return places[start : start + _CROWD]


def _plurals(name: str) -> Iterator[str]:
    """A name, its plurals, and its possible singulars."""
    yield from (name, f"{name}s", f"{name}es")
    yield from (name.removesuffix(end) for end in ("s", "es") if name.endswith(end))


def _forms(name: str) -> set[str]:
    """A name, and the name without each of its letters; nothing for short and very long names."""
    if not _SHORT < len(name) <= _LONG:
        return set()
    return {name, *(name[:k] + name[k + 1 :] for k in range(len(name)))}


def _are_alike(one: str, other: str) -> bool:
    """Whether two names with a common form are similar enough."""
    if (one + other).isdecimal():
        return False
    if _swapped(one, other):
        return True
    most = 2 * (min(len(one), len(other)) - (len(one) == len(other))) / (len(one) + len(other))
    return most >= ALIKE and SequenceMatcher(None, one, other).ratio() >= ALIKE


def _swapped(one: str, other: str) -> bool:
    """Whether two neighboring letters are swapped: 'wahser' for 'washer'."""
    places = [k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    return len(places) == 2 and places[1] - places[0] == 1 and sorted(one) == sorted(other)
