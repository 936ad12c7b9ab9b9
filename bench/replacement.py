"""Speed of replacing predicted masks by proposals: an image of 375 x 500 pixels, 30 predictions, 2,000 proposals that
are unions of about 2,600 superpixels; including reading, with one thread.

Baseline: decode every proposal and compute overlaps with pycocotools; the chosen masks must be the same.
"""

from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco

from bench.evaluation import HEIGHT, PREDICTIONS, WIDTH, draw_scene
from bench.labels import milliseconds
from bench.rows import Row
from wsis_steps.engine.provenance import Provenance
from wsis_steps.postprocess.replace_with_proposals import replace_masks
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.contracts.proposals import Proposals, ProposalsWriter
from wsis_steps.vision.contracts.proposals import encode as encode_proposals
from wsis_steps.vision.masks import encode
from wsis_steps.vision.regions import RegionProposals

PROPOSALS, SUPERPIXELS = 2000, 2600
BLOCK = 100  # proposals decoded at a time


def draw_regions(rng: np.random.Generator) -> RegionProposals:
    """Superpixels around random seeds; a proposal contains those with centers in an ellipse."""
    seeds = np.ones((HEIGHT, WIDTH), np.uint8)
    seeds.ravel()[rng.choice(seeds.size, SUPERPIXELS, replace=False)] = 0
    _, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    superpixels = labels.astype(np.int32) - 1
    sizes = np.bincount(superpixels.ravel())
    places = [np.bincount(superpixels.ravel(), grid.ravel()) / sizes for grid in np.mgrid[:HEIGHT, :WIDTH]]
    middles = rng.integers(0, SUPERPIXELS, PROPOSALS)
    radii = np.exp(rng.uniform(np.log(15), np.log(180), (2, PROPOSALS, 1)))
    away = [(place - place[middles, None]) / radius for place, radius in zip(places, radii, strict=True)]
    members = away[0] ** 2 + away[1] ** 2 < 1
    boxes = np.zeros((PROPOSALS, 4), np.float32)  # nothing here looks at them
    return RegionProposals(boxes, np.linspace(1, 0, PROPOSALS, dtype=np.float32), superpixels, members)


def write_files(folder: Path) -> tuple[Instances, Proposals]:
    """One image with predictions and proposals."""
    rng = np.random.default_rng(0)
    provenance, regions = Provenance("bench", "{}", "", ""), draw_regions(rng)
    write_instances(folder / "predictions.h5", provenance, ["a"], [HEIGHT], [WIDTH], [draw_scene(rng)[1]])
    with create(folder / "proposals.h5", Proposals.schema, provenance) as file:
        writer = ProposalsWriter(file, "regions")
        writer.add("a", HEIGHT, WIDTH, *encode_proposals(regions))
        writer.close()
    return Instances(folder / "predictions.h5"), Proposals(folder / "proposals.h5")


def replace_decoded(predictions: Instances, proposals: Proposals) -> list[dict]:
    """What the step does, mask by mask."""
    found, regions = predictions.read(0), proposals.read(0)
    starts = range(0, len(regions), BLOCK)
    rles = [code for start in starts for code in encode(regions.masks(np.arange(start, start + BLOCK)))]
    best = coco.iou(found.rles, rles, [0] * len(rles)).argmax(1)
    return [rles[k] for k in best]


def measure(folder: Path) -> list[Row]:
    """The only row of this benchmark; `folder` is for the data."""
    predictions, proposals = write_files(folder)

    def replace() -> list[dict]:
        return replace_masks(predictions.read(0), proposals.read(0), HEIGHT, WIDTH, 0.0).rles

    if replace() != replace_decoded(predictions, proposals):
        raise RuntimeError("replacing masks by proposals does not give what decoding every proposal gives")
    baseline = milliseconds(lambda: replace_decoded(predictions, proposals), repeats=1)
    what = f"{PREDICTIONS} masks replaced by {PROPOSALS:,} regions"
    return [Row(what, milliseconds(replace, repeats=21), "ms/image", "each proposal decoded", baseline, 50)]
