"""Decodes, normalizes and augments images together with their maps and points.

An augmentation is one affine map, so images are shrunk and sampled only once, however they are scaled and turned.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.images import Images

cv2.setNumThreads(0)  # images are loaded in worker processes; threads inside them would only compete
LARGE = 1 << 20  # pixels; larger images are halved first, which is many times faster than shrinking them at once
CACHE = 1 << 28  # bytes of decoded images kept in memory if a whole split fits; label maps may add to this


class Pictures:
    """Decoded images of `images.h5`; keeps them in memory if all of `members` fit in `CACHE` bytes.

    members: the images that are read more than once; by default none.
    """

    def __init__(self, images: Images, members: np.ndarray | None = None) -> None:
        self.images = images
        if members is None:
            self.cache = None
            return
        pixels = images.heights[members].astype(np.int64) * images.widths[members]
        self.cache: dict[int, np.ndarray] | None = {} if pixels.sum() * 3 <= CACHE else None

    def read(self, i: int) -> np.ndarray:
        """uint8 RGB (h, w, 3) of image i; InputError if its bytes are damaged."""
        if self.cache is not None and i in self.cache:
            return self.cache[i]
        try:
            picture = cv2.imdecode(self.images.encoded(i), cv2.IMREAD_COLOR_RGB)
        except cv2.error:  # more pixels than OpenCV may decode
            picture = None
        if picture is None:
            raise InputError(f"{self.images.path}: image '{self.images.ids[i]}' is damaged; import the data again.")
        if self.cache is not None:
            self.cache[i] = picture
        return picture


def shrink(picture: np.ndarray, long_side: int) -> np.ndarray:
    """The image with its longer side at most `long_side`; 0 keeps any size."""
    height, width = picture.shape[:2]
    scale = long_side / max(height, width)
    if long_side == 0 or scale >= 1:
        return picture
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Geometry:
    """An affine map (2, 3) from source to target in pixel corners, and the target's height and width.

    Corners, not pixel centers: pixel (x, y) covers x to x + 1, as in boxes.
    """

    matrix: np.ndarray
    height: int
    width: int

    def _centers(self) -> np.ndarray:
        """The same map in pixel centers, as OpenCV expects it."""
        shift = self.matrix[:, :2] @ [0.5, 0.5] - 0.5
        return np.column_stack([self.matrix[:, :2], self.matrix[:, 2] + shift])

    def picture(self, picture: np.ndarray, fill: tuple[int, int, int] = (124, 116, 104)) -> np.ndarray:
        """The mapped RGB image; outside of the source, the ImageNet mean color, where `labels` has its fill value.

        Axes that get shorter are first averaged by area to nearly the final scale, since sampling alone would alias.
        The rest is bilinear, without blending the border with the outside.
        """
        if np.array_equal(self.matrix, np.eye(2, 3)) and picture.shape[:2] == (self.height, self.width):
            return picture
        small, near = self._shrink(picture)
        moved = cv2.warpAffine(
            small, near._centers(), (self.width, self.height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        if not self._reaches_out(*picture.shape[:2]):
            return moved
        inside = self.labels(np.ones(picture.shape[:2], np.uint8))
        canvas = cv2.rectangle(np.empty_like(moved), (0, 0), (self.width, self.height), fill, cv2.FILLED)
        return cv2.copyTo(moved, inside, canvas)

    def _shrink(self, picture: np.ndarray) -> tuple[np.ndarray, "Geometry"]:
        """The image with each shortened axis at its final scale, in whole pixels, and the map from there."""
        sides, halvings = np.array(picture.shape[1::-1]), 0
        scales = np.minimum(np.linalg.norm(self.matrix[:, :2], axis=0), 1)
        size = np.maximum(np.rint(sides * scales), 1).astype(int)
        small = picture
        while sides.prod() > LARGE and (2 * size <= sides).all():
            right, bottom = sides % 2
            if right or bottom:  # the edge is repeated, which changes no sample inside the image
                small = cv2.copyMakeBorder(small, 0, int(bottom), 0, int(right), cv2.BORDER_REPLICATE)
            sides, halvings = -(-sides // 2), halvings + 1
            small = cv2.resize(small, sides.tolist(), interpolation=cv2.INTER_AREA)
        if (size != sides).any():
            small = cv2.resize(small, size.tolist(), interpolation=cv2.INTER_AREA)
        factors = 2**halvings * sides / size
        return small, Geometry(self.matrix * [*factors, 1], self.height, self.width)

    def _reaches_out(self, height: int, width: int) -> bool:
        """Whether the center of a target pixel may lie outside of a source of this size."""
        corners = np.array([[x, y] for x in (0.5, self.width - 0.5) for y in (0.5, self.height - 0.5)])
        places = np.linalg.solve(self.matrix[:, :2], (corners - self.matrix[:, 2]).T)
        return bool((places < 0.01).any() or (places > np.array([[width], [height]]) - 0.01).any())

    def labels(self, labels: np.ndarray, fill: int = 0) -> np.ndarray:
        """Samples the nearest label of a label map: uint8, or int32 with values below 2^24."""
        if np.array_equal(self.matrix, np.eye(2, 3)) and labels.shape == (self.height, self.width):
            return labels.copy()
        exact = labels.astype(np.float32) if labels.dtype == np.int32 else labels
        warped = cv2.warpAffine(
            exact, self._centers(), (self.width, self.height), flags=cv2.INTER_NEAREST, borderValue=fill
        )
        return warped.astype(labels.dtype)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2+) whose first columns are pixel coordinates x, y; drops those outside of the target."""
        moved = points.copy()
        moved[:, :2] = (points[:, :2] + 0.5) @ self.matrix[:, :2].T + self.matrix[:, 2] - 0.5
        rounded = np.rint(moved[:, :2])
        inside = (rounded >= 0).all(1) & (rounded[:, 0] < self.width) & (rounded[:, 1] < self.height)
        return moved[inside]

    def boxes(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) xyxy of corners; the map may rotate by quarter turns only."""
        corners = boxes.reshape(-1, 2, 2) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    def then(self, second: "Geometry") -> "Geometry":
        """This map followed by a second one, whose source is this one's target."""
        return Geometry(_compose(second.matrix, self.matrix), second.height, second.width)


