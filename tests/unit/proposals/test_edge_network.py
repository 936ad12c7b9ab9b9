"""Learned edges: the network for any size, its file, and the weights in the package against plain gradients."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job
from wsis_steps.proposals.bsds import list_images, read_image
from wsis_steps.proposals.contour_scores import best_f_measure
from wsis_steps.proposals.edge_models import PACKAGE_WEIGHTS
from wsis_steps.proposals.edge_network import EdgeNetwork, find_edges, load_network
from wsis_steps.proposals.settings import ProposalsTrainEdges
from wsis_steps.vision.models import load_model, save_model

REAL = Path(__file__).parents[4] / "shared/data/bsds500"
needs_bsds = pytest.mark.skipif(not REAL.is_dir(), reason="BSDS500 is absent")


def trained_network(widths=(4, 6, 8)):
    """A network whose batch statistics and scales are not those of the beginning."""
    torch.manual_seed(0)
    network = EdgeNetwork(widths)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
    for _ in range(20):
        network(torch.rand(2, 3, 32, 48) * 255)
    return network.eval()


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


NETWORK = trained_network().fused()


def test_without_batch_normalization_the_network_is_the_same_function():
    network = trained_network()
    pictures = torch.from_numpy(np.stack([noise(64, 96, seed) for seed in (1, 2)])).permute(0, 3, 1, 2)
    fused = network.fused()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fused.modules())
    with torch.no_grad():
        torch.testing.assert_close(fused(pictures), network(pictures), rtol=1e-4, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_pictures_of_any_size_have_edges_of_their_size(height, width):
    edges = find_edges(NETWORK, noise(height, width))
    assert edges.shape == (height, width) and edges.dtype == np.float32
    assert edges.min() >= 0 and edges.max() <= 1 and np.isfinite(edges).all()


def test_pixels_keep_their_places():
    """What is added far away on the right or below does not move or change the edges."""
    network = trained_network().fused()
    wide = noise(96, 200)
    np.testing.assert_allclose(find_edges(network, wide)[:, :64], find_edges(network, wide[:, :160])[:, :64], atol=1e-5)


def test_the_file_gives_the_network_back(tmp_path):
    network = trained_network()
    path, fused = save(tmp_path / "edges.pt", network)
    picture = noise(50, 61)
    np.testing.assert_allclose(find_edges(load_network(path), picture), find_edges(fused, picture), atol=2e-3)


def save(path, network, step="proposals_train_edges", widths=None):
    job = Job(step, ProposalsTrainEdges(widths=widths or network.widths), {}, {})
    fused = network.fused()
    save_model(path, fused.half(), job.provenance(supervision=["masks_seen: boundaries"]))
    return path, fused.float()


def test_files_that_are_no_such_network_are_told_in_a_sentence(tmp_path):
    path = tmp_path / "edges.pt"
    with pytest.raises(InputError, match="edges.pt does not exist; train the weights"):
        load_network(path)
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="edges.pt cannot be read as a file of weights"):
        load_network(path)
    save(path, trained_network(), step="classifier_train")
    with pytest.raises(InputError, match="but a model trained by proposals_train_edges is needed"):
        load_network(path)
    save(path, trained_network(), widths=(4, 6, 16))
    with pytest.raises(InputError, match="edges.pt does not fit the network"):
        load_network(path)


def test_the_weights_of_the_package_are_small_and_say_what_they_have_seen():
    assert PACKAGE_WEIGHTS.stat().st_size < 500_000
    trained = load_model(PACKAGE_WEIGHTS, "proposals_train_edges")
    assert trained.supervision == ("masks_seen: boundaries",)
    assert trained.settings["root"] == "BSDS500, 200 images of train"
    assert "/" not in json.dumps(trained.settings)


def test_the_package_finds_an_outline_and_no_texture():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:160, :200]
    distance = np.hypot(rows - 80, columns - 100) - 45
    picture = np.where(distance[..., None] < 0, (190, 120, 70), (70, 110, 140)) + rng.normal(0, 20, (160, 200, 3))
    edges = find_edges(load_network(PACKAGE_WEIGHTS), np.clip(picture, 0, 255).astype(np.uint8))
    on, off = edges[np.abs(distance) < 1], edges[np.abs(distance) > 8]
    assert on.mean() > 0.5 and off.mean() < 0.05


def gradient(picture):
    """Magnitude of the smoothed gradient in Lab, scaled to 0..1."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 3)
    squares = [cv2.Sobel(lab, cv2.CV_32F, *order, ksize=3) ** 2 for order in ((1, 0), (0, 1))]
    return np.minimum(np.sqrt(sum(squares).sum(axis=2)) / 60, 1)


@needs_bsds
def test_the_package_finds_drawn_boundaries_far_better_than_gradients_do():
    images = [read_image(REAL, "val", identity) for identity in list_images(REAL, "val")[:20]]
    network = load_network(PACKAGE_WEIGHTS)
    learned = best_f_measure((find_edges(network, image.picture), image.boundaries) for image in images)[0]
    plain = best_f_measure((gradient(image.picture), image.boundaries) for image in images)[0]
    assert learned > plain + 0.05, (learned, plain)
