"""Errors that users can fix, each told in one sentence."""

import difflib
from collections.abc import Collection, Iterable, Sequence


class InputError(Exception):
    """An error that the user can fix: a key, a path, a broken file. Its text is one sentence, written for people.

    A step prints it without a traceback and exits with status 2, leaving no partial output. If there are several
    problems, `sentences` holds all of them, while the text may contain only the first.
    """

    def __init__(self, text: str, sentences: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.sentences = tuple(sentences) or (text,)


class Hints:
    """`nearest` for the first few wrong names only: each search goes through all valid names, and a file may have a
    million wrong rows."""

    def __init__(self, most: int = 20) -> None:
        self._most, self._told = most, {}

    def nearest(self, name: str, valid: Collection[str]) -> str:
        """The clause of `nearest`; after the first few names, the number of valid ones."""
        if name not in self._told and len(self._told) >= self._most:
            return f"there are {len(valid)} valid names"
        return self._told[name] if name in self._told else self._told.setdefault(name, nearest(name, valid))


def nearest(name: str, valid: Iterable[str]) -> str:
    """A clause with the valid value nearest to `name`; if none is near, with all valid values."""
    valid = sorted(map(str, valid))
    close = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.5)
    if close:
        return f"the nearest is '{close[0]}'"
    return "valid: " + ", ".join(valid) if valid else "there is no valid value"
