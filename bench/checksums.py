"""Cost of checksums when reading: images in random order as in training, activation maps, label maps, instances.

Baseline: the same files without checksums, as in the first version of the contracts. Both are read alternately from
memory, where a checksum costs most.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np

from bench.evaluation import CLASSES, HEIGHT, WIDTH, draw_scene
from bench.labels import milliseconds
from bench.rows import Row
from wsis_steps.engine.provenance import Provenance
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.images import Pictures

IMAGES, INSTANCES, TURNS, STRIDE = 64, 2000, 15, 4
MADE = Provenance("bench", "{}", "", "", class_names=tuple(map(str, range(CLASSES))))
NONE = Annotation(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 5)))


def write_pictures(path: Path, rng: np.random.Generator) -> None:
    """JPEG images of VOC's size, about 100 kB each."""
    with create(path, Images.schema, MADE) as file:
        writer = ImagesWriter(file)
        for k in range(IMAGES):
            noise = cv2.resize(rng.integers(0, 256, (HEIGHT // 3, WIDTH // 3, 3)).astype(np.uint8), (WIDTH, HEIGHT))
            writer.add(str(k), "train", cv2.imencode(".jpg", noise)[1].tobytes(), HEIGHT, WIDTH, NONE)
        writer.close()


def write_maps(path: Path, rng: np.random.Generator, shape: tuple[int, int], dtype: type) -> None:
    """One smooth map per image; labels if the type is an integer."""
    with create(path, Maps.schema, MADE) as file:
        writer = MapsWriter(file, shape, dtype)
        for k in range(IMAGES):
            smooth = cv2.resize(rng.random((6, 8)), shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
            one = smooth if dtype is np.float16 else smooth * 3
            writer.add(str(k), HEIGHT, WIDTH, one[None].astype(dtype), [0])
        writer.close()


def without_checksums(path: Path) -> Path:
    """A copy of a file in the first version of the contracts."""
    copy = path.with_name(f"plain_{path.name}")
    with h5py.File(path) as whole, h5py.File(copy, "w") as plain:
        plain.attrs.update({**whole.attrs, "schema_version": 1})

        def add(name: str, found: h5py.Dataset | h5py.Group) -> None:
            if isinstance(found, h5py.Dataset):
                names = ("chunks", "maxshape", "compression", "compression_opts", "shuffle")
                options = {option: getattr(found, option) for option in names}
                plain.create_dataset(name, data=found[:], dtype=found.dtype, **options)

        whole.visititems(add)
    return copy


def read_in_turns(path: Path, read: Callable[[Path], Callable[[], object]]) -> tuple[float, float]:
    """Milliseconds to read a file and its copy without checksums, medians of several turns."""
    both = read(path), read(without_checksums(path))
    times = [[milliseconds(one, repeats=1) for one in both] for _ in range(TURNS)]
    return tuple(np.median(times, axis=0))


def pictures(path: Path) -> Callable[[], object]:
    """Reads and decodes all images of a file in random order."""
    images = Pictures(Images(path))
    order = np.random.default_rng(0).permutation(IMAGES)
    return lambda: [images.read(i) for i in order]


def maps(path: Path) -> Callable[[], object]:
    """Reads all maps of a file in random order."""
    found, order = Maps(path), np.random.default_rng(0).permutation(IMAGES)
    return lambda: [found.read(i) for i in order]


def instances(path: Path) -> Callable[[], object]:
    """Opens a file of instances and reads all of them."""
    return lambda: list(Instances(path))


def measure(folder: Path) -> list[Row]:
    """All rows of this benchmark; `folder` is for the data."""
    rng, rows = np.random.default_rng(0), []
    write_pictures(folder / "pictures.h5", rng)
    write_maps(folder / "activation.h5", rng, (HEIGHT // STRIDE, WIDTH // STRIDE), np.float16)
    write_maps(folder / "labels.h5", rng, (HEIGHT, WIDTH), np.uint8)
    scene = draw_scene(rng)[1]
    sizes = [HEIGHT] * INSTANCES, [WIDTH] * INSTANCES
    write_instances(folder / "instances.h5", MADE, list(map(str, range(INSTANCES))), *sizes, [scene] * INSTANCES)
    readers = {"pictures": pictures, "activation": maps, "labels": maps, "instances": instances}
    for name, read in readers.items():
        checked, plain = read_in_turns(folder / f"{name}.h5", read)
        count = INSTANCES if name == "instances" else IMAGES
        what = f"reading {name} with checksums"
        rows.append(Row(what, checked / count, "ms/image", "without", plain / count, 1.05, of_ratio=True))
    return rows
