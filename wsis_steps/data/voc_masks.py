"""True masks in the layouts of PASCAL VOC (palette PNG) and of SBD (GTinst in .mat files)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from scipy.ndimage import find_objects

from wsis_steps.data.pictures import picture_size
from wsis_steps.data.records import ImageRecord, TrueInstances, middle_points
from wsis_steps.engine.errors import InputError
from wsis_steps.vision.masks import encode

VOID = 255  # the value that VOC gives to pixels that do not count


@dataclass
class InstanceMap:
    """The instances of one image: `id_map` uint8 HxW (0 background), `ids` (n,) sorted and present in it,
    their 0-based `categories` (n,), and `void`, the bool HxW region that nobody labelled. `path` is the file
    to blame."""

    path: Path
    id_map: np.ndarray
    ids: np.ndarray
    categories: np.ndarray
    void: np.ndarray


def read_index_png(path: Path) -> np.ndarray:
    """The palette indices (or gray levels) of a PNG, uint8 HxW."""
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("P", "L"):
                raise InputError(f"{path} has mode {picture.mode}; a mask must be a palette or an 8-bit gray PNG.")
            return np.array(picture)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is cut short or damaged: {error}.") from None


def read_png_masks(objects: Path, classes: Path) -> InstanceMap:
    """Reads a SegmentationObject and a SegmentationClass PNG.

    Object 0 is background and 255 void; class values are 1 + category. An instance's category is the class
    value that most of its pixels have, which in VOC is all of them. Raises `InputError` for files that are
    broken, of different sizes, void everywhere, or that give an object no class.
    """
    id_map, class_map = read_index_png(objects), read_index_png(classes)
    if id_map.shape != class_map.shape:
        raise InputError(f"{objects} is {_size(id_map.shape)} but {classes} is {_size(class_map.shape)}.")
    void = (id_map == VOID) | (class_map == VOID)
    if void.all():
        raise InputError(f"{objects} is void (255) everywhere, so it says nothing of the image.")
    id_map = np.where(id_map == VOID, 0, id_map).astype(np.uint8)
    votes = np.bincount(id_map.ravel() * np.int64(256) + class_map.ravel(), minlength=256 * 256).reshape(256, 256)
    ids = 1 + np.flatnonzero(votes[1:].any(axis=1))
    votes = votes[ids, 1:VOID]
    if not votes.any(axis=1).all():
        orphan = ids[~votes.any(axis=1)][0]
        raise InputError(f"{objects}: object {orphan} has no class in {classes}.")
    return InstanceMap(objects, id_map, ids, votes.argmax(axis=1), void)


def read_sbd_masks(path: Path) -> InstanceMap:
    """Reads GTinst.Segmentation and GTinst.Categories of an SBD file (inst/<id>.mat). SBD has no void pixels.

    Raises `InputError` for a file that is missing, broken or holds something else.
    """
    try:
        truth = loadmat(path, squeeze_me=False, struct_as_record=False)["GTinst"][0, 0]
        id_map = np.asarray(truth.Segmentation)
        categories = np.asarray(truth.Categories, dtype=np.int64).ravel() - 1
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, MatReadError) as error:
        raise InputError(f"{path} is not an SBD instance file with GTinst: {error}.") from None
    ids = np.unique(id_map[id_map > 0]).astype(np.int64)
    if len(ids) and ids.max() > min(len(categories), 254):
        raise InputError(f"{path}: object {ids.max()} has no class among its {len(categories)} categories.")
    return InstanceMap(path, id_map.astype(np.uint8), ids, categories[ids - 1], np.zeros(id_map.shape, bool))


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


@dataclass(frozen=True)
class MaskFolders:
    """Where true masks lie: a VOC tree and, for images without PNG masks there, SBD's folder of .mat
    files."""

    root: Path
    sbd_instances: Path | None
    classes: int

    def read(self, name: str, image: Path) -> InstanceMap:
        """The masks of image `name`, checked against the size of its picture and the number of classes."""
        objects = self.root / "SegmentationObject" / f"{name}.png"
        mat = self.sbd_instances / f"{name}.mat" if self.sbd_instances else None
        if objects.exists():
            found = read_png_masks(objects, self.root / "SegmentationClass" / f"{name}.png")
        elif mat and mat.exists():
            found = read_sbd_masks(mat)
        else:
            also = f" and neither does {mat}" if mat else ""
            raise InputError(f"{objects} does not exist{also}; leave its split out of `truth` if it has no masks.")
        if found.id_map.shape != picture_size(image):
            size = _size(picture_size(image))
            raise InputError(f"{found.path} is {_size(found.id_map.shape)} but {image} is {size}.")
        if len(found.ids) and not 0 <= found.categories.min() <= found.categories.max() < self.classes:
            value = found.categories.max() + 1
            raise InputError(f"{found.path}: class value {value} is not one of 1..{self.classes}.")
        return found


@dataclass(frozen=True)
class VocTruth:
    """The `truth` of a VOC data set: masks for the images of `splits`, None for others. Small and
    picklable."""

    folders: MaskFolders
    splits: tuple[str, ...]

    def __call__(self, record: ImageRecord) -> TrueInstances | None:
        """Reads the masks of `record`; void pixels become the ignore region. Raises `InputError`."""
        if record.split not in self.splits:
            return None
        found = self.folders.read(record.path.stem, record.path)
        ignore = encode(found.void[None])[0] if found.void.any() else None
        masks = encode(found.id_map == found.ids[:, None, None])
        return TrueInstances(masks, found.categories.astype(np.int64), np.zeros(len(masks), bool), ignore)


def mask_points(found: InstanceMap) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each instance: a point inside (int64 (n, 2) of x, y), its box (float32 (n, 4), xyxy, last pixel + 1)
    and its category (n,)."""
    slices = [place for place in find_objects(found.id_map) if place]
    boxes = np.array([[x.start, y.start, x.stop, y.stop] for y, x in slices], np.float32).reshape(-1, 4)
    return middle_points(found.id_map, found.ids), boxes, found.categories
