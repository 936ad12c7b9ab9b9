"""Training of learned edges: its samples, its loss, and the step on a small tree of discs."""

import json

import numpy as np
import pytest
import torch
from bsds_tree import SIZE, disc, write_tree
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.nn import functional

from wsis_steps.proposals.edge_network import find_edges, load_network
from wsis_steps.proposals.settings import ProposalsTrainEdges
from wsis_steps.proposals.train_edges import (
    STEP,
    DrawnBoundaries,
    main,
    random_window,
    share_of_annotators,
    weighted_cross_entropy,
)
from wsis_steps.vision.models import load_model


def bare_share(segmentations):
    share = np.zeros(segmentations.shape[1:])
    for labels in segmentations:
        for y, x in np.ndindex(labels.shape):
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            inside = [(a, b) for a, b in around if 0 <= a < labels.shape[0] and 0 <= b < labels.shape[1]]
            share[y, x] += any(labels[place] != labels[y, x] for place in inside)
    return share / len(segmentations)


@given(arrays.arrays(np.uint16, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(1, 3)))
def test_shares_are_those_of_the_definition(segmentations):
    share = share_of_annotators(segmentations)
    assert share.dtype == np.float32
    np.testing.assert_allclose(share, bare_share(segmentations), rtol=1e-6)


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(2, 30), st.integers(1, 40))
def test_windows_lie_inside_or_mirror_the_image(seed, height, width, side):
    found = random_window(np.random.default_rng(seed), (height, width), side)
    for length, index in zip((height, width), found, strict=True):
        assert len(index) == side and index.min() >= 0 and index.max() < length
        assert (np.abs(np.diff(index)) <= 1).all()
        if side <= length:
            assert (np.diff(index) == 1).all()
        elif side >= 2 * length:
            assert set(index) == set(range(length))


def samples(tmp_path, count=24, **changed):
    values = {"crop": 64, "widths": (4, 8), "color_jitter": (0, 0, 0, 0), "few": 0.0, **changed}
    dataset = DrawnBoundaries(write_tree(tmp_path), ProposalsTrainEdges(**values))
    return [dataset[k % len(dataset), k, 0] for k in range(count)]


def extreme(maps, radius):
    """Maximum of the window around each pixel of a float map (h, w)."""
    return functional.max_pool2d(maps[None], 2 * radius + 1, 1, radius)[0]


def test_boundaries_stay_on_the_pictures_edges_however_it_is_scaled_and_turned(tmp_path):
    seen = 0
    for picture, share in samples(tmp_path):
        assert picture.shape == (3, 64, 64) and picture.dtype == torch.uint8
        assert share.shape == (64, 64) and share.dtype == torch.float32
        red = picture[0].float()
        contrast = extreme(red, 3) + extreme(-red, 3)  # 180 at the disc's outline
        agreed, far = (share >= 0.5)[4:-4, 4:-4], (extreme(share, 5) == 0)[4:-4, 4:-4]
        assert (contrast[4:-4, 4:-4][agreed] > 110).float().mean() > 0.98 if agreed.any() else True
        assert (contrast[4:-4, 4:-4][far] < 80).all()
        seen += int(agreed.sum())
    assert seen > 500


def test_samples_depend_on_the_iteration_and_place_alone(tmp_path):
    one, two = samples(tmp_path, 6), samples(tmp_path, 6)
    assert all(
        torch.equal(a, b) for first, second in zip(one, two, strict=True) for a, b in zip(first, second, strict=True)
    )
    assert not torch.equal(one[0][0], one[3][0])  # the same image later


def test_the_loss_weighs_and_leaves_out_as_it_says():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 7, generator=generator)
    share = torch.tensor([0, 0, 0, 0.2, 0.4, 1.0])[torch.randint(6, (2, 5, 7), generator=generator)]
    marked, unmarked = int((share >= 0.3).sum()), int((share == 0).sum())
    for balance in (0.0, 0.5, 1.0):
        factor = max(unmarked / marked, 1) ** balance
        total = weight = 0.0
        for logit, wanted in zip(logits.ravel().tolist(), share.ravel().tolist(), strict=True):
            if 0 < wanted < 0.3:
                continue
            probability = 1 / (1 + np.exp(-logit))
            one = factor if wanted else 1.0
            total += one * -(wanted * np.log(probability) + (1 - wanted) * np.log(1 - probability))
            weight += one
        found = float(weighted_cross_entropy(logits, share, 0.3, balance))
        assert found == pytest.approx(total / weight, rel=1e-5)


def test_the_loss_of_pictures_without_boundaries_is_finite():
    logits = torch.zeros(1, 4, 4, requires_grad=True)
    loss = weighted_cross_entropy(logits, torch.zeros(1, 4, 4), 0.3, 1.0)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(np.log(2)) and torch.isfinite(logits.grad).all()
    assert float(weighted_cross_entropy(logits, torch.full((1, 4, 4), 0.1), 0.3, 1.0).detach()) == 0


SMALL = {"crop": 64, "widths": [8, 12], "iterations": 50, "batch_size": 3, "scale": [0.8, 1.25]}


def run(tmp_path, **values):
    paths = ["--model", tmp_path / "edges.pt", "--metrics", tmp_path / "edges.jsonl", "--threads", 1]
    with pytest.raises(SystemExit) as ended:
        STEP.run(main, [str(path) for path in paths] + ["--settings", json.dumps(values)])
    return ended.value.code


def test_the_step_learns_outlines_and_keeps_no_path(tmp_path, capsys):
    root = write_tree(tmp_path / "bsds", 6, ("train", "val"))
    assert run(tmp_path, root=str(root), **SMALL) == 0
    assert "6 images of val: best F-measure" in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "edges.jsonl").read_text().splitlines()]
    assert lines[-1]["iteration"] == 50 and lines[-1]["total"] < lines[0]["total"] / 2
    trained = load_model(tmp_path / "edges.pt", "proposals_train_edges")
    assert trained.settings["root"] == "BSDS500, 6 images of train" and str(tmp_path) not in str(trained.settings)
    assert trained.supervision == ("masks_seen: boundaries",)
    labels = disc(30, 40, 14)
    picture = np.where(labels[..., None] == 2, (220, 180, 90), (40, 60, 80)).astype(np.uint8)
    edges, share = find_edges(load_network(tmp_path / "edges.pt"), picture), share_of_annotators(labels[None])
    assert edges.shape == SIZE and edges[share == 1].mean() > 3 * edges[share == 0].mean()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "proposals_train_edges.root is not set; name the folder of BSDS500."),
        ({"root": "nowhere"}, "images/train holds no .jpg files"),
        ({"root": "nowhere", "crop": 100}, "crop is 100, which is not a multiple of 16"),
        ({"root": "nowhere", "scale": [2, 0.5]}, "the range of scale is [2.0, 0.5]; write the smaller number first"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_leaves_nothing(tmp_path, capsys, values, said):
    assert run(tmp_path, **values) == 2 and said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
