"""Finds the image that a file of proposals names: by id, by file name, or by COCO's number."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

NUMBER = re.compile(r"(?:COCO_[a-z]+\d+_)?0*(\d{1,18})")  # 000000000139, COCO_val2014_000000000139


class ImageNames:
    """Finds the ids of images.

    ids: as made by the data import, which replaces slashes in file names by underscores.

    Attributes:
        twins: for images that may be in both splits (`images_in_both`), from the id of the evaluation image, <id>_val,
            to that of the training image, which external files use.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = frozenset(ids)
        self.twins = {twin: identity for identity in ids if (twin := f"{identity}_val") in self.ids}
        numbers = {identity: number for identity in ids if (number := _number(identity)) is not None}
        counts = Counter(numbers.values())
        self.numbers = {number: identity for identity, number in numbers.items() if counts[number] == 1}

    def find(self, name: str | int) -> str | None:
        """The id of the image with this name, or None if there is none or more than one."""
        if isinstance(name, int):
            return self.numbers.get(name)
        path = PurePosixPath(name)
        spelled = (name, str(path.parent / path.stem).replace("/", "_"), path.stem)
        found = next((candidate for candidate in spelled if candidate in self.ids), None)
        return found or self.numbers.get(_number(path.stem))


def _number(text: str) -> int | None:
    match = NUMBER.fullmatch(text)
    return int(match[1]) if match else None
