"""Trains the ranker of region proposals on the drawn segments of BSDS500's training images.

setting  root    folder of BSDS500: images/train, groundTruth/train
out      ranker  its parameters, like wsis_steps/proposals/mcg/rankers_*.pt

The ranker predicts a candidate's value from its features: see `worth`.
By hand: python -m wsis_steps.proposals.train_ranker --settings '{"root": "BSDS500/data"}' --ranker file.pt
"""

import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.step import Job, Step
from wsis_steps.proposals.bsds import list_images, object_segments, read_image
from wsis_steps.proposals.contours import find_contours
from wsis_steps.proposals.edge_models import load_edge_finder
from wsis_steps.proposals.mcg.combinatorial_grouping import find_candidates
from wsis_steps.proposals.mcg.ranking import FEATURES, Ranker
from wsis_steps.proposals.settings import ProposalsTrainRanker
from wsis_steps.vision.models import save_model

STEP = Step("proposals_train_ranker", ProposalsTrainRanker, outputs=("ranker",))
BATCH = 1024
PLACES, FLOOR = 20, 0.3  # see worth
log = logging.getLogger("wsis")


def worth(overlaps: np.ndarray) -> np.ndarray:
    """The value of each candidate, float32 (n,), from overlaps (n, m) with the m objects of a picture, m above 0.

    It is the maximum over objects of overlap times 0.3 + exp(-place / 20), where `place` counts the candidates that fit
    the same object better. Overlap alone would fill the first thousand with near copies of large objects, which many
    candidates fit well.
    """
    places = np.empty(overlaps.shape)
    np.put_along_axis(places, np.argsort(-overlaps, axis=0, kind="stable"), np.arange(len(overlaps))[:, None], axis=0)
    return (overlaps * (FLOOR + np.exp(-places / PLACES))).max(1).astype(np.float32)


def examples(job: Job) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each picture, features float32 (n, f) of some of its candidates, and their values, float32 (n,)."""
    settings: ProposalsTrainRanker = job.settings
    find_edges, _ = load_edge_finder(settings.edges, settings.edge_model)
    ids = list_images(settings.root, "train")

    def describe_image(number: int) -> tuple[np.ndarray, np.ndarray]:
        image = read_image(settings.root, "train", ids[number])
        contours = find_contours(image.picture, settings.mode, find_edges, settings.gradient_share)
        candidates = find_candidates(image.picture, contours, settings.mode)
        objects = object_segments(image.segmentations, settings.min_segment)
        if candidates is None or not len(objects):
            return np.zeros((0, len(FEATURES)), np.float32), np.zeros(0, np.float32)
        chosen = np.random.default_rng((settings.seed, number)).permutation(len(candidates.areas))
        chosen = chosen[: settings.candidates]
        return candidates.features[chosen], worth(candidates.overlaps(objects))[chosen]

    return job.progress(fork_map(describe_image, range(len(ids)), job.threads, chunk=2), len(ids))


def fit(ranker: Ranker, features: Tensor, values: Tensor, settings: ProposalsTrainRanker) -> None:
    """Trains on features (n, f) and values (n,), by mean squared error."""
    ranker.mean.copy_(features.mean(0))
    ranker.deviation.copy_(features.std(0) + 1e-6)
    iterations = settings.epochs * -(-len(features) // BATCH)
    optimizer = torch.optim.AdamW(ranker.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=iterations)
    for epoch in range(settings.epochs):
        losses = []
        for batch in torch.randperm(len(features)).split(BATCH):
            loss = functional.mse_loss(ranker(features[batch]), values[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        log.info("epoch %d of %d: mean squared error %.4f", epoch + 1, settings.epochs, np.mean(losses))


def main(job: Job) -> None:
    settings: ProposalsTrainRanker = job.settings
    if settings.root is None:
        raise InputError("proposals_train_ranker.root is not set; name the folder of BSDS500.")
    torch.set_num_threads(1)  # processes, not threads, share the work
    features, values = (np.concatenate(column) for column in zip(*examples(job), strict=True))
    if not len(features):
        raise InputError(f"{settings.root} has no picture with an object-like segment.")
    torch.manual_seed(settings.seed)
    ranker = Ranker(settings.width)
    fit(ranker, torch.from_numpy(features), torch.from_numpy(values), settings)
    provenance = job.provenance(supervision=["masks_seen: segments"], root="BSDS500, train")
    save_model(job.outputs["ranker"], ranker, provenance)


if __name__ == "__main__":
    STEP.run(main)