def fit(height: int, width: int, to_height: int, to_width: int) -> Geometry:
    """Resizes to exactly (to_height, to_width)."""
    return Geometry(np.array([[to_width / width, 0, 0], [0, to_height / height, 0]]), to_height, to_width)


def resize_by(height: int, width: int, factor: float) -> Geometry:
    """Resizes both sides by a factor, to whole pixels, at least one."""
    return fit(height, width, max(round(height * factor), 1), max(round(width * factor), 1))


def random_crop(
    rng: np.random.Generator,
    height: int,
    width: int,
    size: int,
    scale: tuple[float, float] = (1.0, 1.0),
    rot90: bool = False,
) -> Geometry:
    """Random scale, crop or padding to a square of `size` at a random place, horizontal flip, and quarter turns."""
    height, width = max(round(height * scale[0]), 1), max(round(width * scale[1]), 1)
    offset_x = _offset(rng, width, size)
    offset_y = _offset(rng, height, size)
    turned = flip_and_rot90(rng, size, size, rot90)
    matrix = _compose(turned.matrix, np.array([[scale[1], 0, offset_x], [0, scale[0], offset_y]]))
    return Geometry(matrix, size, size)


def flip_and_rot90(rng: np.random.Generator, height: int, width: int, rot90: bool = False) -> Geometry:
    """Random horizontal flip and, with `rot90`, random quarter turns; loses or blends no pixel."""
    matrix = np.eye(2, 3)
    if rng.random() < 0.5:
        matrix = np.array([[-1.0, 0, width], [0, 1, 0]])
    for _ in range(rng.integers(4) if rot90 else 0):
        matrix = _compose(np.array([[0, -1, height], [1, 0, 0]]), matrix)
        height, width = width, height
    return Geometry(matrix, height, width)


def _offset(rng: np.random.Generator, side: int, size: int) -> int:
    """Position of the source's edge: negative if it is cropped, positive if it is padded."""
    return -int(rng.integers(side - size + 1)) if side >= size else int(rng.integers(size - side + 1))


def _compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def jitter(rng: np.random.Generator, picture: np.ndarray, strengths: tuple[float, float, float, float]) -> np.ndarray:
    """Random brightness, contrast, saturation (factors 1 +- strength) and hue (+- strength of the color circle)."""
    brightness, contrast, saturation, hue = strengths
    if not any(strengths):
        return picture
    values = picture.astype(np.float32) * rng.uniform(1 - brightness, 1 + brightness)
    gray = values @ np.float32([0.299, 0.587, 0.114])
    values = gray.mean() + (values - gray.mean()) * rng.uniform(1 - contrast, 1 + contrast)
    gray = values @ np.float32([0.299, 0.587, 0.114])
    values = gray[..., None] + (values - gray[..., None]) * rng.uniform(1 - saturation, 1 + saturation)
    return _shift_hue(np.clip(values, 0, 255).astype(np.uint8), rng.uniform(-hue, hue) * 180)


def distort(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Brightness +-16, contrast 0.5 to 1.5, hue +-36 degrees, each with probability 1/2 (BESTIE, released code)."""
    gain = rng.uniform(0.5, 1.5) if rng.random() < 0.5 else 1.0
    shift = rng.uniform(-16, 16) if rng.random() < 0.5 else 0.0
    changed = cv2.convertScaleAbs(np.maximum(picture * np.float32(gain) + np.float32(gain * shift), 0))
    return _shift_hue(changed, rng.uniform(-18, 18)) if rng.random() < 0.5 else changed


def _shift_hue(picture: np.ndarray, shift: float) -> np.ndarray:
    """Shifts the hue by `shift` of OpenCV's 180 steps."""
    if round(shift) == 0:
        return picture
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + round(shift)) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
