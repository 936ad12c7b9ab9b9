"""Segments the images of a split with a trained network: training images limited to their tags, others without tags.

in   images    images.h5
     model     of learning_to_segment_train
out  semantic  semantic maps of the split, uint8: 0 background, 1 + category

Learning to segment with image-level supervision (WACV 2019), section 5: the predicted distribution alone, upsampled;
with crf_iterations above 0 refined by a dense CRF (not in the paper).
"""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.nn import functional

from wsis_steps.engine.step import Job, Step
from wsis_steps.learning_to_segment.network import SemanticNetwork, load_semantic_network
from wsis_steps.learning_to_segment.settings import LearningToSegmentInfer, LearningToSegmentTrain
from wsis_steps.vision.batches import read_ahead, to_tensor
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.counts import count_map
from wsis_steps.vision.device import autocast, choose_device
from wsis_steps.vision.finite import check_outputs
from wsis_steps.vision.images import Pictures, fit
from wsis_steps.vision.models import TrainedModel, load_model, settings_of
from wsis_steps.vision.probabilities import limit_to_tags, refine_ahead

STEP = Step(
    "learning_to_segment_infer",
    LearningToSegmentInfer,
    inputs=("images", "model"),
    values=("split",),
    outputs=("semantic",),
    join=join_shards,
)
BATCH, PIXELS = 8, 2**22  # images at once, and pixels of all of them; change only speed and memory


def as_trained(settings: LearningToSegmentInfer, trained: TrainedModel) -> LearningToSegmentInfer:
    """The settings, with the short side of the training if none is given."""
    resize = settings_of(trained, LearningToSegmentTrain).resize
    return settings if settings.short_side is not None else settings.model_copy(update={"short_side": resize})


def network_size(height: int, width: int, settings: LearningToSegmentInfer) -> tuple[int, int]:
    """Height and width of the network's input for a picture of the given size."""
    if settings.size:
        return settings.size, settings.size
    factor = settings.short_side / min(height, width) if settings.short_side else 1
    return max(round(height * factor), 1), max(round(width * factor), 1)


def prepare(settings: LearningToSegmentInfer) -> Callable[[np.ndarray], torch.Tensor]:
    """A function from an RGB picture to a uint8 tensor (3, h, w) of `network_size`."""

    def resize(picture: np.ndarray) -> torch.Tensor:
        size = picture.shape[:2]
        return to_tensor(fit(*size, *network_size(*size, settings)).picture(picture))

    return resize


def predict(model: SemanticNetwork, pictures: torch.Tensor, flip: bool) -> torch.Tensor:
    """Class probabilities (b, 1 + C, h / 4, w / 4) of uint8 pictures; flip averages with the mirrored ones."""
    normalized = model.backbone.normalize(pictures)
    probability = model(normalized).float().softmax(dim=1)
    if flip:
        mirrored = model(normalized.flip(-1)).float().softmax(dim=1)
        # a width that is not a multiple of four is padded on the right, which shifts the mirrored cells slightly
        probability = (probability + mirrored.flip(-1)) / 2
    return probability


def compute_probabilities(
    job: Job, settings: LearningToSegmentInfer, pictures: Pictures, model: SemanticNetwork, device: torch.device
) -> Iterator[tuple[int, torch.Tensor]]:
    """Image index and class probabilities (1 + C, h, w) at image size, of this job's images in order."""
    images = pictures.images
    members = job.share(images.members(job.values["split"]))
    for indices, batch in read_ahead(pictures, members, prepare(settings), job.threads, BATCH, PIXELS):
        with torch.inference_mode(), autocast(device):
            coarse = predict(model, batch.to(device), settings.flip)
            check_outputs(coarse)
        for i, own in zip(indices, coarse, strict=True):
            size = int(images.heights[i]), int(images.widths[i])
            probability = functional.interpolate(own[None], size, mode="bilinear")[0]
            if job.values["split"] == "train":
                tags = torch.from_numpy(images.tags[i]).to(device)
                probability = limit_to_tags(probability, tags, settings.background_weight)
            yield i, probability


def main(job: Job) -> None:
    device = choose_device(job.threads)
    images = Images(job.inputs["images"])
    trained = load_model(job.inputs["model"], "learning_to_segment_train")
    check_same_classes(images, trained)
    model = load_semantic_network(trained).to(device).eval()
    everyone, pictures = images.members(job.values["split"]), Pictures(images)
    members = job.share(everyone)
    outputs = compute_probabilities(job, as_trained(job.settings, trained), pictures, model, device)
    refined = refine_ahead(pictures, outputs, job.settings, job.threads)
    largest = images.heights[everyone].max(initial=1), images.widths[everyone].max(initial=1)
    provenance = job.provenance(trained.class_names, trained.supervision, [trained.provenance])
    counts: Counter = Counter()
    with create(job.outputs["semantic"], Maps.schema, provenance, counts) as file:
        writer = MapsWriter(file, tuple(map(int, largest)), np.uint8)
        for i, probability in zip(members, job.progress(refined, len(members)), strict=True):
            labels = probability.max(dim=0).indices.byte().cpu().numpy()
            writer.add(images.ids[i], *labels.shape, labels[None])
            count_map(labels, images.tags[i].any(), counts)
        writer.close()


if __name__ == "__main__":
    STEP.run(main)
