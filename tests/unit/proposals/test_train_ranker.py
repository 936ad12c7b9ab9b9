"""The ranker learns which candidates are objects, from a tree in BSDS500's layout, and says what it has seen."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bsds_tree import write_tree

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job
from wsis_steps.proposals.bsds import list_images, object_segments, read_image
from wsis_steps.proposals.edge_models import load_edge_finder
from wsis_steps.proposals.mcg.rankers import load_ranker
from wsis_steps.proposals.mcg.ranking import FEATURES, Ranker
from wsis_steps.proposals.region_proposals import propose
from wsis_steps.proposals.settings import ProposalsGroupRegions, ProposalsTrainRanker
from wsis_steps.proposals.train_ranker import fit, main
from wsis_steps.vision.models import load_model

BSDS = Path(__file__).parents[4] / "shared/data/bsds500"


def run(out: Path, root: Path | None, threads: int = 1, **values) -> Path:
    settings = ProposalsTrainRanker(root=root, edges="gradient", mode="fast", epochs=2, **values)
    main(Job("proposals_train_ranker", settings, {}, {"ranker": out}, threads))
    return out


def test_what_can_be_learned_is_learned():
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(3, 5, (4000, len(FEATURES))).astype(np.float32))
    overlaps = (0.3 + features[:, 3] / 40 - features[:, 7] / 60).clamp(0, 1)
    torch.manual_seed(0)
    ranker = Ranker(64)
    fit(ranker, features, overlaps, ProposalsTrainRanker(epochs=60))
    with torch.inference_mode():
        error = (ranker(features) - overlaps).square().mean()
    assert error < 0.2 * overlaps.var()


def test_training_gives_the_same_ranker_with_any_number_of_workers(tmp_path):
    write_tree(tmp_path / "bsds")
    one = load_model(run(tmp_path / "one.pt", tmp_path / "bsds"), "proposals_train_ranker")
    two = load_model(run(tmp_path / "two.pt", tmp_path / "bsds", threads=2), "proposals_train_ranker")
    assert all(torch.equal(one.state[name], two.state[name]) for name in one.state)
    assert one.supervision == ("masks_seen: segments",)
    assert one.settings["root"] == "BSDS500, train"  # no path of a machine


def test_without_the_folder_the_setting_is_named(tmp_path):
    with pytest.raises(InputError, match="proposals_train_ranker.root"):
        run(tmp_path / "r.pt", None)


@pytest.mark.skipif(not BSDS.is_dir(), reason=f"BSDS500 is not in {BSDS}")
@pytest.mark.parametrize("edges", ["learned", "gradient"])
def test_the_package_ranks_better_than_the_score_by_hand(edges):
    """Mean best overlap of the first 100 proposals with drawn segments of nine pictures that it was not trained on."""
    means = {}
    for name in ("learned", "none"):
        settings = ProposalsGroupRegions(edges=edges, mode="fast", ranker=name)
        models = load_edge_finder(edges, None)[0], load_ranker(name, None, edges, "fast")[0]
        best = []
        for identity in list_images(BSDS, "val")[::12]:
            image = read_image(BSDS, "val", identity)
            found = propose(image.picture, settings, *models)
            best.append(found.overlaps(object_segments(image.segmentations, 0.01))[:100].max(0))
        means[name] = np.concatenate(best).mean()
    assert means["learned"] > means["none"] + 0.02
