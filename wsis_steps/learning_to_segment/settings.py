"""Settings of the steps in learning_to_segment/."""

from typing import Annotated, Literal

from pydantic import Field

from wsis_steps.engine.settings import Count, Fraction, Positive
from wsis_steps.vision.settings import Backbone, DenseCrf, Training


class LearningToSegmentTrain(Training):
    """The semantic network from tags alone (Learning to segment with image-level supervision, WACV 2019)."""

    supervision: Literal["tags", "masks"] = "tags"
    """Set by the run: masks trains the same network on the true masks, as an upper bound."""
    backbone: Backbone = "vgg16"
    """Feature extractor; paper vgg16."""
    skip_width: Positive = 128
    """Channels that a skip connection brings; the paper does not say."""
    decoder_width: Positive = 256
    """Channels of the decoder's convolutions; the paper does not say."""
    head_lr_factor: Annotated[float, Field(gt=0)] = 10.0
    """New layers learn this many times as fast as pretrained ones; paper 10."""
    iterations: Positive = 40_000
    """Training iterations."""
    batch_size: Positive = 20
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of pretrained layers."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-5
    """L2 (sgd, adam) or decoupled (adamw)."""
    schedule: Literal["constant", "drop", "poly", "one_cycle", "halve"] = "halve"
    """halve: by two after every tenth of the training (paper: every 4,000 iterations); the rest as in other steps."""
    resize: Positive = 256
    """Shorter side before the crop; the paper does not say."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Random scale after that."""
    crop: Positive = 224
    """Side of the random crop: the network's input in the paper."""
    photometric: bool = False
    """Random brightness, contrast and hue, each with probability 1/2; not in the paper."""
    rot90: bool = False
    """Random quarter turns and vertical flips; for pictures without an up."""
    prior: Literal["bisection", "grid", "none"] = "bisection"
    """How the prior that meets the quotas is found: exactly, by the paper's grid search, or not at all."""
    background_quota: Fraction = 0.4
    """Smallest share of a picture that is background (section 3.3)."""
    object_quota: Fraction = 0.2
    """Smallest share of a picture for each of its tags (section 3.3)."""
    neighbourhood_weight: Annotated[float, Field(ge=0)] = 0.3
    """Lambda of the neighbourhood loss; paper 0.3; 0 leaves it out."""
    neighbourhood_ramp: Fraction = 0.0
    """Share of the training during which that weight grows from 0; paper: none. In a short training, with the whole
    weight from the start, a class whose objects are thin may vanish before it is learned."""
    mean: Literal["exponentiated", "weighted"] = "exponentiated"
    """Of the neighbours: Eq. 12 or Eq. 10."""
    kernel_normalization: Literal["per_kernel", "joint"] = "per_kernel"
    """Each kernel by its own sum, weights kept, or both by one sum; the paper can be read either way."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the exponent where kernels are normalized jointly; 1 is Eq. 12 as printed."""
    exclude_self: bool = True
    """A pixel is not its own neighbour (Eq. 11)."""
    neighbourhood_gradient: Literal["stop", "full"] = "stop"
    """Whether the loss also moves the neighbours; the paper does not say."""
    appearance_weight: Annotated[float, Field(ge=0)] = 10.0
    """Of the appearance kernel."""
    kernel_reading: Literal["nips2011", "later"] = "nips2011"
    """Where the appearance kernel's position and color come from, in the code of the dense CRF: as published with the
    paper that is named (15 cells, 20 levels) or as rewritten later (20 cells, 13 levels)."""
    appearance_position: Annotated[float, Field(gt=0)] | None = None
    """Cells of the output, a quarter of the input; null: that of kernel_reading."""
    appearance_color: Annotated[float, Field(gt=0)] | None = None
    """Levels of 255; null: that of kernel_reading."""
    smoothness_weight: Annotated[float, Field(ge=0)] = 3.0
    """Of the smoothness kernel."""
    smoothness_position: Annotated[float, Field(gt=0)] = 0.75
    """Cells of the output; 3 pixels in the CRF's own scale."""


class LearningToSegmentInfer(DenseCrf):
    """Semantic maps of training images, with their tags, and of evaluation images, without."""

    size: Count = 0
    """Images are resized to this square; 0 keeps their shape. The paper does not say."""
    short_side: Count | None = None
    """Pixels that the shorter side of an image has for the network, where `size` is 0; null: as in the training, since
    objects of other sizes are found less well; 0: the image's own. The paper does not say."""
    flip: bool = False
    """Average with the mirrored image; not in the paper."""
    crf_iterations: Count = 0
    """Of a dense CRF over the class probabilities; paper: 0, none."""
    background_weight: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the background's probability in training images, whose tags say what must be there."""
