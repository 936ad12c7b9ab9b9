"""Polygons in every nesting that people write, run-length codes, and what is neither."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsis_steps.formats.regions import encode_rings
from wsis_steps.formats.rings import is_nothing, number, numbers, read_segmentation, shown
from wsis_steps.vision.masks import decode, encode
from wsis_steps.vision.run_lengths import run_bounds

H, W = 80, 120
HEXAGON = [(10, 10), (25, 8), (40, 10), (40, 40), (25, 42), (10, 40)]
FLAT = [value for corner in HEXAGON for value in corner]
NESTINGS = {
    "as COCO has it": lambda ring: [ring.ravel().tolist()],
    "one flat list": lambda ring: ring.ravel().tolist(),
    "pairs": lambda ring: ring.tolist(),
    "a polygon of pairs": lambda ring: [ring.tolist()],
    "a contour of OpenCV": lambda ring: ring.reshape(-1, 1, 2).tolist(),
    "contours of OpenCV": lambda ring: [ring.reshape(-1, 1, 2).tolist()],
    "a polygon within a polygon": lambda ring: [[ring.ravel().tolist()]],
    "dicts": lambda ring: [[{"x": x, "y": y} for x, y in ring.tolist()]],
    "a list of dicts": lambda ring: [{"x": x, "y": y} for x, y in ring.tolist()],
    "text": lambda ring: [[str(value) for value in ring.ravel().tolist()]],
    "a flat list of text": lambda ring: [str(value) for value in ring.ravel().tolist()],
    "pairs of text": lambda ring: [[str(x), str(y)] for x, y in ring.tolist()],
    "text and numbers": lambda ring: [[str(v) if k % 2 else v for k, v in enumerate(ring.ravel().tolist())]],
    "tuples": lambda ring: [tuple(ring.ravel().tolist())],
}


@pytest.mark.parametrize("nesting", NESTINGS)
def test_every_nesting_is_the_same_polygon(nesting):
    [ring] = read_segmentation(NESTINGS[nesting](np.array(HEXAGON)), H, W)
    assert ring.dtype == np.float64
    np.testing.assert_array_equal(ring, HEXAGON)


places = st.floats(-1e4, 1e4, allow_nan=False).map(lambda value: round(value, 3)) | st.integers(-1000, 1000)
polygons = st.lists(st.tuples(places, places), min_size=3, max_size=12)


@settings(deadline=None, max_examples=300)
@given(polygons, st.sampled_from(sorted(NESTINGS)))
def test_any_nesting_of_a_random_polygon_gives_the_same_ring(corners, nesting):
    ring = np.array(corners, np.float64)
    [found] = read_segmentation(NESTINGS[nesting](ring), H, W)
    np.testing.assert_array_equal(found, ring)


@settings(deadline=None)
@given(st.lists(polygons, min_size=2, max_size=4), st.sampled_from(["flat", "pairs", "contours", "dicts"]))
def test_several_polygons_stay_several(parts, nesting):
    rings = [np.array(part, np.float64) for part in parts]
    write = {
        "flat": lambda ring: ring.ravel().tolist(),
        "pairs": lambda ring: ring.tolist(),
        "contours": lambda ring: ring.reshape(-1, 1, 2).tolist(),
        "dicts": lambda ring: [{"x": x, "y": y} for x, y in ring.tolist()],
    }[nesting]
    found = read_segmentation([write(ring) for ring in rings], H, W)
    for one, ring in zip(found, rings, strict=True):
        np.testing.assert_array_equal(one, ring)


@pytest.mark.parametrize("value", [None, [], {}, "", (), [[]], [[[]]], [None], [{}]])
def test_nothing_is_nothing(value):
    assert is_nothing(value) and read_segmentation(value, H, W) is None


def test_something_is_something():
    assert not any(is_nothing(value) for value in (0, [0], [[], [1]], "x", {"counts": []}, False, [[], []]))


MASK = np.zeros((3, 4), np.uint8)
MASK[:2, 1:3] = 1
RUNS = {"size": [3, 4], "counts": [3, 2, 1, 2, 4]}
FLOATS = {"size": [3.0, 4.0], "counts": [3.0, 2.0, 1.0, 2.0, 4]}
TEXT = {"size": [3, 4], "counts": encode(MASK[None])[0]["counts"].decode()}
BYTES = {"size": (3, 4), "counts": encode(MASK[None])[0]["counts"]}


@pytest.mark.parametrize("value", [RUNS, FLOATS, TEXT, BYTES, [RUNS], [TEXT]])
def test_run_length_codes_keep_their_pixels(value):
    code = read_segmentation(value, 3, 4)
    np.testing.assert_array_equal(decode([code], 3, 4)[0], MASK)
    starts, ends = run_bounds(code)
    assert (ends - starts).sum() == 4 and code["size"] == [3, 4]


def test_run_length_codes_of_a_list_are_one_mask():
    other = np.zeros((3, 4), np.uint8)
    other[2, 3] = 1
    code = read_segmentation([RUNS, {"size": [3, 4], "counts": [11, 1]}], 3, 4)
    np.testing.assert_array_equal(decode([code], 3, 4)[0], MASK | other)


def test_a_polygon_covers_the_pixels_that_coco_fills():
    rings = read_segmentation([[1, 0, 3, 0, 3, 2, 1, 2]], 3, 4)
    np.testing.assert_array_equal(decode(encode_rings([rings], 3, 4), 3, 4)[0], MASK)


DEEP = [1, 2, 3, 4, 5, 6]
for _ in range(300):
    DEEP = [DEEP]
WRONG = {
    "an odd number of values": ([[*FLAT, 10]], "13 numbers, which is odd; expected is a list of polygons"),
    "two corners": ([[10, 10, 40, 40]], "a polygon has 2 corners; expected is a list of polygons"),
    "one corner": ([FLAT, [1, 2]], "a polygon has 1 corner; expected"),
    "words": ([["x"] * 6], "'x' is no number"),
    "truth": ([[True] * 6], "between its numbers; expected|True is no number"),
    "a word": ("dummy", "it is 'dummy'; expected"),
    "a number": (7, "it is 7; expected"),
    "null in place of a number": ([[1, 2, None, 4, 5, 6]], "None between its numbers; expected"),
    "an object of something else": ([{"a": 1}], "between its numbers"),
    "an object without counts": ({"size": [3, 4]}, "it is {'size': .3, 4.}; expected"),
    "infinite": ([[1, 2, float("inf"), 4, 5, 6]], "a corner that is no number"),
    "no number": ([[1, 2, float("nan"), 4, 5, 6]], "a corner that is no number"),
    "beyond all floats": ([[1, 2, 10**400, 4, 5, 6]], "is no number"),
    "text beyond all floats": ([["1", "2", "1e999", "4", "5", "6"]], "a corner that is no number"),
    "a depth that nobody writes": (DEEP, "nested 6 deep"),
    "of no number": ([[], []], "it holds no number"),
    "a code of another size": ({"size": [4, 3], "counts": [12]}, "its mask is 3x4, the picture 4x3"),
    "a code of no size": ({"counts": [12]}, "its mask is None"),
    "a size of one number": ({"size": [12], "counts": [12]}, "its mask is .12."),
    "runs of fewer pixels": ({"size": [3, 4], "counts": [3, 2]}, "do not add up to the picture"),
    "negative runs": ({"size": [3, 4], "counts": [14, -2]}, "do not add up"),
    "runs of words": ({"size": [3, 4], "counts": ["a"]}, "runs are no whole numbers, as 'a'"),
    "runs of parts": ({"size": [3, 4], "counts": [11.5, 0.5]}, "runs are no whole numbers, as 11.5"),
    "runs of no number": ({"size": [3, 4], "counts": [float("nan")]}, "runs are no whole numbers, as nan"),
    "runs of too few floats": ({"size": [3, 4], "counts": [11.0]}, "do not add up"),
    "counts that are a number": ({"size": [3, 4], "counts": 5}, "neither text nor a list of lengths"),
    "text that is no code": ({"size": [3, 4], "counts": "hello world"}, "RLE"),
    "letters beyond ASCII": ({"size": [3, 4], "counts": "ä"}, "not a compressed RLE"),
    "text of fewer pixels": ({"size": [3, 4], "counts": "32"}, "do not fit"),
    "text of more pixels": ({"size": [3, 4], "counts": "3;1"}, "do not fit"),
    "no text": ({"size": [3, 4], "counts": ""}, "RLE"),
    "a code beside a polygon": ([RUNS, FLAT], "between its numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_neither_is_refused(case):
    value, words = WRONG[case]
    with pytest.raises(ValueError, match=words) as caught:
        read_segmentation(value, 3, 4)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "value", [None, "a", [1, 2], [1, 2, 3, "x"], [1, 2, 3, True], {}, [1, 2, 3, 1e999], [[1], 2, 3, 4]]
)
def test_numbers_are_as_many_as_expected(value):
    with pytest.raises(ValueError, match="number"):
        numbers(value, 4)


def test_numbers_may_be_text():
    assert numbers([1, "2.5", 3, " 4 "], 4) == [1, 2.5, 3, 4] and number("1e3") == 1000


def test_long_and_deep_values_are_shown_short():
    assert shown([1, 2]) == "[1, 2]" and shown("x") == "'x'"
    assert all(
        len(shown(value)) < 200 for value in (list(range(1000)), "x" * 1000, 10**900, DEEP, {k: k for k in range(99)})
    )
