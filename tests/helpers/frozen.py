"""A frozen classifier for small images of any size, from its features to its maps."""

from pathlib import Path

import numpy as np
from artifacts import CLASSES, png, provenance
from calls import Outcome, call

from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter

FROZEN = {"backbone": "small", "weights": "none", "output_stride": 8, "long_sides": [64]}
SIZES = [(48, 64), (64, 48), (30, 50), (64, 64), (17, 101), (40, 64), (64, 33), (96, 128)]  # the last of val


def write_pictures(path: Path, seed: int = 0) -> Path:
    """Blocks of random colors; image k has class k mod 2, except that image 2 has both and image 4 has no tag."""
    tags = {2: [0, 1], 4: []}
    none = np.zeros((0, 3), np.float32), np.zeros((0, 5), np.float32)
    with create(path, Images.schema, provenance(CLASSES, ())) as file:
        writer = ImagesWriter(file)
        for k, (height, width) in enumerate(SIZES):
            blocks = (
                np.random.default_rng((seed, k)).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3)).astype(np.uint8)
            )
            picture = blocks.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
            annotation = Annotation(np.array(tags.get(k, [k % 2]), np.int64), *none)
            split = "val" if k == len(SIZES) - 1 else "train"
            writer.add(f"image{k}", split, png(picture), height, width, annotation)
        writer.close()
    return path


def extract(folder: Path, shard: str = "1/1", **settings) -> Outcome:
    """Makes `features.h5` of the `images.h5` of a folder, or the features of a part of the images."""
    files = {"images": folder / "images.h5", "features": folder / "features.h5", "shard": shard}
    return call("classifier.extract", {**FROZEN, **settings}, **files)


def learn(folder: Path, work: Path | None = None, **settings) -> Outcome:
    """Makes `model.pt`. work: a folder for checkpoints, as the workflow gives one."""
    files = {"images": folder / "images.h5", "features": folder / "features.h5"}
    outputs = {"model": folder / "model.pt", "metrics": folder / "metrics.jsonl"} | ({"work": work} if work else {})
    return call("classifier.train", {**FROZEN, "frozen": True, **settings}, **files, **outputs)


def infer(folder: Path, shard: str = "1/1", **settings) -> Outcome:
    """Makes `maps.h5`, or the maps of a part of the images."""
    names = {"images": "images.h5", "features": "features.h5", "model": "model.pt", "maps": "maps.h5"}
    return call("classifier.infer", settings, **{name: folder / file for name, file in names.items()}, shard=shard)


def learn_pixels(folder: Path, **settings) -> Outcome:
    """Makes `probabilities.h5`."""
    names = ("features", "maps", "probabilities")
    return call("classifier.learn_pixels", settings, **{name: folder / f"{name}.h5" for name in names})


def make(folder: Path, stride: int = 8, **settings) -> Path:
    """All of them."""
    write_pictures(folder / "images.h5")
    done = [extract(folder, **settings), learn(folder, **settings), infer(folder, stride=stride)]
    assert [outcome.status for outcome in done] == [0, 0, 0], [outcome.errors for outcome in done]
    return folder
