"""The rows of docs/other_tools.md about libraries that the workflow installs: what they do, and what we do about it."""

import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco
from pydensecrf.densecrf import DenseCRF2D
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.transforms.v2.functional import rotate
from torchvision.tv_tensors import Mask

from wsis_steps.formats.voc_masks import write_map
from wsis_steps.maskrcnn.pasting import paste_masks
from wsis_steps.vision.images import Geometry
from wsis_steps.vision.masks import decode, encode

ROOT = Path(__file__).parents[2]
SQUARE = np.pad(np.full((2, 2), 255, np.uint8), 1)


def test_every_row_names_a_test_or_a_script_that_exists():
    rows = [line for line in (ROOT / "docs/other_tools.md").read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if "---" not in row and not row.startswith("| tool")]
    assert len(rows) >= 25
    for row in rows:
        *_, kept, _ = row.split("|")
        names = re.findall(r"`([^`]+)`", kept)
        assert names, row
        for name in names:
            path, _, test = name.partition("::")
            assert (ROOT / path).is_file(), row
            assert not test or f"def {test}(" in (ROOT / path).read_text(), row


def test_torchvision_pastes_a_full_mask_beyond_its_box_and_we_do_not():
    masks, boxes = torch.ones(1, 1, 28, 28), torch.tensor([[10.0, 10.0, 20.0, 20.0]])
    assert int((paste_masks_in_image(masks, boxes, (40, 40)) >= 0.5).sum()) == 144
    assert int((paste_masks(masks, boxes, 40, 40) >= 0.5).sum()) == 100


def test_pycocotools_codes_gray_levels_as_another_shape_and_we_do_not():
    gray = SQUARE.copy()
    gray[1, 1] = 128
    assert coco.area(coco.encode(np.asfortranarray(gray))) == 8
    assert coco.area(coco.encode(np.asfortranarray(SQUARE))) == 4
    np.testing.assert_array_equal(decode(encode((gray > 0)[None]), 4, 4)[0], gray > 0)


def test_pycocotools_takes_a_polygon_of_two_points_for_a_box_or_an_error():
    assert coco.area(coco.frPyObjects(np.array([[1.0, 1.0, 3.0, 3.0]]), 6, 6)).tolist() == [9]  # x, y, width, height
    with pytest.raises(TypeError):
        coco.frPyObjects([[1.0, 1.0, 3.0, 3.0]], 6, 6)


@pytest.mark.parametrize(("colors", "void"), [(2, 1), (3, 3), (16, 15), (17, 255)])
def test_pillow_saves_short_palettes_with_fewer_bits_and_we_save_all_of_it(colors, void, tmp_path):
    picture, file = Image.fromarray(np.array([[0, 1, 255]], np.uint8)), io.BytesIO()
    picture.putpalette([0] * 3 * colors)
    picture.save(file, "PNG")
    assert np.array(Image.open(file)).tolist() == [[0, 1, void]]
    write_map(tmp_path / "a.png", np.array([[0, 1, 255]], np.uint8))
    assert np.array(Image.open(tmp_path / "a.png")).tolist() == [[0, 1, 255]]


def test_opencv_5_inverts_a_bool_mask_to_all_true():
    assert cv2.bitwise_not(np.array([[True, False]])).tolist() == [[True, True]]


def test_nearest_is_the_corner_for_torch_and_opencv_and_the_middle_for_pillow():
    row = np.arange(7, dtype=np.float32)[None]
    resize = torch.nn.functional.interpolate
    torch_row = resize(torch.from_numpy(row)[None], size=4, mode="nearest")[0, 0].tolist()
    assert torch_row == cv2.resize(row, (4, 1), interpolation=cv2.INTER_NEAREST)[0].tolist() == [0, 1, 3, 5]
    exact = resize(torch.from_numpy(row)[None], size=4, mode="nearest-exact")[0, 0].tolist()
    pillow = np.array(Image.fromarray(row).resize((4, 1), Image.Resampling.NEAREST))[0].tolist()
    opencv = cv2.resize(row, (4, 1), interpolation=cv2.INTER_NEAREST_EXACT)[0].tolist()
    assert pillow == exact == opencv == [0, 2, 4, 6]


