"""Ablations are paired: but for what each is about, they start and draw as the run that they are compared with."""

from pathlib import Path

import pytest
import torch
import yaml
from snakemake.utils import update_config

from wsis_steps.bestie.network import build_network
from wsis_steps.classifier.network import build_classifier
from wsis_steps.plan.config import load
from wsis_steps.plan.runs import Runs

ROOT = Path(__file__).parents[3]
PRESETS = {
    "shapes_ablations": ROOT / "config.yaml",
    "voc2012_ablations": ROOT / "workflow/presets/voc2012.yaml",
}
# What the runs switch or change in the instance network; none of it is a layer or a draw.
SWITCHES = {"refinement", "instance_aware_guidance", "class_wise_centers", "supervision"}


def runs_of(preset) -> Runs:
    merged = {}
    for path in (PRESETS[preset], ROOT / f"workflow/presets/{preset}.yaml"):
        update_config(merged, yaml.safe_load(path.read_text()))
    return Runs(load({**merged, "seeds": [3]}))


def ablations(preset) -> tuple[Runs, list[str]]:
    """The runs that have the backbone of `bestie`, and are no other backbone's."""
    runs = runs_of(preset)
    backbone = runs.values("bestie", "bestie_train").backbone
    own = [name for name, run in runs.runs.items() if run.system == "bestie"]
    return runs, [name for name in own if runs.values(name, "bestie_train").backbone == backbone]


def initial(build, settings) -> dict[str, torch.Tensor]:
    torch.manual_seed(settings.seed)
    return build(settings, 4).state_dict()


def assert_equal_where_shared(state, base):
    shared = [key for key in base if key in state and state[key].shape == base[key].shape]
    assert len(shared) == len(base) == len(state)  # no layer is only in one of them
    assert all(torch.equal(state[key], base[key]) for key in shared)


@pytest.mark.parametrize("preset", PRESETS)
def test_instance_networks_start_from_the_same_weights_and_draw_alike(preset):
    """With the small backbone also where the preset has HRNet-W48: what is built beside it and when is the point."""
    runs, names = ablations(preset)
    assert len(names) >= 7
    chosen = {name: runs.values(name, "bestie_train").model_copy(update={"backbone": "small"}) for name in names}
    states = {}
    for name, settings in chosen.items():
        changed = {key for key, value in settings if value != getattr(chosen["bestie"], key)}
        assert changed <= SWITCHES, name
        key = settings.model_dump_json()
        states.setdefault(key, initial(build_network, settings))
        assert_equal_where_shared(states[key], states[chosen["bestie"].model_dump_json()])
    assert len(states) >= 5


@pytest.mark.parametrize(
    ("preset", "names"),
    [("shapes_ablations", ["bestie", "bestie_cam"]), ("voc2012_ablations", ["bestie", "bestie_cam", "bestie_pam456"])],
)
def test_classifiers_start_from_the_same_weights(preset, names):
    runs = runs_of(preset)
    small_head = {"head_width": 8}
    chosen = [runs.values(name, "classifier_train").model_copy(update=small_head) for name in names]
    first, *others = (initial(build_classifier, settings) for settings in chosen)
    for state in others:
        assert_equal_where_shared(state, first)
