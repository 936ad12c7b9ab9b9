"""Edge maps of all images as a step."""

import numpy as np
from artifacts import SIZE, square_mask, write_images

from wsis_steps.engine.step import Job
from wsis_steps.proposals.contours import ALONE, gradient_contours
from wsis_steps.proposals.find_edges import edge_map, main
from wsis_steps.proposals.settings import ProposalsFindEdges
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.images import Pictures


def test_edges_lie_where_squares_end(tmp_path):
    images = Images(write_images(tmp_path / "images.h5"))
    settings = ProposalsFindEdges(edges="gradient")
    for i in (0, 3):
        found = edge_map(Pictures(images).read(i), settings, None)
        outline = np.hypot(*np.gradient(square_mask(i).astype(float))) > 0
        assert found.dtype == np.uint8 and found.shape == (SIZE, SIZE)
        assert found[outline].mean() > 1.3 * found[~outline].mean()


def test_large_pictures_are_shrunk_and_the_map_is_theirs():
    picture = np.random.default_rng(0).integers(0, 255, (60, 90, 3)).astype(np.uint8)
    whole = edge_map(picture, ProposalsFindEdges(edges="gradient", long_side=0), None)
    assert np.array_equal(whole, np.rint(255 * gradient_contours(picture, ALONE).strength).astype(np.uint8))
    shrunk = edge_map(picture, ProposalsFindEdges(edges="gradient", long_side=45), None)
    assert shrunk.shape == (60, 90) and not np.array_equal(shrunk, whole)


def test_the_step_writes_a_map_for_every_image(tmp_path):
    images = write_images(tmp_path / "images.h5")
    edges = tmp_path / "edges.h5"
    main(Job("proposals_find_edges", ProposalsFindEdges(edges="gradient"), {"images": images}, {"edges": edges}))
    read = Maps(edges)
    assert read.ids == Images(images).ids and read.supervision == () and read.read(7)[0].shape == (1, SIZE, SIZE)
