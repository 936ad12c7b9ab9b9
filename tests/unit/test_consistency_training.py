"""What the losses of the conditional network compute with on a GPU, whose mixed precision a CPU can imitate."""

import numpy as np
import pytest
import torch
from proposal_sets import random_proposals

from wsis_steps.annotation_consistency import initialise, train_conditional
from wsis_steps.annotation_consistency.annotation import claims_of
from wsis_steps.annotation_consistency.network import ConditionalNetwork
from wsis_steps.annotation_consistency.region_graph import build_graph, graph_tensors
from wsis_steps.settings.annotation_consistency import (
    AnnotationConsistencyInitialise,
    AnnotationConsistencyTrainConditional,
)

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
