"""How well region proposals cover objects: makes the tables of docs/proposals.md in half an hour on two cores.

    python -m bench.proposal_quality                       segments of BSDS500's val, photographs, boxes
    python -m bench.proposal_quality --part photographs --variant "learned, accurate"

Needs BSDS500 and photographs in VOC layout beside the project (../shared/data). No settings are tuned on these figures.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from wsis_steps.engine.pool import fork_map
from wsis_steps.proposals.bsds import list_images, object_segments, read_image
from wsis_steps.proposals.contours import find_contours
from wsis_steps.proposals.edge_models import load_edge_finder
from wsis_steps.proposals.mcg.combinatorial_grouping import choose, find_candidates
from wsis_steps.proposals.mcg.rankers import load_ranker
from wsis_steps.proposals.region_proposals import propose
from wsis_steps.proposals.search_selectively import search
from wsis_steps.proposals.settings import ProposalsGroupRegions
from wsis_steps.vision.masks import describe, encode
from wsis_steps.vision.regions import RegionProposals, box_overlaps

DATA = Path(__file__).parents[2] / "shared/data"
SMALLEST = 0.01  # of the picture; smaller segments are not counted as objects
COUNTS = (100, 500, 1000, 2000)
VARIANTS = {
    "learned, accurate": {},
    "gradient, accurate": {"edges": "gradient"},
    "gradient, no ranker": {"edges": "gradient", "ranker": "none"},
    "learned, fast": {"mode": "fast"},
}
Sample = tuple[np.ndarray, np.ndarray]  # a picture and true masks uint8 (m, h, w)


def bsds() -> Iterator[Sample]:
    """Images of BSDS500's val with the object-like segments of all annotators."""
    for identity in list_images(DATA / "bsds500", "val"):
        image = read_image(DATA / "bsds500", "val", identity)
        yield image.picture, object_segments(image.segmentations, SMALLEST)


def photographs() -> Iterator[Sample]:
    """All photographs with their true instances."""
    root = DATA / "photos"
    for split in ("train", "val"):
        for identity in (root / f"ImageSets/Segmentation/{split}.txt").read_text().split():
            picture = cv2.imread(str(root / f"JPEGImages/{identity}.jpg"))[..., ::-1].copy()
            objects = np.array(Image.open(root / f"SegmentationObject/{identity}.png"))
            numbers = np.setdiff1d(np.unique(objects), [0, 255])
            yield picture, (objects == numbers[:, None, None]).astype(np.uint8)


def best_by_count(overlaps: np.ndarray) -> np.ndarray:
    """Best of the first so many proposals, (counts + 1, m), of overlaps (n, m); the last row is of all."""
    return np.stack([overlaps[:count].max(0) for count in (*COUNTS, len(overlaps))])


def cover(values: dict, samples: Iterator[Sample], processes: int) -> np.ndarray:
    """Best overlaps (counts + 1, instances) of the proposals of a variant; the last row is of all candidates."""
    settings = ProposalsGroupRegions(**values)
    find_edges, _ = load_edge_finder(settings.edges, settings.edge_model)
    ranker, _ = load_ranker(settings.ranker, settings.ranker_model, settings.edges, settings.mode)

    def best(sample: Sample) -> np.ndarray:
        picture, masks = sample
        if not len(masks):
            return np.zeros((len(COUNTS) + 1, 0))
        contours = find_contours(picture, settings.mode, find_edges, settings.gradient_share)
        candidates = find_candidates(picture, contours, settings.mode)
        found = best_by_count(choose(candidates, ranker, settings).overlaps(masks))
        found[-1] = candidates.overlaps(masks).max(0)
        return found

    return np.concatenate(list(fork_map(best, samples, processes, chunk=2)), axis=1)


def cover_boxes(samples: Iterator[Sample], processes: int) -> dict[str, np.ndarray]:
    """Best box overlaps of Selective Search (quality), of regions, and of both, half of each."""
    settings = ProposalsGroupRegions()
    find_edges, _ = load_edge_finder(settings.edges, settings.edge_model)
    ranker, _ = load_ranker(settings.ranker, settings.ranker_model, settings.edges, settings.mode)

    def best(sample: Sample) -> tuple[np.ndarray, ...]:
        picture, masks = sample
        true = describe(encode(masks), np.zeros(len(masks), np.int64)).boxes
        searched = search(picture, "quality", 0).astype(np.float32)
        regions: RegionProposals = propose(picture, settings, find_edges, ranker)
        count = min(len(searched), len(regions))
        mixed = np.stack([regions.boxes[:count], searched[:count]], axis=1).reshape(-1, 4)
        mixed = np.concatenate([mixed, regions.boxes[count:], searched[count:]])
        return tuple(best_by_count(box_overlaps(boxes, true)) for boxes in (searched, regions.boxes, mixed))

    found = zip(*fork_map(best, samples, processes, chunk=2), strict=True)
    names = ("selective search, quality", "regions", "both, half of each")
    return {name: np.concatenate(parts, axis=1) for name, parts in zip(names, found, strict=True)}


def line(name: str, best: np.ndarray) -> str:
    cells = [f"{row.mean():.3f} / {(row > 0.5).mean():.3f} / {(row > 0.7).mean():.3f}" for row in best]
    return "| " + " | ".join([name, *cells]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("bsds", "photographs", "boxes"), action="append")
    parser.add_argument("--variant", choices=VARIANTS, action="append", help="by default all")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print("mean best overlap / recall at 0.5 / at 0.7 by number of proposals:", *COUNTS, "all")
    for part in chosen.part or ("bsds", "photographs", "boxes"):
        print(f"\n{part}", flush=True)
        if part == "boxes":
            for name, best in cover_boxes(photographs(), chosen.threads).items():
                print(line(name, best), flush=True)
            continue
        samples = {"bsds": bsds, "photographs": photographs}[part]
        for name in chosen.variant or VARIANTS:
            print(line(name, cover(VARIANTS[name], samples(), chosen.threads)), flush=True)


if __name__ == "__main__":
    main()
