"""Training samples of the conditional network: pictures with their proposals and annotations."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsis_steps.annotation_consistency.annotation import claims_of
from wsis_steps.annotation_consistency.region_graph import RegionGraph, build_graph, graph_tensors
from wsis_steps.annotation_consistency.settings import ConditionalTraining, Scoring
from wsis_steps.engine.errors import InputError
from wsis_steps.vision.batches import stack_pictures, to_tensor
from wsis_steps.vision.contracts.agreement import places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.images import Geometry, flip_and_rot90, resize_by
from wsis_steps.vision.samples import Samples, check_tags


class GraphReader:
    """Reads the proposals of pictures as graphs; `edges` may be None if no score needs them.

    Raises InputError if the proposals or edges lack a picture, or are of another size.
    """

    def __init__(self, images: Images, proposals: Proposals, edges: Maps | None) -> None:
        if proposals.kind == "boxes":
            raise InputError(f"{proposals.path} holds boxes, which have no outline; use regions or masks (mcg).")
        self.images, self.proposals, self.edges = images, proposals, edges
        self.places = places(proposals, images)
        self.edge_places = None if edges is None else places(edges, images)

    def read(self, i: int) -> RegionGraph:
        """The graph of image i of `images`."""
        strength = None
        if self.edges is not None:
            strength = self.edges.read(int(self.edge_places[i]))[0][0].astype(np.float32) / 255
        size = int(self.images.heights[i]), int(self.images.widths[i])
        return build_graph(self.proposals.read(int(self.places[i])), strength, *size)


def read_edges(path: Path | None, settings: Scoring) -> Maps | None:
    """The edge maps that the pairwise term needs; InputError if there are none."""
    if not settings.pairwise:
        return None
    if path is None:
        raise InputError("The pairwise term needs edge maps: give --edges, or set pairwise to false.")
    return Maps(path)


def scale_to(height: int, width: int, long_side: int) -> Geometry:
    """Downscales the longer side to `long_side` if it exceeds it; 0 keeps any size."""
    factor = min(long_side / max(height, width), 1) if long_side else 1
    return resize_by(height, width, factor)


class TrainingSamples(Samples):
    """A sample is a dict: picture uint8 (3, h, w); graph, the tensors of `graph_tensors`; tags bool (C,); and with
    `scoring` claims, the fields of `Claims` as tensors."""

    settings: ConditionalTraining

    def __init__(
        self, graphs: GraphReader, settings: ConditionalTraining, stride: int, scoring: Scoring | None = None
    ) -> None:
        super().__init__(graphs.images, graphs.images.members("train"), settings)
        check_tags(self.images, self.members)
        self.graphs, self.stride, self.scoring = graphs, stride, scoring

    def draw(self, index: int, picture: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        settings, i = self.settings, self.members[index]
        scaled = scale_to(*picture.shape[:2], settings.long_side)
        geometry = scaled.then(flip_and_rot90(rng, scaled.height, scaled.width, settings.rot90))
        graph = self.graphs.read(i)
        rows = np.arange(len(graph.boxes))
        if len(rows) > settings.max_proposals:
            rows = np.sort(rng.choice(rows, settings.max_proposals, replace=False))
        sample = {
            "picture": to_tensor(geometry.picture(picture)),
            "graph": graph_tensors(graph.moved(geometry, rows), self.stride),
            "tags": torch.from_numpy(self.images.tags[i]),
        }
        if self.scoring is not None:
            claims = claims_of(self.images.tags[i], self.images.boxes[i], graph.boxes[rows], self.scoring)
            sample["claims"] = {name: torch.from_numpy(value) for name, value in vars(claims).items()}
        return sample


def features_of(model, batch: list[dict[str, Any]]) -> list[Tensor]:
    """The features (width, h, w) of each picture of a batch, without the padding."""
    features = model(stack_pictures([sample["picture"] for sample in batch], model.backbone.normalize))
    found = []
    for own, sample in zip(features, batch, strict=True):
        height, width = (-(-side // model.stride) for side in sample["picture"].shape[1:])
        found.append(own[:, :height, :width])
    return found
