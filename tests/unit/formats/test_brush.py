"""The code of Label Studio's brush: read by an independent reader, bit by bit, and by Label Studio's own."""

import numpy as np
import pytest
from exported import blobs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsis_steps.formats.brush import decode_brush, encode_brush


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 9))))
@settings(max_examples=60, deadline=None)
def test_codes_are_what_a_reader_bit_by_bit_reads(mask):
    code = encode_brush(mask)
    np.testing.assert_array_equal(decode_brush(code, *mask.shape), mask)
    np.testing.assert_array_equal(slow_brush(code).reshape(*mask.shape, 4), np.repeat(255 * mask[..., None], 4, axis=2))


def slow_brush(code):
    """rle-pack's decoder as its documentation words it."""
    bits = "".join(f"{byte:08b}" for byte in code)
    place = 0

    def read(count):
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    total, word = read(32), read(5) + 1
    sizes, values = [read(4) + 1 for _ in range(4)], []
    while len(values) < total:
        repeated = read(1)
        length = read(sizes[read(2)]) + 1
        values += [read(word)] * length if repeated else [read(word) for _ in range(length)]
    return np.array(values)


def test_codes_with_values_one_by_one_and_runs_beyond_the_longest_are_read():
    bits = f"{8:032b}{7:05b}" + "".join(f"{s - 1:04b}" for s in (3, 4, 8, 16)) + "0" + "00" + "111"
    bits += "".join(f"{v:08b}" for v in (0, 0, 0, 9, 0, 0, 0, 0))
    code = [int(bits[k : k + 8].ljust(8, "0"), 2) for k in range(0, len(bits), 8)]
    assert decode_brush(code, 1, 2).tolist() == [[1, 0]]
    large = np.zeros((300, 200), np.uint8)
    large[10:] = 1
    np.testing.assert_array_equal(decode_brush(encode_brush(large), 300, 200), large)
    with pytest.raises(ValueError, match="breaks off"):
        decode_brush(encode_brush(large)[:-6], 300, 200)


@pytest.mark.parametrize("code", [None, "1, 2", [1.5], [256], [-1], [True], [[1]], {"rle": []}])
def test_what_is_no_list_of_bytes_is_told(code):
    with pytest.raises(ValueError, match="its brush mask is .*, not a list of bytes"):
        decode_brush(code, 1, 2)


@pytest.mark.parametrize("code", [[], [1], [0] * 40, [255] * 40])
def test_codes_of_another_picture_or_cut_short_are_told(code):
    with pytest.raises(ValueError, match=r"its brush mask has \d+ values, but the picture is 2x1"):
        decode_brush(code, 1, 2)


def test_label_studio_reads_our_brush_and_we_read_its():
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="needs label-studio-sdk: make test-tools")
    for seed, (height, width) in enumerate(((1, 1), (7, 5), (40, 61), (90, 64))):
        mask = blobs(seed, 1, height, width)[0] if seed > 1 else np.ones((height, width), np.uint8)
        opacity = brush.decode_rle(encode_brush(mask)).reshape(height, width, 4)[..., 3]
        np.testing.assert_array_equal(opacity > 0, mask > 0)
        np.testing.assert_array_equal(decode_brush(brush.mask2rle(255 * mask), height, width), mask)
