"""The instances of a split with their pictures, as the writers of other tools' formats take them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.names import is_file_name, path_below, printable
from wsis_steps.engine.writers import whole, write_whole
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances

_PNG = b"\x89PNG"


@dataclass(frozen=True)
class LabelledImage:
    """One image: its id, the bytes of its picture and their suffix (.jpg or .png), its size and its instances."""

    id: str
    data: bytes
    suffix: str
    height: int
    width: int
    instances: ImageInstances

    @property
    def file(self) -> str:
        """The name of the picture's file."""
        return self.id + self.suffix


@dataclass
class Labels:
    """Instances of the images of one split (`train` or `val`); `scored` where scores are worth keeping."""

    images: Iterable[LabelledImage]
    count: int
    class_names: Sequence[str]
    split: str
    scored: bool
    origin: str


def read_labels(instances: Instances, images: Images, min_score: float = 0.0) -> Labels:
    """All images of a file of instances, read one by one; what scores less is left out.

    Control characters in class names are escaped. Raises InputError if the two files are of different data, or the
    file has no image, or one whose id cannot be a file name.
    """
    if not len(instances):
        raise InputError(f"{instances.path} holds no image.")
    check_names(instances)
    check_same_classes(images, instances)
    where = places(images, instances)
    split = str(images.splits[where[0]])
    scored = any((found.scores != 1).any() for found in instances)
    made = instances.provenance.step

    def read() -> Iterator[LabelledImage]:
        for i, place in enumerate(where.tolist()):
            data = images.encoded(place).tobytes()
            found = instances.read(i)
            found = found.at(np.flatnonzero(found.scores >= min_score))
            height, width = int(instances.heights[i]), int(instances.widths[i])
            suffix = ".png" if data.startswith(_PNG) else ".jpg"
            yield LabelledImage(instances.ids[i], data, suffix, height, width, found)

    class_names = [printable(name) for name in instances.class_names]
    return Labels(read(), len(instances), class_names, split, scored, made)


def check_names(artifact: Artifact) -> None:
    """Raises InputError if the id of an image would lead out of the folder of an export."""
    for identity in artifact.ids:
        if not is_file_name(identity):
            raise InputError(
                f"{artifact.path} holds an image {identity!r}, which cannot be the name of a file below a folder; "
                "nothing of it is written."
            )


def write_data(folder: Path, image: LabelledImage) -> None:
    """Writes the picture of an image into a folder, which is made."""
    write_whole(path_below(folder, image.file), image.data)


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A text file that grows in the block and is put in place when that ends without an error; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part, part.open("w", encoding="utf-8") as file:
        yield file
