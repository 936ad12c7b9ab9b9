"""Trains the network of learned edges on the drawn boundaries of BSDS500's training images.

setting  root     folder of BSDS500: images/train, groundTruth/train; val, if there, is only used to measure
out      model    weights of learned edges, like wsis_steps/proposals/edge_models_learned.pt
         metrics  JSON lines: mean loss and learning rate during training

Loss: cross entropy with the share of annotators who marked a pixel; boundaries are weighted up, and pixels marked by
few annotators are ignored, after Xie and Tu (ICCV 2015) and Liu et al. (CVPR 2017). By hand:
python -m wsis_steps.proposals.train_edges --settings '{"root": "BSDS500/data"}' --model edges.pt --metrics edges.jsonl
"""

import logging
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.proposals.bsds import read_split
from wsis_steps.proposals.contour_scores import best_f_measure
from wsis_steps.proposals.edge_network import EdgeNetwork, find_edges
from wsis_steps.proposals.settings import ProposalsTrainEdges
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.images import jitter
from wsis_steps.vision.loop import train
from wsis_steps.vision.models import save_model
from wsis_steps.vision.ranks import divisor
from wsis_steps.vision.schedule import build_optimizer

STEP = Step("proposals_train_edges", ProposalsTrainEdges, outputs=("model", "metrics"))
log = logging.getLogger("wsis")


def random_window(rng: np.random.Generator, shape: tuple[int, int], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (side,) of a square window at a random place; smaller images are mirrored."""
    places = []
    for length in shape:
        start = rng.integers(min(length - side, 0), max(length - side, 0) + 1)
        index = np.arange(start, start + side) % (2 * length)
        places.append(np.minimum(index, 2 * length - 1 - index))
    return places[0], places[1]


def share_of_annotators(segmentations: np.ndarray) -> np.ndarray:
    """Share float32 (h, w) of the label maps (annotators, h, w) in which a pixel has a neighbor of another label."""
    marked = np.zeros(segmentations.shape, bool)
    across = segmentations[:, :, 1:] != segmentations[:, :, :-1]
    down = segmentations[:, 1:] != segmentations[:, :-1]
    marked[:, :, 1:] |= across
    marked[:, :, :-1] |= across
    marked[:, 1:] |= down
    marked[:, :-1] |= down
    return marked.mean(axis=0, dtype=np.float32)


class DrawnBoundaries(Dataset):
    """Augmented windows of the training pictures, uint8 (3, crop, crop), with shares float32 (crop, crop)."""

    def __init__(self, root: Path, settings: ProposalsTrainEdges) -> None:
        self.settings = settings
        self.images = [(image.picture, image.segmentations) for image in read_split(root, "train")]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        settings, (index, *place) = self.settings, key
        rng = np.random.default_rng((settings.seed, *place))
        picture, segmentations = self.images[index]
        crop, side = settings.crop, round(settings.crop / np.exp(rng.uniform(*np.log(settings.scale))))
        rows, columns = random_window(rng, picture.shape[:2], side)
        how = cv2.INTER_AREA if side > crop else cv2.INTER_LINEAR
        picture = cv2.resize(picture[rows][:, columns], (crop, crop), interpolation=how)
        nearest = (np.arange(crop) * side + side // 2) // crop
        segmentations = segmentations[:, rows[nearest]][:, :, columns[nearest]]
        share = share_of_annotators(segmentations)
        if rng.random() < 0.5:
            picture, share = picture[:, ::-1], share[:, ::-1]
        quarters = int(rng.integers(4))
        picture, share = np.rot90(picture, quarters), np.rot90(share, quarters)
        picture = jitter(rng, picture, settings.color_jitter)
        return to_tensor(picture), torch.from_numpy(np.ascontiguousarray(share))


def weighted_cross_entropy(logits: Tensor, share: Tensor, few: float, balance: float) -> Tensor:
    """Mean cross entropy of logits with shares (equal shapes); pixels with 0 < share < few are ignored.

    Marked pixels are weighted by (unmarked / marked pixels) ** balance.
    """
    marked, unmarked = (share >= few) & (share > 0), share == 0
    rarity = (divisor(unmarked.sum()) / divisor(marked.sum())).clamp(min=1) ** balance
    weights = unmarked + marked * rarity
    losses = functional.binary_cross_entropy_with_logits(logits.float(), share, reduction="none")
    return (losses * weights).sum() / divisor(weights.sum())


def build_loss(settings: ProposalsTrainEdges):
    """The loss of an iteration as a function of (model, batch, iteration)."""

    def loss(model: EdgeNetwork, batch: list[Tensor], iteration: int) -> dict[str, Tensor]:
        pictures, share = batch
        return {"total": weighted_cross_entropy(model(pictures), share, settings.few, settings.balance)}

    return loss


def measure(network: EdgeNetwork, root: Path) -> None:
    """Logs how well the network finds the boundaries of the val images; nothing is chosen by it."""
    if not (root / "images/val").is_dir():
        return
    images = read_split(root, "val")
    found = best_f_measure((find_edges(network, image.picture), image.boundaries) for image in images)
    log.info("%d images of val: best F-measure %.3f (precision %.3f, recall %.3f)", len(images), *found)


def main(job: Job) -> None:
    settings: ProposalsTrainEdges = job.settings
    if settings.root is None:
        raise InputError("proposals_train_edges.root is not set; name the folder of BSDS500.")
    device = choose_device(job.threads, fixed_sizes=True)
    torch.manual_seed(settings.seed)
    dataset = DrawnBoundaries(settings.root, settings)
    model = EdgeNetwork(settings.widths).to(device)
    optimizer = build_optimizer(settings, [{"params": list(model.parameters())}])
    train(job, model, optimizer, dataset, build_loss(settings), settings.iterations, device)
    network = model.fused().to(device)
    measure(network, settings.root)
    trained_on = f"BSDS500, {len(dataset)} images of train"  # instead of a path on this machine
    provenance = job.provenance(supervision=["masks_seen: boundaries"], root=trained_on)
    save_model(job.outputs["model"], network.half(), provenance)


if __name__ == "__main__":
    STEP.run(main)
