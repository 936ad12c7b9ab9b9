"""Masks go into boxes and come back as they were."""

import cv2
import numpy as np
import pytest
import torch

from wsis_steps.maskrcnn.pasting import cut_masks, paste_masks


def there_and_back(mask: np.ndarray, box: tuple[float, ...], size: int = 28) -> np.ndarray:
    """A mask as it is predicted by a network that has learned its target perfectly."""
    boxes = torch.tensor([box], dtype=torch.float32)
    target = cut_masks(torch.from_numpy(mask)[None], boxes, torch.tensor([0]), size)
    return (paste_masks(target[:, None], boxes, *mask.shape)[0, 0] >= 0.5).numpy()


@pytest.mark.parametrize("side", [1, 2, 8, 13, 40])
def test_squares_come_back_to_the_pixel(side):
    """torchvision makes 10 x 10 of 8 x 8."""
    mask = np.zeros((60, 70), np.uint8)
    mask[11 : 11 + side, 20 : 20 + side] = 1
    assert (there_and_back(mask, (20, 11, 20 + side, 11 + side)) == mask).all()


@pytest.mark.parametrize("seed", range(4))
def test_shapes_come_back_in_boxes_that_do_not_fit_them(seed):
    rng = np.random.default_rng(seed)
    for _ in range(10):
        corners = rng.integers(15, 49, (5, 2)).astype(np.int32)
        mask = cv2.fillPoly(np.zeros((64, 64), np.uint8), [cv2.convexHull(corners)], 1)
        y, x = np.nonzero(mask)
        wide = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) + rng.uniform(0.2, 3, 4) * [-1, -1, 1, 1]
        found = there_and_back(mask, tuple(wide))
        difference = (found != mask).sum()
        border = cv2.dilate(mask, np.ones((3, 3), np.uint8)) - cv2.erode(mask, np.ones((3, 3), np.uint8))
        assert not (found != mask)[border == 0].any() and difference <= 0.06 * mask.sum() + 2


def test_pasting_is_interpolation_between_the_middles_of_cells():
    """Against a loop over pixels and cells."""
    rng = np.random.default_rng(0)
    cells, (x1, y1, x2, y2) = rng.random((4, 4)), (1.3, -0.8, 8.4, 5.1)
    expected = np.zeros((7, 9))
    for row in range(7):
        for column in range(9):
            if not (x1 <= column + 0.5 < x2 and y1 <= row + 0.5 < y2):
                continue
            v = min(max((row + 0.5 - y1) / (y2 - y1) * 4 - 0.5, 0), 3)
            u = min(max((column + 0.5 - x1) / (x2 - x1) * 4 - 0.5, 0), 3)
            i, j = min(int(v), 2), min(int(u), 2)
            top = cells[i, j] * (1 - (u - j)) + cells[i, j + 1] * (u - j)
            below = cells[i + 1, j] * (1 - (u - j)) + cells[i + 1, j + 1] * (u - j)
            expected[row, column] = top * (1 - (v - i)) + below * (v - i)
    made = paste_masks(torch.tensor(cells)[None, None], torch.tensor([[x1, y1, x2, y2]], dtype=torch.float64), 7, 9)
    np.testing.assert_allclose(made[0, 0].numpy(), expected, atol=1e-12)


def test_no_mask_is_pasted_to_nothing():
    assert paste_masks(torch.zeros(0, 1, 28, 28), torch.zeros(0, 4), 5, 6).shape == (0, 1, 5, 6)
