"""Finds instances with a trained network: labels of the training images, and predictions.

in   images       images.h5
     proposals    boxes of all images
     model        of community_learning_train
out  labels       instances of the training images; classes limited to the tags
     predictions  instances of the evaluation images, from image and proposals alone

Deep Community Learning (WACV 2021), section 3.4 and equation 10.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import torch

from wsis_steps.community_learning.inference import detect, keep_best, make_views, mean_masks, paste
from wsis_steps.community_learning.network import CommunityNetwork, load_community_network
from wsis_steps.community_learning.samples import boxes_of
from wsis_steps.community_learning.settings import CommunityLearningInfer
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.batches import read_ahead, to_tensor
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, write_instances
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.counts import count_instances
from wsis_steps.vision.device import autocast, choose_device
from wsis_steps.vision.finite import check_outputs
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.masks import describe, encode
from wsis_steps.vision.models import load_model
from wsis_steps.vision.outlines import follow_outlines

STEP = Step(
    "community_learning_infer",
    CommunityLearningInfer,
    inputs=("images", "proposals", "model"),
    outputs=("labels", "predictions"),
    join=join_shards,
)


def find_instances(
    model: CommunityNetwork,
    picture: torch.Tensor,
    boxes: np.ndarray,
    tags: np.ndarray | None,
    settings: CommunityLearningInfer,
) -> ImageInstances:
    """Instances of a picture uint8 (3, h, w) from its proposals (R, 4); with tags, bool (C,), only of these classes.

    Their boxes are the detector's, from which its box AP and CorLoc are computed, not those around the masks. A
    detection whose mask would be empty fills its box, so that none is lost.
    """
    device, (height, width) = picture.device, picture.shape[1:]
    with torch.inference_mode(), autocast(device):
        views = make_views(model, picture, settings)
        proposals = torch.from_numpy(boxes).to(device).float()
        tagged = None if tags is None else torch.from_numpy(tags).to(device)
        found = detect(model, views, proposals, tagged, settings)
        check_outputs(found.scores, found.boxes)
        found = keep_best(found, height, width, settings)
        values = mean_masks(model, views, found, settings.roi_chunk)
        check_outputs(values)
        if len(values):
            masks = paste(values, found.boxes, height, width, model.settings.mask_threshold)
            empty = (~masks.any(dim=(1, 2))).nonzero()[:, 0]
            if len(empty):
                masks[empty] = paste(torch.ones_like(values[empty]), found.boxes[empty], height, width, 0)
            masks = masks.cpu().numpy()
            if settings.crf_iterations:
                likely = np.where(masks, settings.certainty, 1 - settings.certainty).astype(np.float32)
                pixels, found_boxes = picture.permute(1, 2, 0).cpu().numpy(), found.boxes.cpu().numpy()
                masks = follow_outlines(pixels, likely, found_boxes, settings)
        else:
            masks = np.zeros((0, height, width), dtype=bool)
    categories, scores, detected = (column.cpu().numpy() for column in (found.categories, found.scores, found.boxes))
    return replace(describe(encode(masks), categories - 1, scores=scores), boxes=detected.astype(np.float32))


def main(job: Job) -> None:
    settings: CommunityLearningInfer = job.settings
    device = choose_device(job.threads)
    images, proposals = Images(job.inputs["images"]), Proposals(job.inputs["proposals"])
    trained = load_model(job.inputs["model"], "community_learning_train")
    check_same_classes(images, trained)
    model = load_community_network(trained).to(device).eval()
    own = places(proposals, images)
    for split_name, output in (("train", "labels"), ("val", "predictions")):
        members = job.share(images.members(split_name))
        batches = read_ahead(Pictures(images), members, to_tensor, job.threads, batch=1)
        found = (
            find_instances(
                model, pictures[0].to(device), boxes_of(proposals, int(own[i])),
                images.tags[i] if split_name == "train" else None, settings,
            )
            for (i,), pictures in job.progress(batches, len(members))
        )  # fmt: skip
        counts: Counter = Counter()
        found = count_instances(found, images.tags[members].any(axis=1), output, counts)
        supervision = {*trained.supervision, *proposals.supervision}
        provenance = job.provenance(trained.class_names, supervision, [trained.provenance])
        ids = [images.ids[i] for i in members]
        write_instances(
            job.outputs[output], provenance, ids, images.heights[members], images.widths[members], found, counts
        )  # fmt: skip


if __name__ == "__main__":
    STEP.run(main)
