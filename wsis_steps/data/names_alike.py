"""Names of classes that may be one name written twice: with another case, a plural, or a letter wrong.

All pairs are found by what they have in common, not by comparing every name with every other: two names that differ in
one place have one form without a letter in common, which a table of all such forms gives. So time and memory grow with
the letters of all names.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from wsis_steps.formats.labels import numbered

ALIKE = 0.85  # of two names that differ in a letter, as difflib measures it
_SHORT, _LONG = 4, 64  # letters; of shorter names one letter may make all the difference, of longer ones none
_CROWD = 50  # names of one form, which are a family of names, not one written wrong


def alike_names(class_names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The places of two names that are nearly alike, smaller place first, in order.

    Alike are names that differ in capitals, spaces and signs only, a word and its plural in -s or -es, and names of
    five letters or more that differ in one letter, or in two neighbours that changed places. Names that count the
    instances of one class (car-1, car-2) are not told here.
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
    """The next places of a sorted list, of a crowd the nearest."""
    start = bisect_right(places, place)
    return places[start : start + _CROWD]


def _plurals(name: str) -> Iterator[str]:
    """A name, its plurals, and the names that it may be the plural of."""
    yield from (name, f"{name}s", f"{name}es")
    yield from (name.removesuffix(end) for end in ("s", "es") if name.endswith(end))


def _forms(name: str) -> set[str]:
    """A name as it is and with one letter less, at each place; none of one that is short or very long."""
    if not _SHORT < len(name) <= _LONG:
        return set()
    return {name, *(name[:k] + name[k + 1 :] for k in range(len(name)))}


def _are_alike(one: str, other: str) -> bool:
    """Whether two names that have a form in common are near enough."""
    if (one + other).isdecimal():
        return False
    if _swapped(one, other):
        return True
    most = 2 * (min(len(one), len(other)) - (len(one) == len(other))) / (len(one) + len(other))
    return most >= ALIKE and SequenceMatcher(None, one, other).ratio() >= ALIKE


def _swapped(one: str, other: str) -> bool:
    """Whether two neighbouring letters have changed places: 'wahser' for 'washer'."""
    places = [k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    return len(places) == 2 and places[1] - places[0] == 1 and sorted(one) == sorted(other)
