"""All ablations of Deep Community Learning are paired: the same initial weights, data and draws of regions."""

import pytest
import torch
from presets import preset
from test_community_network import batch

from wsis_steps.community_learning import objective
from wsis_steps.community_learning.network import CommunityNetwork
from wsis_steps.community_learning.settings import CommunityLearningTrain
from wsis_steps.plan.runs import Runs


@pytest.fixture(scope="module")
def runs() -> dict[str, CommunityLearningTrain]:
    """Settings of the training of each run of the preset, seed 0."""
    found = Runs(preset("shapes_ablations"))
    names = [name for name in found.runs if name.startswith("community") and name.endswith("_seed0")]
    return {name: found.values(name, "community_learning_train") for name in names}


def test_every_ablation_starts_from_the_same_weights(runs):
    states = {}
    for name, settings in runs.items():
        torch.manual_seed(settings.seed)
        states[name] = CommunityNetwork(settings, 3).state_dict()
    first = states["community_learning_seed0"]
    assert len(states) > 8 and len(first) > 50
    for name, state in states.items():
        assert state.keys() == first.keys(), name
        assert all(torch.equal(state[key], first[key]) for key in first), name


def test_every_ablation_sees_the_same_regions_in_its_first_iteration(runs, monkeypatch):
    drawn, draw = [], objective.sample_proposals
    monkeypatch.setattr(objective, "sample_proposals", lambda *values: drawn.append(draw(*values)) or drawn[-1])
    first = None
    for name, settings in runs.items():
        torch.manual_seed(settings.seed)
        model = CommunityNetwork(settings, 3)
        drawn.clear()
        objective.batch_loss(model, batch())
        rows = [sample.rows.tolist() for sample in drawn]
        first = first or rows
        assert rows == first and all(rows), name
