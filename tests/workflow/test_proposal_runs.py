"""Proposals in the workflow: asked for by name, by any number of jobs, and scored."""

import json
from collections import Counter

import numpy as np
import pytest
import yaml
from tiny_workflow import CONFIGURATION, jobs

from wsis_steps.plan.config import load
from wsis_steps.plan.runs import Runs
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.masks import decode

TARGETS = ["results/tiny/shared/proposals/mcg.h5", "results/tiny/shared/proposals/selective_search.h5"]


def configuration(tiny, shards: int = 1, count: int = 50):
    steps = {"steps__proposals_search_selectively__min_size": 4, "steps__proposals_group_regions__count": count}
    return tiny.configured(shards=shards, **steps)


@pytest.fixture
def made(tiny):
    status, said = tiny.call("--", *TARGETS, configuration=configuration(tiny))
    assert status == 0, said
    return tiny


def test_jobs_that_share_the_images_make_the_file_of_one(made):
    paths = [made.run / target for target in TARGETS]
    whole = [path.read_bytes() for path in paths]
    assert not (paths[0].parent / "mcg").exists()  # what the shards made is gone
    for path in paths:
        path.unlink()
    status, said = made.call("--", *TARGETS, configuration=configuration(made, shards=3))
    assert status == 0, said
    assert [path.read_bytes() for path in paths] == whole
    for step in ("group_regions", "search_selectively"):
        logs = sorted((made.run / "logs/tiny/shared").glob(f"proposals_{step}_*_of_3.log"))
        assert len(logs) == 3


def test_proposals_are_made_once_and_anew_when_their_settings_change(made):
    assert made.planned("--", *TARGETS, configuration=configuration(made)) == set()
    changed = {"proposals_group_regions"}
    assert made.planned("--", *TARGETS, configuration=configuration(made, count=40)) == changed


def test_steps_that_look_at_one_image_after_another_are_shared(made):
    planned = made.planned(configuration=configuration(made, shards=3))
    counts = Counter(job.split()[0] for job in planned if job.endswith(" 3"))
    runs = Runs(load(yaml.safe_load(CONFIGURATION.read_text())))
    for step in ("classifier_infer", "postprocess_refine_with_crf", "bestie_infer", "maskrcnn_infer"):
        assert counts[step] == 3 * len(runs.owners(step).split("|"))
    merged = {job.split()[1] for job in planned if job.startswith("postprocess_merge_shards")}
    assert {"bestie/classifier/train", "bestie/semantic/train", "bestie/labels/round01"} <= merged
    assert "bestie/labels/round00" not in merged


def test_regions_give_semantic_maps_and_first_labels_their_outlines(made):
    steps = {"bestie_label": {"instances": "regions"}, "classifier_learn_pixels": {"rounds": 2}}
    run = {"system": "bestie", "semantic": "regions", "class_maps": "learned", "steps": steps}
    own = made.results / "bestie_regions"  # a run of its own: other tests find that of bestie as it was
    made_here = {"proposals_search_selectively": {"min_size": 4}, "proposals_group_regions": {"count": 50}}
    regions = made.configured(
        **{f"steps__{step}": values for step, values in made_here.items()}, runs__bestie_regions=run
    )
    status, said = made.call("--", "results/tiny/bestie_regions/labels/round00.h5", configuration=regions)
    assert status == 0, said
    own_steps = ("classifier_extract", "classifier_learn_pixels", "postprocess_pool_over_regions", "bestie_label")
    assert set(jobs(said)) == {f"{step} bestie_regions" for step in own_steps}
    semantic, labels = Maps(own / "semantic/train.h5"), Instances(own / "labels/round00.h5")
    without = dict.fromkeys(("without", "crowded", "uncued", "undersized", "bare"), 0)
    assert labels.counts == {"images": 12, "expected": 12, "labels": int(labels.first[-1]), **without}
    learned = Maps(own / "classifier/probabilities.h5")
    for i in range(len(learned)):
        found = learned.read(i)[0].astype(float)
        assert len(found) and found.min() >= 0 and found.sum(axis=0).max() < 1.01
    proposals = Proposals(made.results / "shared/proposals/mcg.h5")
    assert set(labels.supervision) == {"tags", *proposals.supervision} == set(semantic.supervision)
    for i, identity in enumerate(labels.ids):
        drawn = proposals.read(proposals.index[identity])
        found = decode(labels.read(i).rles, drawn.superpixels.shape[0], drawn.superpixels.shape[1])
        assert len(found) and (drawn.overlaps(found).max(axis=0) == 1).all()  # each is a region
        for superpixel in range(drawn.members.shape[1]):
            assert len(np.unique(semantic.semantic(i)[drawn.superpixels == superpixel])) <= 1


def test_proposals_are_scored(made):
    figures = "results/tiny/shared/evaluation/proposals_mcg.json"
    status, said = made.call("--", figures, configuration=configuration(made))
    assert status == 0, said
    metrics = json.loads((made.run / figures).read_text())["metrics"]
    assert metrics["j_instances_all"] > 0.5 and metrics["box_recall50_all"] > 0.5
    assert (made.run / figures).with_suffix(".svg").read_text().startswith("<svg")
