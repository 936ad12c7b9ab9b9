"""The neighborhood loss: every pixel's class probabilities should match those of nearby pixels of similar color.

Learning to segment with image-level supervision (WACV 2019), sections 3.4 (Eq. 8, 10 to 12) and 3.5 (Prop. 3.1).
Neighbors are weighted by a kernel of two parts (Eq. 11), as in the dense CRF of Krähenbühl and Koltun:

    appearance  exp(-|color_i - color_j|^2 / (2 color^2) - |place_i - place_j|^2 / (2 position^2))
    smoothness  exp(-|place_i - place_j|^2 / (2 position^2)), of another, much smaller position

Places are in pixels of the probability map, a quarter of the network's input; colors in levels of 255. The paper
approximates both sums on a lattice. Here they are exact up to rounding: the appearance kernel pair by pair, the
smoothness kernel in a window.

The appearance kernel is never stored as a whole. It is symmetric, and computed in parts that fit the cache, each used
for its rows and for its columns. Storing it would take 39 MB for 56 x 56 pixels, and a CPU sums it no faster than it
recomputes it. A `Neighbourhood` keeps what can be reused for the same pictures.
"""

import math
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from wsis_steps.engine.errors import InputError
from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain
from wsis_steps.vision.device import precise
from wsis_steps.vision.ranks import divisor

# Position in cells of the output, a quarter of the picture, and color in levels of 255: the paper takes both from the
# example of the dense CRF's code and divides positions by four. The code of NIPS 2011, which the paper cites, has 60
# and 20 there, its later version 80 and 13.
READINGS = MappingProxyType({"nips2011": (15.0, 20.0), "later": (20.0, 13.0)})
LEAST_SIMILARITY = 2.0**-30  # of any two pixels; one unlike all others has the mean of all as its neighbor
SMALLEST_SUM = 1e-30  # of similarities; a pixel without a valid neighbor has sums of 0 divided by it, not 0 / 0
LOWEST_PROBABILITY = 1e-12  # of a class among the neighbors, so its logarithm is finite
LOWEST_LOGARITHM = -1e3  # of a probability, instead of -inf
CACHE_PART, GPU_PART = 2**19, 2**26  # pairs of pixels at a time; 2 and 256 MB


