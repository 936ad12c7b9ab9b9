"""Makes semantic maps from activation maps with two dense CRFs; 255 where they disagree.

in   images    images.h5
     maps      activation maps of classifier_infer
out  semantic  semantic maps, uint8: 0 background, 1 + category, 255 unsure

IRN (CVPR 2019), step cam_to_ir_label: argmax of the maps against a constant, once a high one (certain objects) and once
a low one (certain background), each refined by a CRF. A pixel is object where the first says so, background where both
say so, otherwise unsure. With `expected`, each map has constants of its own, computed from its values.
"""

from collections import Counter

import cv2
import numpy as np

from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.step import Job, Step
from wsis_steps.postprocess.settings import PostprocessRefineWithCrf
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.counts import count_map
from wsis_steps.vision.dense_crf import DenseField
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.masks import UNSURE, check_class_count
from wsis_steps.vision.thresholds import likely_thresholds

POSSIBLE = 0.1  # times the expected threshold; chosen on the generated data (docs/experiments/photographs.md)

STEP = Step(
    "postprocess_refine_with_crf",
    PostprocessRefineWithCrf,
    inputs=("images", "maps"),
    outputs=("semantic",),
    join=join_shards,
)


def refine(
    picture: np.ndarray, maps: np.ndarray, categories: np.ndarray, settings: PostprocessRefineWithCrf
) -> np.ndarray:
    """Semantic map uint8 (h, w) from activation maps (k, any size) of an image's classes."""
    height, width = picture.shape[:2]
    if not len(maps):
        return np.zeros((height, width), dtype=np.uint8)
    full = np.stack([cv2.resize(m.astype(np.float32), (width, height)) for m in maps])
    field = DenseField(picture, len(maps) + 1, settings)
    found = []
    for thresholds in _thresholds(maps, settings):
        own = np.where(full > thresholds[:, None, None], full, -1)
        labels = np.argmax(np.concatenate([np.zeros((1, height, width), np.float32), own]), axis=0)
        found.append(field.refine_labels(labels, settings.certainty) if labels.any() else labels)
    sure, possible = found
    values = np.concatenate([[0], categories + 1]).astype(np.uint8)
    return np.where(sure > 0, values[sure], np.where(possible > 0, UNSURE, 0)).astype(np.uint8)


def _thresholds(maps: np.ndarray, settings: PostprocessRefineWithCrf) -> list[np.ndarray]:
    """What values of each map (k, h, w) must exceed to be surely, and to be possibly, an object; two float32 (k,)."""
    both = settings.foreground, settings.background
    expected = likely_thresholds(maps) if "expected" in both else 0
    shares = 1, POSSIBLE
    return [
        share * expected if value == "expected" else np.full(len(maps), value, np.float32)
        for value, share in zip(both, shares, strict=True)
    ]


def main(job: Job) -> None:
    images, maps = Images(job.inputs["images"]), Maps(job.inputs["maps"])
    check_same_classes(images, maps)
    check_class_count(len(maps.class_names), maps.path)
    places_of_maps = places(images, maps)
    largest = (int(maps.heights.max()), int(maps.widths.max()))
    pictures, mine = Pictures(images), job.share(np.arange(len(maps)))

    def refine_image(i: int) -> np.ndarray:
        return refine(pictures.read(int(places_of_maps[i])), *maps.read(i), job.settings)

    counts: Counter = Counter()
    provenance = job.provenance(maps.class_names, maps.supervision, [maps.provenance])
    with create(job.outputs["semantic"], Maps.schema, provenance, counts) as file:
        writer = MapsWriter(file, largest, np.uint8)
        refined = fork_map(refine_image, mine, job.threads)
        for i, labels in zip(mine, job.progress(refined, len(mine)), strict=True):
            writer.add(maps.ids[i], *labels.shape, labels[None])
            count_map(labels, maps.first[i + 1] > maps.first[i], counts)
        writer.close()


if __name__ == "__main__":
    STEP.run(main)
