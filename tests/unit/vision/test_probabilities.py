"""Class probabilities between a network and its labels: tags and the dense CRF."""

import numpy as np
import pytest
import torch
from artifacts import picture, write_images

from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.dense_crf import DenseField
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.probabilities import limit_to_tags, refine_ahead
from wsis_steps.vision.settings import DenseCrf


def test_only_tagged_classes_are_left_and_the_background_is_weighted():
    probability = torch.rand(4, 5, 6).softmax(dim=0)
    limited = limit_to_tags(probability, torch.tensor([True, False, True]), 0.25)
    torch.testing.assert_close(limited, probability * torch.tensor([0.25, 1, 0, 1])[:, None, None])


def test_an_image_without_tags_is_background():
    probability = torch.tensor([0.0, 1.0])[:, None, None].repeat(1, 4, 4)
    assert not limit_to_tags(probability, torch.tensor([False]), 0.3).argmax(dim=0).any()


def test_pixels_whose_classes_have_all_underflowed_stay_finite(tmp_path):
    pictures = Pictures(Images(write_images(tmp_path / "images.h5")), np.arange(8))
    probability = torch.zeros(3, 32, 32)
    probability[0, :16], probability[1, 16:, :20] = 0.5, 0.7
    (refined,) = refine_ahead(pictures, iter([(0, probability)]), DenseCrf(crf_iterations=2), 1)
    assert torch.isfinite(refined).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_every_picture_is_refined_by_its_own_field_in_order(tmp_path, threads):
    pictures = Pictures(Images(write_images(tmp_path / "images.h5")), np.arange(8))
    settings = DenseCrf(crf_iterations=2, bilateral_sxy=5)
    generator = torch.Generator().manual_seed(0)
    outputs = [(i, torch.rand(3, 32, 32, generator=generator).mul(4).softmax(dim=0)) for i in range(8)]
    found = list(refine_ahead(pictures, iter(outputs), settings, threads))
    for (i, probability), refined in zip(outputs, found, strict=True):
        expected = DenseField(picture(i), 3, settings).refine_probabilities(probability.numpy())
        np.testing.assert_allclose(refined.numpy(), expected, atol=1e-5)


def test_classes_that_are_nowhere_the_likeliest_take_no_part(tmp_path):
    pictures = Pictures(Images(write_images(tmp_path / "images.h5")), np.arange(8))
    probability = torch.tensor([0.6, 0.3, 0.1])[:, None, None].repeat(1, 32, 32)
    probability[:, 4:20, 4:20] = torch.tensor([0.3, 0.6, 0.1])[:, None, None]
    (refined,) = refine_ahead(pictures, iter([(0, probability)]), DenseCrf(crf_iterations=2), 1)
    assert not refined[2].any()
    torch.testing.assert_close(refined.sum(dim=0), torch.ones(32, 32))


def test_a_picture_of_one_class_passes_as_the_network_gave_it(tmp_path):
    pictures = Pictures(Images(write_images(tmp_path / "images.h5")), np.arange(8))
    with torch.inference_mode():
        probability = torch.tensor([0.9, 0.1])[:, None, None].repeat(1, 32, 32)
    (refined,) = refine_ahead(pictures, iter([(0, probability)]), DenseCrf(crf_iterations=2), 1)
    torch.testing.assert_close(refined, probability)
