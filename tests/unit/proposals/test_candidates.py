"""Sets of parts against masks: what is measured, doubles, holes."""

import numpy as np
import pytest
from region_sets import measured, pack, parts_of, random_sets
from scipy import ndimage

from wsis_steps.proposals.mcg.candidates import (
    boxes_of,
    fill_holes,
    keep_different,
    members,
    unpack,
)


def overlaps(masks: np.ndarray) -> np.ndarray:
    flat = masks.reshape(len(masks), -1).astype(np.float64)
    common = flat @ flat.T
    return common / (flat.sum(1)[:, None] + flat.sum(1)[None] - common)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_bits_say_which_parts_a_set_holds(count):
    held = np.random.default_rng(count).random((9, count)) < 0.4
    bits = pack(held)
    assert np.array_equal(unpack(bits, count), held)
    found, starts = members(bits)
    assert [list(found[a:b]) for a, b in zip(starts[:-1], starts[1:], strict=True)] == [
        list(np.flatnonzero(row)) for row in held
    ]


@pytest.mark.parametrize("seed", range(4))
def test_parts_have_the_sizes_boxes_sums_and_colors_of_their_pixels(seed):
    superpixels, parts = parts_of(seed)
    for part in range(parts.count):
        y, x = np.nonzero(superpixels.labels == part)
        assert parts.sizes[part] == len(y)
        assert list(parts.boxes[part]) == [x.min(), y.min(), x.max() + 1, y.max() + 1]
        assert list(parts.sums[part]) == [x.sum(), y.sum()]
    # lengths: pixel sides between two parts
    labels = superpixels.labels
    first = np.concatenate([labels[:, :-1].ravel(), labels[:-1].ravel()])
    second = np.concatenate([labels[:, 1:].ravel(), labels[1:].ravel()])
    sides = np.zeros((parts.count, parts.count))
    np.add.at(sides, (first, second), first != second)
    sides += sides.T
    for part in range(parts.count):
        edges = slice(parts.starts[part], parts.starts[part + 1])
        assert set(parts.second[edges]) == set(np.flatnonzero(sides[part]))
        assert np.array_equal(parts.lengths[edges], sides[part, parts.second[edges]])


@pytest.mark.parametrize("seed", range(4))
def test_areas_boxes_and_centroids_are_those_of_the_masks(seed):
    _, parts = parts_of(seed)
    held = random_sets(seed, parts, 20)
    _, _, _, areas, boxes, centers = measured(held, parts)
    for mask, area, box, center in zip(held[:, parts.labels], areas, boxes, centers, strict=True):
        y, x = np.nonzero(mask)
        assert area == len(y)
        assert list(box) == [x.min(), y.min(), x.max() + 1, y.max() + 1]
        assert np.allclose(center, [x.mean(), y.mean()])
    assert np.array_equal(boxes_of(parts.labels, held), boxes)


@pytest.mark.parametrize("overlap", [0.6, 0.8, 0.95])
@pytest.mark.parametrize("seed", range(6))
def test_of_doubles_the_first_stays(seed, overlap):
    _, parts = parts_of(seed)
    held = random_sets(seed, parts, 150)
    bits, _, _, areas, boxes, centers = measured(held, parts)
    table, wanted = overlaps(held[:, parts.labels]), []
    for row in range(len(held)):
        if all(table[row, other] < overlap for other in wanted):
            wanted.append(row)
    kept = keep_different(bits, parts.sizes, areas, boxes, centers, overlap)
    assert list(np.flatnonzero(kept)) == wanted
    assert 1 < len(wanted) < len(held)


@pytest.mark.parametrize("seed", range(6))
def test_holes_are_filled_as_scipy_fills_them(seed):
    _, parts = parts_of(seed)
    held = random_sets(seed, parts, 60)
    middle = parts.sizes.argmax()
    around = parts.second[parts.starts[middle] : parts.starts[middle + 1]]
    held[0] = False
    held[0, around] = True  # a ring
    bits, _, _, _, boxes, _ = measured(held, parts)
    filled = unpack(
        fill_holes(bits, *members(bits), parts.boxes, boxes, parts.starts, parts.second, parts.outer), parts.count
    )
    wanted = [ndimage.binary_fill_holes(mask) for mask in held[:, parts.labels]]
    assert np.array_equal(filled[:, parts.labels], wanted)
    assert filled[0, middle] or parts.outer[middle]
