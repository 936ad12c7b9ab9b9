"""Mask R-CNN that learns from pseudo labels: instances carry weights, and regions may be ignored.

The network and its inference are torchvision's; new are the backbones of this package below its feature pyramid, and
(in `heads`) losses that take weights and ignored regions. The runs of the papers use the IRN author's setup (512 px,
512 RoIs, 2000 and 1000 proposals); BESTIE publishes no recipe.

A target, one per image, is a dict of tensors:
    boxes    n x 4 float32, x1 y1 x2 y2 in pixels, x2 and y2 one past the last pixel; n may be 0
    labels   n int64, 1 + category (0 is the background)
    masks    n x H x W uint8, 0 or 1
    weights  n float32 >= 0, optional: factors on the losses of what is matched to the instance, 1 if absent
    ignore   H x W bool, optional: boxes that lie mostly in here never count as background
    iscrowd  n bool, optional: such instances are not learned, their masks join `ignore`
"""

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from wsis_steps.engine.errors import InputError
from wsis_steps.maskrcnn.heads import WeightedProposalNetwork, WeightedRoIHeads
from wsis_steps.maskrcnn.pasting import paste_masks
from wsis_steps.maskrcnn.settings import MaskrcnnInfer, MaskrcnnTrain
from wsis_steps.vision.backbones import Backbone, build_backbone, refuse_single_level
from wsis_steps.vision.device import autocast
from wsis_steps.vision.models import TrainedModel, fill, load_any_model, settings_of
from wsis_steps.vision.region_pooling import RegionPooling
from wsis_steps.vision.weights import load_weights, read_state_dict

BOX_STRIDE = 4  # the finest level that boxes are proposed on and pooled from (FPN, section 4.1)
OWN_SETTINGS = {"anchor_scale", "rois", "mask_layers"}  # identify such a network, whichever step trained it


def build_maskrcnn(
    settings: MaskrcnnTrain, class_count: int, weights: str = "none", inference: MaskrcnnInfer | None = None
) -> GeneralizedRCNN:
    """A Mask R-CNN with a feature pyramid on the backbone's levels of stride 4 and more.

    It is called like torchvision's: in training, model(images, targets) returns a dict of five losses; in evaluation,
    model(images) returns a list of dicts with boxes, labels (1 + category), scores and masks (n x 1 x H x W in 0..1).
    Images are a list of 3 x H x W float RGB in 0..1; the network resizes and normalizes them. Batch normalization is
    frozen with pretrained weights, and trained with none.

    Args:
        settings: of the training.
        class_count: number of classes without background.
        weights: initial weights of the backbone (`load_weights`); `none` also to load a whole model afterwards.
        inference: thresholds of evaluation, and its sizes if they differ from training; None: no inference.

    Raises:
        InputError: as `build_backbone`, `load_weights` and `refuse_mask_weights`.
    """
    refuse_mask_weights(weights)
    body = build_backbone(settings.backbone, normalization=settings.normalization)
    refuse_single_level(body, "Mask R-CNN")
    load_weights(body, weights)
    if weights != "none":
        body.fix_norm()
        body.freeze(settings.frozen_levels)
    pyramid = FeaturePyramid(body, settings.fpn_channels, settings.mask_stride)
    proposer, heads = _proposer(pyramid, settings), _heads(pyramid, class_count, settings, inference)
    sizes = [(inference and getattr(inference, name)) or getattr(settings, name) for name in ("min_size", "max_size")]
    transform = Transform(*sizes, body)
    return GeneralizedRCNN(pyramid, proposer, heads, transform)