class AppearanceKernel:
    """Sums over all pixels, weighted by similarity of color and place: `kernel(values)`.

    pictures: (B, 3, h, w), colors from 0 to 255 of any type; float64 makes the kernel float64, all else float32.
    color: in levels, position: in pixels, the theta of each. exclude_self: a pixel is not its own neighbor.

    2^-30 is added to each similarity, far below the rounding error of a sum with a similar pixel in it; pixels less
    similar than that may get no more.

    float32 needs true float32 products: if torch may use TF32 for matrices (not its default), similarities are off by
    up to a fifth.
    """

    @torch.no_grad()
    def __init__(self, pictures: Tensor, *, color: float, position: float, exclude_self: bool) -> None:
        if pictures.ndim != 4 or pictures.shape[1] != 3:
            raise InputError(f"pictures have the shape (images, 3, height, width), not {tuple(pictures.shape)}")
        self.exclude_self = exclude_self
        count, _, *self.size = pictures.shape
        colors = precise(pictures).flatten(2) / color
        y, x = (torch.arange(side, device=colors.device, dtype=colors.dtype) / position for side in self.size)
        places = torch.stack(torch.meshgrid(y, x, indexing="ij")).flatten(1)
        # Powers of 2 are four times as fast as those of e. Near 0 the squares below cancel with the least error.
        features = torch.cat([colors, places.expand(count, -1, -1)], dim=1) * math.sqrt(math.log2(math.e))
        features = features - features.mean(dim=2, keepdim=True)
        brightness = features[:, :3].sum(dim=1) / math.sqrt(3)  # along a unit axis: at most the distance
        brightness, self.order = brightness.sort(dim=1)
        self.places = self.order.argsort(dim=1)
        features = features.gather(2, self.order[:, None].expand_as(features))
        squares, ones = features.square().sum(dim=1, keepdim=True) / 2, torch.ones_like(features[:, :1])
        # -|f_i - f_j|^2 / 2 = f_i f_j - |f_i|^2 / 2 - |f_j|^2 / 2 as one product
        self.left = torch.cat([features, squares, ones], dim=1).mT.contiguous()
        self.right = torch.cat([features, -ones, -squares], dim=1)
        self._plan(brightness)

    def _plan(self, brightness: Tensor) -> None:
        """Sets the number of images and rows of their kernels computed at once, and the first column that each part
        needs.

        Pixels are ordered by brightness, so those too dark to resemble a row's pixels come first. On a GPU this is
        skipped, since reading the result would wait for all pending work.
        """
        count, pixels = brightness.shape
        on_cpu = brightness.device.type == "cpu"
        part = CACHE_PART if on_cpu else GPU_PART
        self.height = min(pixels, max(1, part // pixels))
        self.images = min(count, max(1, part // pixels**2))
        tops = brightness[:, :: self.height]
        self.firsts = [[0] * tops.shape[1]] * count
        if on_cpu:
            reach = math.sqrt(-2 * math.log2(LEAST_SIMILARITY))
            self.firsts = torch.searchsorted(brightness, tops.contiguous() - reach).tolist()

    def __call__(self, values: Tensor) -> Tensor:
        """Sums (B, C, h, w) of values (B, C, h, w) of the kernel's type, with gradient."""
        return _AppearanceSums.apply(values, self)

    def _sums(self, values: Tensor) -> Tensor:
        """Like `__call__`, without gradient."""
        count, pixels = self.order.shape
        result = values.new_empty(count, values.shape[1], pixels)
        buffer = values.new_empty(self.images * self.height * pixels)  # allocating it each time would cost more
        # Autocast does not change operations with an output argument, so all products keep the kernel's precision.
        for image in range(0, count, self.images):
            images = slice(image, image + self.images)
            order, places = (index[images, None].expand(-1, values.shape[1], -1) for index in (self.order, self.places))
            given = values[images].flatten(2).gather(2, order)
            sums = (LEAST_SIMILARITY * given.sum(dim=2, keepdim=True)).expand_as(given).contiguous()
            if self.exclude_self:
                sums.sub_(given, alpha=LEAST_SIMILARITY)
            for top, first in zip(range(0, pixels, self.height), self.firsts[image], strict=True):
                rows, before = slice(top, min(top + self.height, pixels)), slice(first, top)
                columns = slice(first, rows.stop)
                left, right = self.left[images, rows], self.right[images, :, columns]
                shape = (*left.shape[:2], right.shape[2])
                similarity = torch.bmm(left, right, out=buffer[: math.prod(shape)].view(shape)).exp2_()
                if self.exclude_self:
                    similarity[:, :, top - first :].diagonal(dim1=1, dim2=2).zero_()
                sums[:, :, columns].baddbmm_(given[:, :, rows], similarity)
                if top > first:  # the kernel is symmetric: these columns' rows need the same numbers
                    sums[:, :, rows].baddbmm_(given[:, :, before], similarity[:, :, : top - first].mT)
            torch.gather(sums, 2, places, out=result[images])
        return result.unflatten(2, self.size)


class _AppearanceSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, kernel: AppearanceKernel) -> Tensor:
        ctx.kernel = kernel
        return kernel._sums(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.kernel._sums(gradient), None  # the kernel is symmetric


class SmoothnessKernel:
    """Sums over nearby pixels, weighted by distance: `kernel(values)`.

    position: theta in pixels; pixels more than 4 theta away, rounded up, along an axis do not count (3 pixels for
    0.75). exclude_self: a pixel is not its own neighbor.
    """

    def __init__(self, *, position: float, exclude_self: bool) -> None:
        self.position, self.exclude_self = position, exclude_self
        self.radius = math.ceil(4 * position)

    def __call__(self, values: Tensor) -> Tensor:
        """Sums (B, C, h, w) of float values (B, C, h, w), with gradient."""
        down, across = (self._along(side, values) for side in values.shape[2:])
        with torch.autocast(values.device.type, enabled=False):
            sums = down @ (values @ across)
        return sums - values if self.exclude_self else sums

    def _along(self, side: int, like: Tensor) -> Tensor:
        """Weights (side, side) between the pixels of a line; for so few windows faster than a convolution."""
        places = torch.arange(side, device=like.device, dtype=like.dtype)
        distance = places[:, None] - places
        return torch.exp(-(distance**2) / (2 * self.position**2)).where(distance.abs() <= self.radius, 0)


def appearance_scales(settings: LearningToSegmentTrain) -> tuple[float, float]:
    """Position in cells and color in levels of the appearance kernel: as given, otherwise by `kernel_reading`."""
    position, color = READINGS[settings.kernel_reading]
    return settings.appearance_position or position, settings.appearance_color or color


class Neighbourhood:
    """The pixels around each pixel of some pictures, and their weights (Eq. 11).

    Args:
        pictures: (B, 3, h, w), colors from 0 to 255 of any type, in the resolution of the probabilities; float64
            makes all results float64, all else float32.
        valid: bool (B, h, w), False where padded: such pixels are nobody's neighbors. None: all count.
        settings: with `kernel_normalization` per_kernel the sums of each kernel are divided by its own weights, and the
            exponent is appearance_weight times one mean plus smoothness_weight times the other. joint divides the sum
            of both by the sum of all weights, as Eq. 10 and 12 are written; only the ratio of the kernels' weights then
            matters, and a `temperature` of 1 is Eq. 12, which for 21 classes lets no probability exceed 0.12.

    Raises InputError for shapes that do not fit, or if both kernels have no weight.
    """

    def __init__(self, pictures: Tensor, valid: Tensor | None, settings: LearningToSegmentTrain) -> None:
        self.weights = settings.appearance_weight, settings.smoothness_weight
        if not sum(self.weights):
            raise InputError("appearance_weight and smoothness_weight are both 0, so pixels have no neighbors.")
        position, color = appearance_scales(settings)
        self.kernels = (
            AppearanceKernel(pictures, color=color, position=position, exclude_self=settings.exclude_self),
            SmoothnessKernel(position=settings.smoothness_position, exclude_self=settings.exclude_self),
        )
        self.shape = (pictures.shape[0], *pictures.shape[2:])
        if valid is not None and valid.shape != self.shape:
            raise InputError(f"pictures of {self.shape} need valid pixels of that shape, not {tuple(valid.shape)}")
        self.dtype = precise(pictures[:0]).dtype
        self.valid, self.mean, self.temperature = valid, settings.mean, settings.temperature
        self.normalization = settings.kernel_normalization

    def log_distribution(self, probabilities: Tensor) -> Tensor:
        """Logarithm of p_neighb, float (B, L, h, w), finite, with gradient.

        probabilities: (B, L, h, w) of any floating type, sums of 1 over the L classes.
        """
        if (probabilities.shape[0], *probabilities.shape[2:]) != self.shape:
            raise InputError(f"pictures of {self.shape} do not fit probabilities {tuple(probabilities.shape)}")
        # The sums over ones are those of the weights.
        values = torch.cat([probabilities, torch.ones_like(probabilities[:, :1])], dim=1).to(self.dtype)
        if self.valid is not None:
            values = values.where(self.valid[:, None], 0)
        appearance, smoothness = (kernel(values) for kernel in self.kernels)
        first, second = self.weights
        if self.normalization == "joint":
            strength = 1 if self.mean == "weighted" else self.temperature
            mean = _divide(appearance * first + smoothness * second, strength)
        else:
            strength = 1 / (first + second) if self.mean == "weighted" else 1
            mean = _divide(appearance, strength * first) + _divide(smoothness, strength * second)
        if self.mean == "weighted":
            return mean.clamp(min=LOWEST_PROBABILITY).log()
        return mean.log_softmax(dim=1)


def _divide(sums: Tensor, factor: float) -> Tensor:
    """Sums (B, L + 1, h, w), the last one of the weights: the others divided by it, times a factor."""
    return sums[:, :-1] * (factor / sums[:, -1:].clamp(min=SMALLEST_SUM))


def neighbourhood_loss(logits: Tensor, neighbourhood: Neighbourhood, gradient: Literal["stop", "full"]) -> Tensor:
    """KL(p || p_neighb) of the predicted probabilities p, its mean over the valid pixels of the batch (Eq. 8); scalar,
    0 or more, to be minimized.

    logits: (B, L, h, w) of any floating type, finite or -inf for an impossible class; if the possible classes are
    known, their logits are enough.
    gradient: `stop` treats p_neighb as a constant, so each pixel moves towards its neighbors; with `full` these move
    too. 0 if no pixel is valid. Raises InputError as `Neighbourhood` does.
    """
    logarithm = logits.to(neighbourhood.dtype).log_softmax(dim=1).clamp(min=LOWEST_LOGARITHM)
    probabilities = logarithm.exp()
    target = neighbourhood.log_distribution(probabilities if gradient == "full" else probabilities.detach())
    losses = (probabilities * (logarithm - target)).sum(dim=1)
    if neighbourhood.valid is None:
        return losses.mean()
    return losses.where(neighbourhood.valid, 0).sum() / divisor(neighbourhood.valid.sum())
