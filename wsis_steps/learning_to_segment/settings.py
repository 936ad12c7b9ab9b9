"""Settings of the steps in learning_to_segment/."""

from typing import Annotated, Literal

from pydantic import Field

from wsis_steps.engine.settings import Count, Fraction, Positive
from wsis_steps.vision.settings import Backbone, DenseCrf, Training


class LearningToSegmentTrain(Training):
    """The semantic network from tags alone (Learning to segment with image-level supervision, WACV 2019)."""

    supervision: Literal["tags", "masks"] = "tags"
    """Set by the run; masks trains the same network on ground-truth masks, as an upper bound."""
    backbone: Backbone = "vgg16"
    """Feature extractor; paper vgg16."""
    skip_width: Positive = 128
    """Channels of a skip connection; paper: not stated."""
    decoder_width: Positive = 256
    """Channels of the decoder's convolutions; paper: not stated."""
    head_lr_factor: Annotated[float, Field(gt=0)] = 10.0
    """Learning rate of new layers, as a multiple of that of pretrained ones; paper 10."""
    iterations: Positive = 40_000
    """Training iterations."""
    batch_size: Positive = 20
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate of pretrained layers."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-5
    """L2 (sgd, adam) or decoupled (adamw)."""
    schedule: Literal["constant", "drop", "poly", "one_cycle", "halve"] = "halve"
    """halve: halves the rate after every tenth of the training (paper: every 4,000 iterations); others as in all
    trainings."""
    resize: Positive = 256
    """Shorter side in pixels before the crop; paper: not stated."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Random scale after that."""
    crop: Positive = 224
    """Side of the random crop, which is the network's input in the paper."""
    photometric: bool = False
    """Random brightness, contrast and hue, each with probability 1/2; not in the paper."""
    rot90: bool = False
    """Random 90-degree rotations and vertical flips; for images without a natural orientation."""
    prior: Literal["bisection", "grid", "none"] = "bisection"
    """How to find the prior that meets the quotas: exactly, by the paper's grid search, or not at all."""
    background_quota: Fraction = 0.4
    """Minimum share of an image for the background (section 3.3)."""
    object_quota: Fraction = 0.2
    """Minimum share of an image for each of its tags (section 3.3)."""
    neighbourhood_weight: Annotated[float, Field(ge=0)] = 0.3
    """Lambda, the weight of the neighborhood loss; paper 0.3; 0 leaves it out."""
    neighbourhood_ramp: Fraction = 0.0
    """Fraction of the training during which that weight rises from 0; paper: 0. In a short training with the full
    weight from the start, a class of thin objects may vanish before it is learned."""
    mean: Literal["exponentiated", "weighted"] = "exponentiated"
    """Mean over the neighbors: Eq. 12 (exponentiated) or Eq. 10 (weighted)."""
    kernel_normalization: Literal["per_kernel", "joint"] = "per_kernel"
    """Normalize each kernel by its own sum and keep its weight, or both by one sum; the paper allows both readings."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the exponent with kernel_normalization: joint; 1 is Eq. 12 as printed."""
    exclude_self: bool = True
    """A pixel is not its own neighbor (Eq. 11)."""
    neighbourhood_gradient: Literal["stop", "full"] = "stop"
    """Whether the loss has a gradient through the neighbors; paper: not stated."""
    appearance_weight: Annotated[float, Field(ge=0)] = 10.0
    """Weight of the appearance kernel."""
    kernel_reading: Literal["nips2011", "later"] = "nips2011"
    """Source of the appearance kernel's position and color: the dense CRF code as published with the cited paper (15
    cells, 20 levels), or as rewritten later (20 cells, 13 levels)."""
    appearance_position: Annotated[float, Field(gt=0)] | None = None
    """Spatial standard deviation in cells of the output, which are 4 input pixels wide; null: from kernel_reading."""
    appearance_color: Annotated[float, Field(gt=0)] | None = None
    """Color standard deviation in levels of 255; null: from kernel_reading."""
    smoothness_weight: Annotated[float, Field(ge=0)] = 3.0
    """Weight of the smoothness kernel."""
    smoothness_position: Annotated[float, Field(gt=0)] = 0.75
    """Standard deviation in cells of the output; 3 pixels in the CRF's own scale."""


class LearningToSegmentInfer(DenseCrf):
    """Semantic maps of training images, limited to their tags, and of evaluation images, without tags."""

    size: Count = 0
    """Images are resized to this square; 0 keeps their aspect ratio. Paper: not stated."""
    short_side: Count | None = None
    """Shorter side of the network's input in pixels, with size: 0. null: as in training, since objects of other sizes
    are found less well; 0: the image's own. Paper: not stated."""
    flip: bool = False
    """Average with the mirrored image; not in the paper."""
    crf_iterations: Count = 0
    """Iterations of a dense CRF over the class probabilities; paper: 0, none."""
    background_weight: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the background probability in training images, whose tags must appear somewhere."""
