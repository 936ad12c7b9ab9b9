"""A folder of pictures for each class, as ImageNet has them; in a folder a subset, as torchvision's ImageFolder."""

from pathlib import Path

from authors import Picture, write_picture

CARRIES = {"tag", "split"}


def write(folder: Path, pictures: list[Picture]) -> None:
    """Writes each picture into the folder of its only tag."""
    for seed, picture in enumerate(pictures):
        [mark] = picture.marks
        write_picture(folder / picture.split / str(mark.label) / picture.name, *picture.size, seed)


def count(folder: Path, annotations: Path | None) -> int:
    """The pictures in folders that are not hidden."""
    return sum(path.suffix in (".jpg", ".png", ".jfif") for path in folder.glob("**/[!.]*/[!.]*"))
