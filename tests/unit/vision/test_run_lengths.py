"""Codes of masks are judged as their definition says, without a library; malformed ones never reach one here."""

import numpy as np
import pytest
from artifacts import edited, write_images, write_labels
from every_artifact import write_cues, write_masks, write_sets
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.rings import read_code
from wsis_steps.report.columns import open_artifact
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.label_sets import LabelSets
from wsis_steps.vision.contracts.points import Points
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.masks import encode
from wsis_steps.vision.run_lengths import find_bad_code, run_lengths, without_empty

SIZE = (6, 7)


def is_mask(code: bytes, pixels: int) -> bool:
    """Whether a code is one of a mask of so many pixels, number by number, in whole numbers of any size."""
    runs, digits = [], []
    for byte in code:
        if not 48 <= byte < 112:
            return False
        digits.append(byte - 48)
        if digits[-1] & 32:
            continue
        if len(digits) > 7:
            return False
        number = sum((digit & 31) << 5 * k for k, digit in enumerate(digits))
        number -= 1 << 5 * len(digits) if digits[-1] & 16 else 0
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        digits = []
    return bool(runs) and not digits and runs[0] >= 0 and min(runs[1:], default=1) > 0 and sum(runs) == pixels < 1 << 32


def check(codes: list[bytes], pixels: int) -> None:
    offsets = np.append(0, np.cumsum([len(code) for code in codes]))
    found = find_bad_code(np.frombuffer(b"".join(codes), np.uint8), offsets, np.full(len(codes), pixels))
    assert found == next((k for k, code in enumerate(codes) if not is_mask(code, pixels)), None), codes


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=9), min_size=1, max_size=4), st.integers(1, 90))
def test_any_bytes_are_judged_as_defined(codes, pixels):
    check([bytes(48 + byte % 64 for byte in code) for code in codes], pixels)
    check(codes, pixels)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.data())
def test_codes_with_a_changed_byte_are_judged_as_defined(seed, data):
    rng = np.random.default_rng(seed)
    codes = [one["counts"] for one in encode(rng.random((3, *SIZE)) < rng.random())]
    check(codes, 42)
    k, place = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 40))
    if place < len(codes[k]):
        codes[k] = codes[k][:place] + bytes([48 + data.draw(st.integers(0, 63))]) + codes[k][place + 1 :]
    else:
        codes[k] = codes[k][:-1]
    check(codes, 42)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12).filter(any))
def test_runs_beside_an_empty_one_become_one(runs):
    """As pycocotools encodes the mask itself; of the given runs it would compute another box."""
    pixels = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    one = encode(pixels.reshape(1, 1, -1))[0]
    found = read_code({"size": [1, len(pixels)], "counts": runs}, 1, len(pixels))
    assert found["counts"] == one["counts"] and run_lengths(one) == without_empty(runs)
    written = coco.frPyObjects({"size": [1, len(pixels)], "counts": runs}, 1, len(pixels))
    assert read_code(written, 1, len(pixels))["counts"] == one["counts"]
    check([written["counts"], one["counts"]], len(pixels))


@pytest.mark.parametrize("pixels", [2**32 - 1, 2**32])
def test_runs_are_of_32_bits(pixels):
    digits = [pixels >> 5 * k & 31 for k in range(7)]
    check([bytes(48 + digit + 32 * (k < 6) for k, digit in enumerate(digits))], pixels)


def test_sums_of_huge_runs_do_not_wrap_round():
    huge = b"o" * 6 + b"?"  # 2 ** 34 - 1
    check([huge * 40, b"Z1"], 42)


def overwrite(path, name, change):
    with edited(path) as file:
        values = file[name][:]
        file[name][...] = change(values)
    return path


def set_at(place, value):
    def change(values):
        values[place] = value
        return values

    return change


@pytest.mark.parametrize(
    ("write", "contract", "name", "change", "words"),
    [
        (write_labels, Instances, "mask/bytes", set_at(0, 200), "only valid masks of the size of image 'image0'"),
        (write_labels, Instances, "mask/bytes", set_at(-1, 40), "only valid masks of the size of image 'image5'"),
        (write_labels, Instances, "mask/offsets", set_at(1, 0), "only valid masks of the size of image 'image0'"),
        (write_labels, Instances, "mask/offsets", set_at(1, -5), "consecutive rows of 'mask/offsets'"),
        (write_labels, Instances, "mask/offsets", set_at(-1, 10**9), "rows of 'mask/offsets'"),
        (write_labels, Instances, "image/first", set_at(2, 9), "consecutive rows of 'image/first'"),
        (write_labels, Instances, "image/first", set_at(-1, 2**40), "'categories' of its 1099511627776 instances"),
        (write_labels, Instances, "image/height", set_at(3, 31), "only valid masks of the size of image 'image3'"),
        (write_labels, Instances, "image/width", set_at(3, 0), "image sizes above 0"),
        (write_labels, Instances, "image/id", set_at(1, b"image0"), "each image only once"),
        (write_labels, Instances, "instance/categories", set_at(0, 2), "only categories of its 2 classes"),
        (write_labels, Instances, "instance/categories", set_at(5, -1), "only categories of its 2 classes"),
        (write_labels, Instances, "instance/boxes", set_at((2, 1), np.nan), "'boxes' that are finite numbers"),
        (write_labels, Instances, "instance/scores", set_at(2, np.inf), "'scores' that are finite numbers"),
        (write_labels, Instances, "instance/weights", set_at(2, -1), "non-negative 'weights'"),
        (write_sets, LabelSets, "mask/bytes", set_at(3, 0), "only valid masks of the size of image"),
        (write_cues, Points, "points", set_at((0, 2), 7), "categories of its 2 classes"),
        (write_cues, Points, "points", set_at((0, 0), np.nan), "points that are finite numbers"),
        (write_masks, Proposals, "masks/bytes", set_at(2, 20), "only valid masks of the size of image 'image0'"),
        (write_masks, Proposals, "proposal/length", set_at(1, 1), "only valid masks of the size of image 'image0'"),
    ],
)
def test_what_would_mislead_readers_is_told_when_a_file_is_opened(tmp_path, write, contract, name, change, words):
    path = overwrite(write(tmp_path / "a.h5"), name, change)
    with pytest.raises(InputError) as caught:
        contract(path).read(0)
    assert str(caught.value).startswith(f"{path} does not hold ") and words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("tags/image", set_at(0, 99), "tags in the order of the images"),
        ("tags/category", set_at(0, 5), "categories of its 2 classes"),
        ("points/rows", set_at((1, 0), np.nan), "an image for each of its points"),
        ("image/split", set_at(0, b"dev"), "a split for each image"),
        ("picture/offsets", set_at(2, 0), "rows of 'picture/offsets'"),
    ],
)
def test_tables_of_pictures_are_looked_at_too(tmp_path, name, change, words):
    path = overwrite(write_images(tmp_path / "i.h5"), name, change)
    with pytest.raises(InputError, match=words):
        Images(path)


def test_columns_of_another_type_are_told(tmp_path):
    path = write_labels(tmp_path / "l.h5")
    with edited(path) as file:
        values = file["instance/categories"][:]
        del file["instance/categories"]
        file["instance/categories"] = values.astype(np.float64)
    with pytest.raises(InputError, match="'categories' of its 6 instances"):
        open_artifact(path)