def test_nearest_exact_of_torch_differs_from_pillow_at_some_sizes():
    row = np.arange(500, dtype=np.float32)[None]
    exact = torch.nn.functional.interpolate(torch.from_numpy(row)[None], size=513, mode="nearest-exact")[0, 0].numpy()
    pillow = np.array(Image.fromarray(row).resize((513, 1), Image.Resampling.NEAREST))[0]
    assert (exact != pillow).any()


def crf(compat, unary, side):
    field = DenseCRF2D(side, side, 2)
    field.setUnaryEnergy(unary)
    field.addPairwiseGaussian(sxy=3, compat=compat)
    return np.array(field.inference(1)).reshape(2, side, side)


def test_pydensecrf_takes_weights_in_a_vector_with_the_opposite_sign():
    unary = np.full((2, 81), 0, np.float32)
    unary[0] = 0.2
    unary[0, 40] = 1.5
    number, vector, negative = (
        crf(compat, unary, 9)[0, 4, 4] for compat in (3, np.full(2, 3, np.float32), np.full(2, -3, np.float32))
    )
    assert [number, negative] == pytest.approx([0.1326, 0.1326], abs=1e-4)
    assert vector == pytest.approx(0.2456, abs=1e-4)


def test_the_kernels_of_the_dense_crf_weigh_less_at_borders():
    sure = 2.0
    unary = np.zeros((2, 61 * 61), np.float32)
    unary[0] = -sure
    found = crf(1, unary, 61).astype(np.float64)
    weight = (np.log(found[0] / found[1]) - sure) / np.tanh(sure / 2)
    assert [weight[30, 30], weight[0, 30], weight[0, 0]] == pytest.approx([1, 0.861, 0.734], abs=2e-3)


def test_a_quarter_turn_of_even_and_odd_sides_loses_half_of_a_mask_and_ours_does_not():
    labels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    turn = cv2.getRotationMatrix2D((3, 2.5), 90, 1)
    by_opencv = cv2.warpAffine(labels, turn, (6, 6), flags=cv2.INTER_NEAREST, borderValue=99)
    by_torchvision = rotate(Mask(torch.from_numpy(labels + 1)[None]), 90)
    assert len(np.setdiff1d(by_opencv, 99)) <= 15 and len(np.setdiff1d(by_torchvision.numpy(), 0)) <= 15
    own = Geometry(np.array([[0.0, -1, 5], [1, 0, 0]]), 6, 5).labels(labels)
    np.testing.assert_array_equal(own, np.rot90(labels, -1))


def test_bfloat16_added_by_index_stays_at_256_and_scattered_does_not():
    ones, place = torch.ones(1000, dtype=torch.bfloat16), torch.zeros(1000, dtype=torch.long)
    assert ones.new_zeros(1).index_add(0, place, ones).item() == 256
    assert ones.new_zeros(1).scatter_add(0, place, ones).item() == ones.cumsum(0)[-1].item() == 1000


def test_class_weights_change_the_mean_for_class_numbers_but_not_for_shares():
    logits, numbers, weight = torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, 3.0])
    entropy = torch.nn.functional.cross_entropy
    shares = torch.nn.functional.one_hot(numbers).float()
    assert entropy(logits, numbers, weight=weight).item() == pytest.approx(np.log(2))
    assert entropy(logits, shares, weight=weight).item() == pytest.approx(2 * np.log(2))


@pytest.mark.parametrize(("size", "wanted", "found"), [(4, [0, 3, 7, 10], [0, 3, 6, 10]), (28, None, None)])
def test_onnx_runtime_takes_the_pixel_before_where_torch_nearest_takes_an_exact_one(size, wanted, found):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    node = onnx.helper.make_node(
        "Resize", ["row", "", "", "size"], ["out"],
        mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip
    value = onnx.helper.make_tensor_value_info
    inputs = [value("row", 1, [1, 1, 1, 14]), value("size", 7, [4])]
    graph = onnx.helper.make_graph([node], "g", inputs, [value("out", 1, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    row = np.arange(14, dtype=np.float32)[None, None, None]
    [by_runtime] = session.run(None, {"row": row, "size": np.array([1, 1, 1, size])})
    by_torch = torch.nn.functional.interpolate(torch.from_numpy(row), size=(1, size), mode="nearest")
    if size == 28:  # the pyramid of features doubles its sides
        np.testing.assert_array_equal(by_runtime, by_torch)
    else:
        assert by_torch.ravel().tolist() == wanted and by_runtime.ravel().tolist() == found
