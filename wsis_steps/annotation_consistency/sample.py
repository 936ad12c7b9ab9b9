"""Samples K label sets of every training image from the conditional network, and the labels of their mean score.

in   images     images.h5: the training images with their tags or boxes
     proposals  regions of all images
     edges      edge maps, for the boundary-aware pairwise term
     model      conditional network of a round
     before     labels of the previous round, to count how many are found again; optional
out  samples    label sets: the instances of the K sets of each image
     labels     instances of the training images, from the mean score over the samples

Annotation Consistent Instances (ECCV 2020): y^k = argmax S^k(y), exactly (`inference`), for K noise samples.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wsis_steps.annotation_consistency.annotation import Claims, claims_of
from wsis_steps.annotation_consistency.inference import forbid, infer
from wsis_steps.annotation_consistency.instances import choose, quality
from wsis_steps.annotation_consistency.losses import sampled_self_diversity
from wsis_steps.annotation_consistency.network import CONDITIONAL_STEPS, ConditionalNetwork, load_conditional
from wsis_steps.annotation_consistency.region_graph import RegionGraph, graph_tensors, with_matrices
from wsis_steps.annotation_consistency.samples import GraphReader, read_edges, scale_to
from wsis_steps.annotation_consistency.scores import final_scores
from wsis_steps.annotation_consistency.settings import AnnotationConsistencySample
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances, write_instances
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.label_sets import write_label_sets
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.counts import compare_rounds, count_instances
from wsis_steps.vision.device import autocast, choose_device
from wsis_steps.vision.finite import check_outputs
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.loop import to_device
from wsis_steps.vision.masks import describe
from wsis_steps.vision.models import load_model

log = logging.getLogger("wsis")
STEP = Step(
    "annotation_consistency_sample",
    AnnotationConsistencySample,
    inputs=("images", "proposals", "model"),
    optional=("edges", "before"),
    outputs=("samples", "labels"),
    join=join_shards,
)


Codes = Callable[[np.ndarray], list[dict]]  # rows of proposals -> their run-length codes


class Labellings(NamedTuple):
    """For K samples and, last, their mean: labels int64 (K + 1, P), as indices of the claims' labels, and the margin of
    each proposal's label over background, float32 (K + 1, P)."""

    labels: np.ndarray
    margins: np.ndarray


def label_proposals(
    unary: Tensor, graph: dict[str, Tensor], claims: Claims, settings: AnnotationConsistencySample
) -> Labellings:
    """The labelings of highest score from F^k (K, P, L)."""
    device = unary.device
    allowed, claimed, candidates = (
        torch.from_numpy(part).to(device) for part in (claims.allowed, claims.claimed, claims.candidates)
    )
    scores = final_scores(unary, graph, settings)
    scores = forbid(torch.cat([scores, scores.mean(dim=0, keepdim=True)]), allowed)
    labels = infer(scores, claimed, candidates)
    margins = scores.gather(2, labels[..., None])[..., 0] - scores[..., 0]
    return Labellings(labels.cpu().numpy(), margins.cpu().numpy())


def collect(
    picked: np.ndarray, labels: np.ndarray, qualities: np.ndarray, codes: Codes, categories: np.ndarray
) -> tuple[ImageInstances, np.ndarray]:
    """The instances of K label sets, each pair of proposal and label once, and bool (n, K), the sets that contain it.

    Args:
        picked: bool (K, P); labels, qualities: (K, P); categories: int64 (L,), that of each label.

    An instance's score is q / (1 + q) with the best of its qualities.
    """
    sample, row = np.nonzero(picked)
    pairs, which = np.unique(np.stack([row, labels[sample, row]]), axis=1, return_inverse=True)
    which = which.ravel()
    held = np.zeros((pairs.shape[1], len(picked)), bool)
    held[which, sample] = True
    best = np.zeros(pairs.shape[1], np.float32)
    np.maximum.at(best, which, qualities[sample, row])
    rows, kinds = pairs
    return describe(codes(rows), categories[kinds], scores=best / (1 + best)), held


def diversity(labels: np.ndarray) -> float:
    """The share of proposals whose labels differ between two of K labelings (K, P), averaged over pairs; 0 for one."""
    samples, proposals = labels.shape
    return float(sampled_self_diversity(torch.from_numpy(labels))) / proposals if samples > 1 else 0.0


