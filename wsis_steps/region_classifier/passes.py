"""Passes of the region classifier's inference, to plan what it takes."""

from wsis_steps.classifier.passes import extraction
from wsis_steps.vision.passes import Sketch

# Its backbone sees an image as the extraction of the features did; the linear layer is not counted.
PASSES: dict[str, Sketch] = {"region_classifier_infer": extraction}
