"""Detections that a score leaves out."""

from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

FLOOR = 0.05  # scores below it are not counted: they are mostly background


class LeftOut:
    """Makes a network leave out detections below a score, and counts them, before it computes their masks.

    Lower detections suppress no higher ones, so the others are what the network finds with this score as its own.
    """

    def __init__(self, network: GeneralizedRCNN, score: float) -> None:
        """network: has `FLOOR` or the score itself, if that is lower, as its own."""
        self.count = 0
        find = network.roi_heads.postprocess_detections

        def find_above(*given: Tensor) -> tuple[list[Tensor], ...]:
            found = find(*given)  # boxes, scores and labels of each image
            kept = [scores > score for scores in found[1]]
            self.count += sum(int((~one).sum()) for one in kept)
            return tuple([values[one] for values, one in zip(column, kept, strict=True)] for column in found)

        network.roi_heads.postprocess_detections = find_above