class Sampler:
    """Samples the label sets of one image after another with a conditional network."""

    def __init__(self, model: ConditionalNetwork, graphs: GraphReader, settings: AnnotationConsistencySample) -> None:
        self.model, self.graphs, self.settings, self.images = model, graphs, settings, graphs.images

    def __call__(self, i: int, picture: np.ndarray) -> tuple[tuple[ImageInstances, np.ndarray, float], ImageInstances]:
        """(Instances, sets and diversity) of the K samples and the instances of the mean, of image i, an RGB picture
        (h, w, 3)."""
        settings, (height, width) = self.settings, picture.shape[:2]
        graph = self.graphs.read(i)
        claims = claims_of(self.images.tags[i], self.images.boxes[i], graph.boxes, settings)
        unary, tensors = self._score(i, picture, graph, claims)
        found = label_proposals(unary, tensors, claims, settings)
        sizes = np.bincount(graph.superpixels.ravel(), minlength=graph.members.shape[1]).astype(np.float32)
        qualities = quality(found.margins, graph.members @ sizes / (height * width), graph.scores, settings)
        picked = choose(found.labels, qualities, claims, graph.members, sizes, settings)
        parts = [
            collect(picked[which], found.labels[which], qualities[which], graph.codes, claims.labels - 1)
            for which in (np.s_[:-1], np.s_[-1:])
        ]
        return (*parts[0], diversity(found.labels[:-1])), parts[1][0]

    def _score(
        self, i: int, picture: np.ndarray, graph: RegionGraph, claims: Claims
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """F^k (K, P, L) and the tensors of the graph, for the picture at the network's input size."""
        device = self.model.mix.weight.device
        geometry = scale_to(*picture.shape[:2], self.settings.long_side)
        pixels = to_tensor(geometry.picture(picture)).to(device)
        tensors = to_device(graph_tensors(graph.moved(geometry), self.model.stride), device)
        with autocast(device):
            features = self.model(self.model.backbone.normalize(pixels[None]))[0]
        tensors = with_matrices(tensors, features[0].numel())
        drawn = np.random.default_rng((self.settings.seed, i)).integers(1 << 32)  # torch accepts 32 bits of a seed
        generator = torch.Generator().manual_seed(int(drawn))
        noise = self.model.draw_noise(self.settings.samples, *pixels.shape[1:], generator)
        labels = torch.from_numpy(claims.labels).to(device)
        scores = self.model.score(features, noise, tensors, labels)
        check_outputs(scores)
        return scores, tensors


def main(job: Job) -> None:
    settings: AnnotationConsistencySample = job.settings
    device = choose_device(job.threads)
    images, proposals = Images(job.inputs["images"]), Proposals(job.inputs["proposals"])
    edges = read_edges(job.inputs["edges"], settings)
    trained = load_model(job.inputs["model"], *CONDITIONAL_STEPS)
    check_same_classes(images, trained)
    model = load_conditional(trained).to(device).eval()
    sampler = Sampler(model, GraphReader(images, proposals, edges), settings)
    members = job.share(images.members("train"))
    pictures, found, labels = Pictures(images), [], []
    with torch.inference_mode():
        for i in job.progress(members):
            drawn, instances = sampler(int(i), pictures.read(int(i)))
            found.append(drawn)
            labels.append(instances)
    seen = {settings.supervision, *trained.supervision, *proposals.supervision, *(edges.supervision if edges else ())}
    provenance = job.provenance(trained.class_names, seen, [trained.provenance])
    table = [images.ids[i] for i in members], images.heights[members], images.widths[members]
    of_sets, sets, diversities = zip(*found, strict=True) if found else ((), (), ())
    if diversities:
        log.info("labels of two samples differ for %.2g %% of the proposals", 100 * np.mean(diversities))
    write_label_sets(job.outputs["samples"], provenance, *table, of_sets, sets)
    counts: Counter = Counter()
    labels = count_instances(labels, images.tags[members].any(axis=1), "labels", counts)
    if job.inputs["before"]:
        labels = compare_rounds(labels, table[0], Instances(job.inputs["before"]), counts)
    write_instances(job.outputs["labels"], provenance, *table, labels, counts)


if __name__ == "__main__":
    STEP.run(main)
