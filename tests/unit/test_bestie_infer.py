"""What bestie_infer does to class probabilities before it groups them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from artifacts import picture, write_images

from wsis_steps.bestie.infer import limit_to_tags, refine_ahead
from wsis_steps.core.dense_crf import DenseField
from wsis_steps.core.images import Pictures
from wsis_steps.core.store import Images
from wsis_steps.settings.bestie import BestieInfer


def test_only_tagged_classes_are_left_and_the_background_is_weighted():
    probability = torch.rand(4, 5, 6).softmax(dim=0)
    limited = limit_to_tags(probability, torch.tensor([True, False, True]), 0.25)
    torch.testing.assert_close(limited.sum(dim=0), torch.ones(5, 6))
    assert not limited[2].any()
    torch.testing.assert_close(limited[1] / limited[3], probability[1] / probability[3])
    torch.testing.assert_close(limited[0] / limited[1], 0.25 * probability[0] / probability[1])


@pytest.mark.parametrize("threads", [1, 2])
def test_every_picture_is_refined_by_its_own_field_in_order(tmp_path, threads):
    pictures = Pictures(Images(write_images(tmp_path / "images.h5")), np.arange(8))
    settings = BestieInfer(crf_iterations=2, bilateral_sxy=5)
    generator = torch.Generator().manual_seed(0)
    outputs = [(i, torch.rand(3, 32, 32, generator=generator).mul(4).softmax(dim=0)) for i in range(8)]
    job = SimpleNamespace(settings=settings, threads=threads)
    found = list(refine_ahead(job, pictures, iter(outputs)))
    for (i, probability), refined in zip(outputs, found, strict=True):
        expected = DenseField(picture(i), 3, settings).refine_probabilities(probability.numpy())
        np.testing.assert_allclose(refined.numpy(), expected, atol=1e-5)


def test_classes_that_are_nowhere_the_likeliest_take_no_part(tmp_path):
    pictures = Pictures(Images(write_images(tmp_path / "images.h5")), np.arange(8))
    probability = torch.tensor([0.6, 0.3, 0.1])[:, None, None].repeat(1, 32, 32)
    probability[:, 4:20, 4:20] = torch.tensor([0.3, 0.6, 0.1])[:, None, None]
    job = SimpleNamespace(settings=BestieInfer(crf_iterations=2), threads=1)
    (refined,) = refine_ahead(job, pictures, iter([(0, probability)]))
    assert not refined[2].any()
    torch.testing.assert_close(refined.sum(dim=0), torch.ones(32, 32))
