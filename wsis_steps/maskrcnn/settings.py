"""Settings of the steps in maskrcnn/."""

from typing import Annotated, Literal

from pydantic import Field

from wsis_steps.engine.settings import Count, Fraction, Positive
from wsis_steps.vision.settings import Backbone, DenseCrf, Training


class MaskrcnnTrain(Training):
    """Mask R-CNN on any labels (values: the IRN author's recipe for pseudo labels)."""

    backbone: Backbone = "resnet50"
    """Feature extractor below the feature pyramid."""
    iterations: Positive = 18_000
    """Training iterations."""
    batch_size: Positive = 4
    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "drop"
    drop_at: tuple[Fraction, ...] = (12 / 18, 16 / 18)
    warm_up: Count = 500
    min_size: Positive = 512
    """Shorter side in pixels."""
    max_size: Positive = 800
    """Maximum longer side in pixels."""
    fpn_channels: Positive = 256
    """Channels of the feature pyramid."""
    anchor_scale: Annotated[float, Field(gt=0)] = 8.0
    """Side of the anchors, as a multiple of their level's stride."""
    proposals_before_nms: tuple[Positive, Positive] = (2000, 1000)
    """Per level, in training and in inference."""
    proposals_after_nms: tuple[Positive, Positive] = (2000, 1000)
    """Per image, in training and in inference."""
    rois: Positive = 512
    """Regions sampled from an image in training."""
    box_width: Positive = 1024
    """Channels of the box head's layers."""
    mask_width: Positive = 256
    """Channels of the mask head's convolutions."""
    mask_layers: Positive = 4
    """Convolutions of the mask head."""
    mask_stride: Literal[2, 4] = 4
    """Stride of the finest features that masks are predicted from. With 2 the masks of all objects are predicted from
    features one level finer; the backbone must have such a level (small and mobilenet_v2 do)."""
    mask_size: Annotated[int, Field(ge=4, multiple_of=2)] = 28
    """Cells per side of a predicted mask in its box, an even number; Mask R-CNN: 28."""
    frozen_levels: Count = 1
    """Levels of a pretrained backbone, from the finest, that are not trained."""
    rot90: bool = False
    """Random 90-degree rotations and vertical flips; for images without a natural orientation."""
    use_scores: bool = True
    """Weight each instance by its label's weight and score; false weights all equally."""
    min_score: Fraction = 0.05
    """Labels with a lower score are ignored regions: neither object nor background."""


class MaskrcnnInfer(DenseCrf):
    """Predictions on the evaluation images; a dense CRF can align their masks with the outlines of the image."""

    min_size: Positive | None = None
    """Shorter side in pixels; by default as in training."""
    max_size: Positive | None = None
    """Maximum longer side in pixels; by default as in training."""
    min_score: Fraction = 0.05
    """Detections with a lower score are left out."""
    nms: Fraction = 0.5
    """Box overlap above which the weaker detection is suppressed."""
    detections: Positive = 100
    """Maximum number of detections per image."""
    crf_iterations: Count = 0
    """Iterations of a dense CRF around each mask, which changes its box, too; 0: none, as in the papers, and the
    settings of the kernels have no effect."""
