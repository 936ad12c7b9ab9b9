"""What the losses of the conditional network compute with on a GPU, whose mixed precision a CPU can imitate."""

import numpy as np
import pytest
import torch
from proposal_sets import random_proposals

from wsis_steps.annotation_consistency import initialise, train_conditional
from wsis_steps.annotation_consistency.annotation import claims_of
from wsis_steps.annotation_consistency.network import ConditionalNetwork
from wsis_steps.annotation_consistency.prediction import losses_of_proposals, masks_in_boxes
from wsis_steps.annotation_consistency.region_graph import build_graph, graph_tensors, with_matrices
from wsis_steps.annotation_consistency.settings import (
    AnnotationConsistencyInitialise,
    AnnotationConsistencyTrainConditional,
    TaskLoss,
)
from wsis_steps.maskrcnn.network import build_maskrcnn
from wsis_steps.maskrcnn.settings import MaskrcnnTrain

HEIGHT, WIDTH, PROPOSALS = 24, 32, 12
TAGS = np.array([True, False, True])


@pytest.fixture
def model() -> ConditionalNetwork:
    torch.manual_seed(0)
    settings = {"backbone": "small", "weights": "none", "width": 6, "decoder_width": 8, "decoder_layers": 1}
    return ConditionalNetwork(AnnotationConsistencyInitialise(**settings), len(TAGS)).eval()


@pytest.fixture
def sample(model) -> dict:
    rng = np.random.default_rng(0)
    proposals = random_proposals(rng, "regions", PROPOSALS, HEIGHT, WIDTH)
    graph = build_graph(proposals, rng.random((HEIGHT, WIDTH)).astype(np.float32), HEIGHT, WIDTH)
    settings = AnnotationConsistencyTrainConditional()
    claims = claims_of(TAGS, np.zeros((0, 5), np.float32), graph.boxes, settings)
    return {
        "picture": torch.from_numpy(rng.integers(0, 256, (3, HEIGHT, WIDTH), dtype=np.uint8)),
        "graph": graph_tensors(graph, model.stride),
        "tags": torch.from_numpy(TAGS),
        "claims": {name: torch.from_numpy(value) for name, value in vars(claims).items()},
    }


@pytest.mark.parametrize("step", ["initialise", "train_conditional"])
def test_scores_have_full_precision_where_the_network_is_mixed(model, sample, step, monkeypatch):
    monkeypatch.setattr(train_conditional, "losses_of_proposals", lambda *_: torch.rand(PROPOSALS, 3))
    loss = initialise.loss
    if step == "train_conditional":
        loss = train_conditional.build_loss(None, AnnotationConsistencyTrainConditional(samples=2))
    seen = []
    score, trunk = model.score, model.trunk.forward
    monkeypatch.setattr(model, "score", lambda *a: seen.append(torch.is_autocast_enabled("cpu")) or score(*a))
    monkeypatch.setattr(model.trunk, "forward", lambda x: seen.append(torch.is_autocast_enabled("cpu")) or trunk(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = loss(model, [sample], 1)
    assert seen == [True, False] and terms["total"].dtype == torch.float32


def test_delta_is_that_of_the_heads_on_the_proposals_boxes_and_masks(sample):
    """With a picture twice as large as the network sees it; the masks' part is the mean difference in the box."""
    torch.manual_seed(0)
    small = {"min_size": 12, "max_size": 16, "fpn_channels": 8, "box_width": 8, "mask_width": 8, "mask_layers": 1}
    network = build_maskrcnn(MaskrcnnTrain(backbone="small", **small), len(TAGS)).eval()
    graph = with_matrices(sample["graph"], (HEIGHT // 2) * (WIDTH // 2))
    labels = sample["claims"]["labels"]
    found = [
        losses_of_proposals(network, sample["picture"], graph, labels, TaskLoss(mask_weight=weight, missed_cost=3))
        for weight in (0, 0.5)
    ]
    images, _ = network.transform([sample["picture"].float() / 255])
    features, heads = network.backbone(images.tensors), network.roi_heads
    with torch.no_grad():
        for u, box in enumerate(graph["boxes"]):
            where = features, [box[None] / 2], images.image_sizes
            p = heads.box_predictor(heads.box_head(heads.box_roi_pool(*where)))[0].softmax(dim=1)[0, labels]
            masks = heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(*where)))[0, labels].sigmoid()
            own = masks_in_boxes(graph, masks.shape[-1])[u]
            without = torch.cat([3 * (1 - p[:1]), 1 - p[1:]])
            torch.testing.assert_close(found[0][u], without)
            of_masks = 0.5 * p[1:] * (masks[1:] - own).abs().mean(dim=(1, 2))
            torch.testing.assert_close(found[1][u], without + torch.cat([torch.zeros(1), of_masks]))


def test_an_epsilon_of_0_is_refused():
    with pytest.raises(ValueError, match="take 1 or -1"):
        AnnotationConsistencyTrainConditional(epsilon=0)
