"""CVAT's "Segmentation mask 1.1" with its images: colored maps of classes and of objects, a labelmap.txt, lists."""

from pathlib import Path

import cv2
import numpy as np

from authors import Picture, write_picture

CARRIES = {"mask", "split", "empty"}
LISTS = "ImageSets/Segmentation"


def write(folder: Path, pictures: list[Picture]) -> Path | None:
    """Writes the pictures, the maps of those with masks, and the lists of all; what is background is no object."""
    names = sorted({str(mark.label) for picture in pictures for mark in picture.marks} - {"background"})
    colors = {name: (10 + 20 * k, 200 - 15 * k, 30) for k, name in enumerate(names)}
    for name in ("SegmentationClass", "SegmentationObject", LISTS):
        (folder / name).mkdir(parents=True)
    rows = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    rows += [f"{name}:{','.join(map(str, color))}::" for name, color in colors.items()]
    (folder / "labelmap.txt").write_text("".join(f"{row}\n" for row in rows))
    for seed, picture in enumerate(pictures):
        write_picture(folder / "JPEGImages" / picture.name, *picture.size, seed)
        marks = [mark for mark in picture.marks if str(mark.label) in colors]
        classes, objects = np.zeros((2, *picture.size, 3), np.uint8)
        for number, mark in enumerate(marks, 1):
            classes[mark.geometry > 0] = colors[str(mark.label)]
            objects[mark.geometry > 0] = color_of(number)
        for kind, values in {"SegmentationClass": classes, "SegmentationObject": objects}.items():
            if marks:
                cv2.imwrite(str(folder / kind / f"{Path(picture.name).stem}.png"), values[..., ::-1])
    for split in {picture.split for picture in pictures}:
        ids = [Path(picture.name).stem for picture in pictures if picture.split == split]
        (folder / LISTS / f"{split or 'default'}.txt").write_text("".join(f"{one}\n" for one in ids))
    return None


def color_of(number: int) -> tuple[int, int, int]:
    """VOC's color of an object, by its definition."""
    color = [0, 0, 0]
    for bit in range(8):
        color[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return tuple(color)


def count(folder: Path, annotations: Path | None) -> int:
    """The colors of all maps of objects."""
    total = 0
    for file in sorted((folder / "SegmentationObject").glob("*.png")):
        pixels = cv2.imread(str(file)).reshape(-1, 3)
        total += len({tuple(pixel) for pixel in pixels.tolist()} - {(0, 0, 0)})
    return total
