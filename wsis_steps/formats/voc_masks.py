"""Ground truth masks in the layouts of PASCAL VOC (palette PNG) and SBD (GTinst in .mat files)."""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from scipy.ndimage import find_objects

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.ordinary import check_ordinary
from wsis_steps.engine.writers import write_whole
from wsis_steps.formats.files import read_bytes
from wsis_steps.formats.pictures import BROKEN, TooLarge, open_picture
from wsis_steps.formats.regions import paste_mask
from wsis_steps.vision.masks import encode

_TABLE = 1 << 16  # object numbers below this use a lookup table
VOID = 255  # VOC's value for ignored pixels
# What SciPy raises for broken files and files of other kinds.
_NO_MAT = (
    OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, MatReadError, RuntimeError, EOFError,
    OverflowError, MemoryError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a map: its number, its class value, and the run-length code of its pixels."""

    number: int
    value: int
    code: dict


@dataclass(slots=True)
class InstanceMap:
    """The objects of one image; height and width in pixels. void: the code of the unlabelled pixels, or None. path: the
    file to name in errors."""

    path: Path
    height: int
    width: int
    instances: list[Instance]
    void: dict | None = None


def palette() -> list[int]:
    """VOC's colors of the values 0 to 255 (768 integers). Bits 0, 1 and 2 of a value become the highest bits of red,
    green and blue, and so on, so that small values have bright, distinct colors."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    colors = np.zeros((256, 3), int)
    for bit in range(8):
        colors[:, bit % 3] |= bits[:, bit] << (7 - bit // 3)
    return colors.reshape(-1).tolist()


def write_map(path: Path, values: np.ndarray) -> None:
    """Writes uint8 (h, w) as a PNG with VOC's palette."""
    picture = Image.fromarray(values)
    picture.putpalette(palette())
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    write_whole(path, encoded.getvalue())


def open_map(path: Path) -> Image.Image:
    """A PNG, decoded to its end. Raises InputError if it is missing or damaged."""
    content = read_bytes(path)
    try:
        with open_picture(io.BytesIO(content)) as picture:
            picture.load()
            return picture
    except TooLarge as error:
        raise InputError(f"{path} {error}.") from None
    except BROKEN:
        raise InputError(f"{path} is cut short or damaged.") from None


def read_index_png(path: Path) -> np.ndarray:
    """The palette indices (or gray levels) of a PNG, uint8 (h, w)."""
    picture = open_map(path)
    if picture.mode not in ("P", "L"):
        raise InputError(f"{path} has mode {picture.mode}; a mask must be a palette or an 8-bit gray PNG.")
    return np.array(picture)


def split_objects(objects: np.ndarray, classes: np.ndarray) -> list[Instance]:
    """The objects of a map, sorted by number. objects: integers (h, w), 0 for none.

    An object's class is the most frequent positive value of its pixels in `classes` (in VOC, all agree); 0 if there is
    none. Each mask is made from its bounding box only, so neither memory nor time grows with the number of objects
    times the size of the map.
    """
    numbers, dense = _number(objects)
    found = []
    for place, (number, part) in enumerate(zip(numbers.tolist(), find_objects(dense), strict=True), 1):
        mask, own = dense[part] == place, classes[part]
        values, votes = np.unique(own[mask & (own > 0)], return_counts=True)
        value = int(values[votes.argmax()]) if len(values) else 0
        code = paste_mask(mask, part[1].start, part[0].start, *objects.shape)
        found.append(Instance(number, value, code))
    return found


def _number(objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The positive numbers in a map, sorted, and the map with 1, 2, ... in their place, int32."""
    if objects.max() < _TABLE:  # far faster than sorting
        numbers = np.flatnonzero(np.bincount(objects.ravel())[1:]) + 1
        table = np.zeros(_TABLE, np.int32)
        table[numbers] = np.arange(1, 1 + len(numbers))
        return numbers, table[objects]
    numbers = np.unique(objects[objects > 0])
    return numbers, np.where(objects > 0, np.searchsorted(numbers, objects) + 1, 0).astype(np.int32)


def read_png_masks(objects: Path, classes: Path) -> InstanceMap:
    """Reads a SegmentationObject and a SegmentationClass PNG.

    Object 0 is background and 255 void; class values are 1 + category. Raises `InputError` for broken files, different
    sizes, maps that are void everywhere, and objects without a class.
    """
    id_map, class_map = read_index_png(objects), read_index_png(classes)
    if id_map.shape != class_map.shape:
        raise InputError(f"{objects} is {_size(id_map.shape)} but {classes} is {_size(class_map.shape)}.")
    void = (id_map == VOID) | (class_map == VOID)
    if void.all():
        raise InputError(f"{objects} is void (255) everywhere, so it labels nothing.")
    id_map[id_map == VOID] = 0
    class_map[class_map == VOID] = 0
    instances = split_objects(id_map, class_map)
    if orphans := [one.number for one in instances if not one.value]:
        raise InputError(f"{objects}: object {orphans[0]} has no class in {classes}.")
    return InstanceMap(objects, *id_map.shape, instances, encode(void[None])[0] if void.any() else None)


def read_sbd_masks(path: Path) -> InstanceMap:
    """Reads GTinst.Segmentation and GTinst.Categories of an SBD file (inst/<id>.mat). SBD has no void pixels.

    Raises `InputError` for a file that is missing, broken or of another kind.
    """
    check_ordinary(path)
    try:
        truth = loadmat(path, squeeze_me=False, struct_as_record=False)["GTinst"][0, 0]
        id_map = np.asarray(truth.Segmentation).astype(np.int64)
        values = np.asarray(truth.Categories, dtype=np.int64).ravel()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except _NO_MAT:
        raise InputError(f"{path} is not an SBD instance file with GTinst.") from None
    if id_map.ndim != 2 or id_map.size == 0 or id_map.min() < 0:
        raise InputError(f"{path} is not an SBD instance file with GTinst.")
    if (largest := int(id_map.max())) > min(len(values), VOID - 1):
        raise InputError(f"{path}: object {largest} has no class among its {len(values)} categories.")
    instances = split_objects(id_map, np.concatenate([[0], values])[id_map])
    return InstanceMap(path, *id_map.shape, instances)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


@dataclass(frozen=True)
class MaskFolders:
    """Where ground truth masks are: a VOC tree and, for images without PNG masks there, SBD's folder of .mat files."""

    root: Path
    sbd_instances: Path | None

    def exist(self) -> bool:
        """Whether there are any masks."""
        return self.sbd_instances is not None or (self.root / "SegmentationObject").is_dir()

    def read(self, name: str) -> InstanceMap:
        """The masks of image `name`. Raises `InputError` if there are none."""
        objects = self.root / "SegmentationObject" / f"{name}.png"
        mat = self.sbd_instances / f"{name}.mat" if self.sbd_instances else None
        if objects.exists():
            return read_png_masks(objects, self.root / "SegmentationClass" / f"{name}.png")
        if mat and mat.exists():
            return read_sbd_masks(mat)
        also = f" and neither does {mat}" if mat else ""
        raise InputError(f"{objects} does not exist{also}; leave its split out of `truth` if it has no masks.")