def _proposer(pyramid: "FeaturePyramid", settings: MaskrcnnTrain) -> WeightedProposalNetwork:
    levels = [*pyramid.box_levels, "pool"]
    strides = pyramid.strides[-len(levels) :]
    sizes = tuple((settings.anchor_scale * stride,) for stride in strides)
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    modes = ("training", "testing")
    return WeightedProposalNetwork(
        anchors,
        RPNHead(settings.fpn_channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n=dict(zip(modes, settings.proposals_before_nms, strict=True)),
        post_nms_top_n=dict(zip(modes, settings.proposals_after_nms, strict=True)),
        nms_thresh=0.7,
        levels=levels,
    )


def _heads(
    pyramid: "FeaturePyramid", class_count: int, settings: MaskrcnnTrain, inference: MaskrcnnInfer | None
) -> WeightedRoIHeads:
    width = settings.mask_width
    # without inference settings it cannot detect: None fails instead of silently using a default
    thresholds = (inference.min_score, inference.nms, inference.detections) if inference else (None,) * 3
    min_score, nms, detections = thresholds
    return WeightedRoIHeads(
        box_roi_pool=_pooling(pyramid.box_levels, pyramid, 7),
        box_head=TwoMLPHead(settings.fpn_channels * 7 * 7, settings.box_width),
        box_predictor=FastRCNNPredictor(settings.box_width, class_count + 1),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=settings.rois,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=min_score,
        nms_thresh=nms,
        detections_per_img=detections,
        mask_roi_pool=_pooling(pyramid.mask_levels, pyramid, settings.mask_size // 2),
        mask_head=MaskRCNNHeads(settings.fpn_channels, (width,) * settings.mask_layers, 1),
        mask_predictor=MaskRCNNPredictor(width, width, class_count + 1),
    )


def _pooling(levels: list[str], pyramid: "FeaturePyramid", size: int) -> RegionPooling:
    """Pooling from some levels; masks are pooled from as many levels finer as theirs begin before those of boxes."""
    places = [pyramid.names.index(name) for name in levels]
    strides, centers = ([values[i] for i in places] for values in (pyramid.strides, pyramid.centers))
    finer = pyramid.names.index(pyramid.box_levels[0]) - places[0]
    return RegionPooling(levels, tuple(strides), tuple(centers), size, finer=finer)


def refuse_mask_weights(weights: str) -> None:
    """Refuses weights trained on masks in a weakly supervised run.

    Args:
        weights: imagenet, none, the name of published weights, or a path.

    Raises:
        InputError: the file's name mentions COCO or Mask R-CNN, or it holds a mask head.
    """
    name = Path(weights).stem.lower().replace("-", "").replace("_", "")
    reason = next((word for word in ("coco", "maskrcnn") if word in name), None)
    if reason is None and Path(weights).is_file():
        masked = ("roi_heads.mask", "roi_head.mask", "mask_head", "mask_fcn", "mask_predictor")
        reason = next((key for key in read_state_dict(weights) if any(part in key for part in masked)), None)
    if reason is not None:
        raise InputError(
            f"weights '{weights}' have seen masks ('{reason}'), which weak supervision rules out; "
            "valid: imagenet, none, or a file of the tag classifier"
        )


class FeaturePyramid(nn.Module):
    """Feature pyramid on the backbone's levels from stride 4 or the masks' stride on, and one pooled from the last.

    Attributes:
        out_channels: of every level.
        names: of the levels, fine to coarse: their strides; the last one is `pool`.
        strides, centers: per level, pixels a cell is wide, and from the picture's corner to the center of the first.
        box_levels, mask_levels: names of the levels that boxes and masks are pooled from.
    """

    def __init__(self, body: Backbone, channels: int, mask_stride: int):
        super().__init__()
        self.body = body
        finest = min(mask_stride, BOX_STRIDE)
        self.first = next(i for i, stride in enumerate(body.strides) if stride >= finest)
        strides = body.strides[self.first :]
        if mask_stride not in strides:
            raise InputError(
                f"mask_stride: backbone {body.name} has no level of stride {mask_stride}; "
                f"valid: {' or '.join(str(stride) for stride in (2, 4) if stride in body.strides) or 'none'}"
            )
        self.fpn = FeaturePyramidNetwork(list(body.channels[self.first :]), channels, LastLevelMaxPool())
        self.out_channels = channels
        self.strides = (*strides, 2 * strides[-1])
        self.centers = (*body.cell_centers[self.first :], body.cell_centers[-1])
        self.names = [*map(str, strides), "pool"]
        self.box_levels = [str(stride) for stride in strides if stride >= BOX_STRIDE]
        self.mask_levels = [str(stride) for stride in strides if stride >= mask_stride]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """B x 3 x H x W normalized float to maps by name, each B x channels x h x w."""
        with autocast(images.device):  # the rest is box geometry, which bfloat16 would shift by pixels
            maps = self.body(images)[self.first :]
            levels = self.fpn(OrderedDict(zip(self.names, maps, strict=False)))
        return OrderedDict((name, level.float()) for name, level in levels.items())


class Transform(GeneralizedRCNNTransform):
    """torchvision's resizing and normalization, which also resizes ignored regions and sets crowds aside. Pictures are
    downscaled with antialiasing, which torchvision omits.

    Mean and standard deviation are the backbone's; as buffers they are saved and loaded with the model.
    """

    def __init__(self, min_size: int, max_size: int, body: Backbone):
        super().__init__(min_size, max_size, [], [])
        del self.image_mean, self.image_std
        self.register_buffer("image_mean", body.mean.clone())
        self.register_buffer("image_std", body.std.clone())

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Like torchvision's but antialiased, for one 3 x H x W image and its target."""
        if target is None and torch.jit.is_tracing():
            return _resize_traced(image, self.min_size[-1], self.max_size), None
        if target is not None and "iscrowd" in target:
            target = _set_crowds_aside(target)
        resized, target = super().resize(image[:1], target)  # only one channel, for its size
        image = functional.interpolate(image[None], resized.shape[-2:], mode="bilinear", antialias=True)[0]
        if target is not None and "ignore" in target:
            region = target["ignore"][None, None].float()
            target["ignore"] = functional.interpolate(region, size=image.shape[-2:])[0, 0] > 0.5
        return image, target

    def postprocess(
        self,
        result: list[dict[str, Tensor]],
        image_shapes: list[tuple[int, int]],
        original_sizes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        """Like torchvision's, boxes and masks at the images' own sizes, but with masks aligned with their boxes."""
        if self.training:
            return result
        for found, seen, size in zip(result, image_shapes, original_sizes, strict=True):
            found["boxes"] = resize_boxes(found["boxes"], seen, size)
            found["masks"] = paste_masks(found["masks"], found["boxes"], *size)
        return result


def _resize_traced(image: Tensor, min_size: int, max_size: int) -> Tensor:
    """The same resizing of a 3 x H x W image, for export. There torchvision computes in float32 and rounds some sizes
    to a pixel less than in Python; the exporter to ONNX does the same to double scalars, but not to vectors."""
    sides = torch._shape_as_tensor(image)[1:].double()
    least, most = (torch.tensor([float(limit)], dtype=torch.float64) for limit in (min_size, max_size))
    scale = torch.minimum(least / sides.amin(0, keepdim=True), most / sides.amax(0, keepdim=True))
    size = (sides * scale).floor().long()
    rows, columns = (_antialiased(sides[axis], size[axis]) for axis in (0, 1))
    return rows @ image @ columns.T


def _antialiased(length: Tensor, new: Tensor) -> Tensor:
    """Weights float32 (new, length) that resize a side: those of torch's antialiased bilinear filter, for which ONNX
    has no operator that older runtimes support."""
    scale = length / new
    centers = (torch.arange(new, dtype=torch.float64) + 0.5) * scale
    distances = (torch.arange(length.long(), dtype=torch.float64) + 0.5 - centers[:, None]).abs()
    weights = (1 - distances / scale.clamp(min=1)).clamp(min=0)
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def _set_crowds_aside(target: dict[str, Tensor]) -> dict[str, Tensor]:
    crowd = target["iscrowd"].bool()
    region = (target["masks"][crowd] > 0).any(dim=0)
    single = {key: target[key][~crowd] for key in ("boxes", "labels", "masks", "weights") if key in target}
    return {**target, **single, "iscrowd": crowd[~crowd], "ignore": region | target.get("ignore", region)}


def read_maskrcnn(path: Path) -> TrainedModel:
    """A trained Mask R-CNN, whichever step trained it; InputError if the file holds none."""
    trained, made = load_any_model(path)
    if not trained.settings.keys() >= OWN_SETTINGS:
        raise InputError(f"{path} was trained by {made.step}, but a Mask R-CNN is wanted here.")
    return trained


def load_maskrcnn(trained: TrainedModel, inference: MaskrcnnInfer | None = None) -> GeneralizedRCNN:
    """The network of `read_maskrcnn`, with the sizes and thresholds of `inference` if given."""
    settings = {name: value for name, value in trained.settings.items() if name in MaskrcnnTrain.model_fields}
    network = build_maskrcnn(settings_of(trained, MaskrcnnTrain, settings), len(trained.class_names), "none", inference)
    load_state(network, trained)
    return network


def load_state(network: GeneralizedRCNN, trained: TrainedModel) -> None:
    """Fills a network in place; one trained before features were read where cells look reads them as it was trained,
    except in boxes smaller than a cell."""
    before = {name: torch.zeros_like(value) for name, value in network.state_dict().items() if name.endswith("centers")}
    fill(network, replace(trained, state={**before, **trained.state}))
