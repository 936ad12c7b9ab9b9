"""Which of the labelled proposals become instances, and the table of several label sets."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from artifacts import CLASSES, SIZE, provenance, squares

from wsis_steps.annotation_consistency.annotation import Claims
from wsis_steps.annotation_consistency.instances import choose, overlaps_among, quality
from wsis_steps.annotation_consistency.sample import collect, diversity
from wsis_steps.annotation_consistency.settings import AnnotationConsistencySample
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.label_sets import LabelSets, write_label_sets
from wsis_steps.vision.masks import encode

PRESET = Path(__file__).parents[3] / "workflow/presets/voc2012.yaml"
# five superpixels of 4 pixels in a row; proposals: left pair, its half, right pair, all but one, the last
MEMBERS = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 1, 1, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1]], bool)
SIZES = np.full(5, 4, np.float32)


def claims(labels=(0, 1, 3), claimed=(), candidates=(), fits=1) -> Claims:
    candidates = np.array(candidates, bool).reshape(len(claimed), len(MEMBERS))
    allowed = np.ones((len(MEMBERS), len(labels)), bool)
    return Claims(np.array(labels), np.array(claimed, np.int64), candidates, np.ones(candidates.shape) * fits, allowed)


def chosen(labels, qualities, found=None, **settings) -> list[list[int]]:
    labels, qualities = np.atleast_2d(labels), np.atleast_2d(np.array(qualities, np.float32))
    settings = AnnotationConsistencySample(**settings)
    picked = choose(labels, qualities, found or claims(), MEMBERS, SIZES, settings)
    return [np.flatnonzero(row).tolist() for row in picked]


def brute(labels, qualities, nms, kind) -> list[int]:
    kept: list[int] = []
    for u in np.argsort(-np.array(qualities), kind="stable"):

        def overlap(v, u=u):
            shared = (MEMBERS[u] & MEMBERS[v]).sum()
            whole = (MEMBERS[u] | MEMBERS[v]).sum() if kind == "union" else min(MEMBERS[u].sum(), MEMBERS[v].sum())
            return shared / whole

        if labels[u] and all(labels[v] != labels[u] or overlap(v) <= nms for v in kept):
            kept.append(int(u))
    return sorted(kept)


@pytest.mark.parametrize("kind", ["union", "smaller"])
def test_instances_equal_greedy_suppression_in_a_loop(kind):
    rng = np.random.default_rng(0)
    for _ in range(100):
        labels, qualities = rng.integers(0, 3, (4, 5)), rng.random((4, 5)).round(2)
        nms = float(rng.choice([0.2, 0.4, 0.6]))
        expected = [brute(*row, nms, kind) for row in zip(labels, qualities, strict=True)]
        assert chosen(labels, qualities, nms=nms, overlap=kind, min_share=0) == expected


def test_numbers_and_shares_bound_the_instances():
    labels, qualities = [1, 1, 1, 0, 1], [1.0, 0.9, 0.3, 2.0, 0.2]
    assert chosen(labels, qualities, overlap="smaller", min_share=0) == [[0, 2, 4]]
    assert chosen(labels, qualities, overlap="smaller", min_share=0.25) == [[0, 2]]
    assert chosen(labels, qualities, overlap="smaller", instances=1) == [[0]]
    assert chosen(labels, qualities, overlap="smaller", candidates=2) == [[0]]


def test_the_presets_selection_leaves_one_instance_of_each_object():
    """Two objects of nine cells each on a grid of 5 x 12: proposals are they, all their rows, columns and corners, and
    they with a margin of one or two cells; all have the class, and the whole objects the best quality."""
    settings = yaml.safe_load(PRESET.read_text())["steps"]["annotation_consistency_sample"]
    cells = np.zeros((5, 12), bool)
    proposals, objects = [], []
    for left in (1, 8):
        around = [np.s_[1:4, left : left + 3]]
        around += [np.s_[row : row + 1, left : left + 3] for row in (1, 2, 3)]
        around += [np.s_[1:4, column : column + 1] for column in range(left, left + 3)]
        around += [np.s_[1 + row : 3 + row, left + column : left + column + 2] for row in (0, 1) for column in (0, 1)]
        around += [np.s_[0:4, left : left + 3], np.s_[1:5, left : left + 3], np.s_[0:5, left - 1 : left + 4]]
        objects.append(len(proposals))
        for part in around:
            proposals.append(cells.copy())
            proposals[-1][part] = True
    members = np.array(proposals).reshape(len(proposals), -1)
    qualities = np.full((1, len(members)), 0.5, np.float32)
    qualities[0, objects] = 1
    every = Claims(np.array([0, 1]), np.zeros(0, int), np.zeros((0, 0), bool), np.zeros((0, 0)), np.zeros((0, 0), bool))
    picked = choose(
        np.ones((1, len(members)), int), qualities, every, members, np.ones(members.shape[1], np.float32),
        AnnotationConsistencySample(**settings),
    )  # fmt: skip
    assert np.flatnonzero(picked[0]).tolist() == objects


def test_a_box_has_the_best_proposal_that_meets_it():
    own = claims(claimed=(1, 1, 2), candidates=[[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]])
    labels, qualities = [1, 1, 1, 1, 1], [0.5, 0.6, 0.1, 0.7, 1.0]
    assert chosen(labels, qualities, own, supervision="boxes") == [[1, 3]]  # none has the class of the third
    labels = [1, 0, 0, 0, 2]
    assert chosen(labels, qualities, own, supervision="boxes") == [[0, 4]]


def test_of_the_proposals_that_meet_a_box_one_that_fits_it_well_is_the_best():
    fitting = claims(claimed=(1,), candidates=[[1, 1, 0, 0, 0]], fits=[[0.9, 0.6, 1, 1, 1]])
    labels, qualities = [1, 1, 1, 1, 1], [0.5, 0.7, 1, 1, 1]
    found = [chosen(labels, qualities, fitting, supervision="boxes", fit_power=power) for power in (0, 1)]
    assert found == [[[1]], [[0]]]


def test_overlaps_and_quality():
    found = overlaps_among(MEMBERS.astype(np.float32), SIZES, "union")
    assert found[0].tolist() == [1, 0.5, 0, 0.5, 0]
    assert overlaps_among(MEMBERS.astype(np.float32), SIZES, "smaller")[0].tolist() == [1, 1, 0, 1, 0]
    settings = AnnotationConsistencySample(area_power=1, prior_weight=1)
    values = quality(np.array([[2.0, -1, 1]]), np.array([0.5, 0.5, 1]), np.array([0.0, 0, 1]), settings)
    assert values.tolist()[0] == pytest.approx([1, 0, np.e])


def test_the_diversity_of_samples_is_the_mean_share_of_proposals_in_which_two_differ():
    labels = np.random.default_rng(0).integers(0, 3, (5, 7))
    pairs = [np.mean(labels[i] != labels[j]) for i in range(5) for j in range(i)]
    assert diversity(labels) == pytest.approx(np.mean(pairs)) and diversity(labels[:1]) == 0


def test_label_sets_are_collected_once_and_read_back(tmp_path):
    picked = np.array([[1, 0, 1], [1, 0, 0], [1, 1, 0]], bool)
    labels = np.array([[1, 0, 2], [1, 0, 0], [2, 1, 0]])
    qualities = np.array([[1.0, 0, 3], [4, 0, 0], [1, 1, 0]], np.float32)
    masks = np.eye(3, dtype=np.uint8).reshape(3, 1, 3)
    found, held = collect(picked, labels, qualities, lambda rows: encode(masks[rows]), np.array([-1, 0, 1]))
    assert found.categories.tolist() == [0, 1, 0, 1] and found.boxes[:, 0].tolist() == [0, 0, 1, 2]
    assert held.tolist() == [[True, True, False], [False, False, True], [False, False, True], [True, False, False]]
    assert found.scores.tolist() == pytest.approx([0.8, 0.5, 0.5, 0.75])

    images = [squares(0), squares(1)]
    sets = [np.array([[True, False]]), np.array([[False, True]])]
    write_label_sets(tmp_path / "sets.h5", provenance(), ["a", "b"], [SIZE] * 2, [SIZE] * 2, images, sets)
    read = LabelSets(tmp_path / "sets.h5")
    assert read.class_names == CLASSES and read.sets.tolist() == [[True, False], [False, True]]
    assert read.read(1).at(np.array([], np.int64)).boxes.shape == (0, 4) and len(read.read(0).at(np.array([0]))) == 1
    with pytest.raises(Exception, match="holds 'label_sets', but 'instances' is needed"):
        Instances(tmp_path / "sets.h5")
