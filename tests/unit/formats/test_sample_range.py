"""Pictures of more than 8 bits are neither black nor seen in different ways in one data set."""

import json

import numpy as np
import pytest
from calls import call
from deep_pictures import write_png, write_tiff
from PIL import Image

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.deep_samples import FULL
from wsis_steps.formats.pictures import encoded, load_image, picture_size
from wsis_steps.formats.sample_range import find_range, unlike_training, used_range
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.images import Pictures

HEIGHT, WIDTH = 24, 40
DEEP = np.random.default_rng(0).integers(0, 4096, (HEIGHT, WIDTH, 4)).astype(np.uint16)
DEEP[0, :2] = [[0], [4095]]
ENDS = (0, 4095)
BYTES = (DEEP >> 4).astype(np.uint8)
GRAY = np.repeat(BYTES[..., :1], 3, axis=2)


def over_white(color, alpha):
    """What of a color is seen on white, alpha from 0 to 65535."""
    return np.rint(color + (255.0 - color) * (1 - (alpha >> 8)[..., None] / 255))


# What a file is written with, and what is to be seen of it.
WRITTEN = {
    "gray.png": (write_png, DEEP[..., :1], {}, GRAY),
    "rgb.png": (write_png, DEEP[..., :3], {}, BYTES[..., :3]),
    "gray.tif": (write_tiff, DEEP[..., :1], {"photometric": 1}, GRAY),
    "rgb.tif": (write_tiff, DEEP[..., :3], {"photometric": 2}, BYTES[..., :3]),
    "rgbx.tif": (write_tiff, DEEP, {"photometric": 2, "alpha": 0}, BYTES[..., :3]),
}


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("turn", range(1, 9))
def test_samples_of_12_bits_are_stretched_and_upright(tmp_path, name, turn):
    write, samples, more, seen = WRITTEN[name]
    path = write(tmp_path / name, samples, turn=turn, **more)
    mirrored, quarters = {
        1: (0, 0), 2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 1), 6: (0, -1), 7: (1, -1), 8: (0, 1),
    }[turn]  # fmt: skip
    upright = np.rot90(seen[:, ::-1] if mirrored else seen, quarters)
    assert used_range(path) == ENDS
    np.testing.assert_array_equal(load_image(path, ENDS), upright)
    assert load_image(path).max() == 4095 >> 8
    assert picture_size(path) == upright.shape[:2] == encoded(path, ENDS)[1:]


@pytest.mark.parametrize("write", [write_png, write_tiff])
def test_alpha_is_laid_on_white_and_not_stretched(tmp_path, write):
    samples = DEEP.copy()
    samples[..., 3] = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    more = {"photometric": 2, "alpha": 2} if write is write_tiff else {}
    path = write(tmp_path / "a", samples, **more)
    wanted = over_white(BYTES[..., :3], samples[..., 3])
    np.testing.assert_allclose(load_image(path, ENDS), wanted, atol=1)
    if write is write_png:
        path = write_png(tmp_path / "b", samples[..., [0, 3]])
        np.testing.assert_allclose(load_image(path, ENDS), over_white(GRAY, samples[..., 3]), atol=1)
    assert used_range(path) == ENDS


def test_the_full_range_is_the_high_byte_and_what_lies_beyond_an_end_is_cut(tmp_path):
    steep = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1).astype(np.uint16)
    path = write_png(tmp_path / "a.png", steep)
    np.testing.assert_array_equal(load_image(path)[..., :1], steep >> 8)
    found = load_image(path, (10_000, 20_000))[..., 0]
    assert found[steep[..., 0] <= 10_000].max() == 0 and found[steep[..., 0] >= 20_000].min() == 255
    near = np.abs(steep[..., 0] - 15_000.0) < 60
    assert near.any() and abs(found[near].astype(int) - 128).max() <= 2


def test_what_decoders_misread_is_refused(tmp_path):
    apart = write_tiff(tmp_path / "apart.tif", DEEP[..., :3], 2, planes=2)
    for load in (load_image, encoded):
        with pytest.raises(InputError, match=r"apart\.tif keeps its channels of more than 8 bits apart"):
            load(apart)
    inks = write_tiff(tmp_path / "inks.tif", DEEP, 5)
    assert load_image(inks).shape == (HEIGHT, WIDTH, 3) and used_range(inks) is None
    with pytest.raises(InputError, match=r"inks\.tif has CMYK samples .*\.range: full"):
        load_image(inks, ENDS)


def test_the_range_is_that_of_all_deep_pictures_and_auto_stretches_what_is_narrow(tmp_path):
    dark = write_png(tmp_path / "a.png", DEEP[..., :1] // 2 + 100)
    light = write_tiff(tmp_path / "b.tif", DEEP[..., :3] + 4000, 2)
    Image.fromarray(BYTES[..., :3]).save(tmp_path / "c.png")
    (tmp_path / "d.png").write_bytes(dark.read_bytes()[:99])
    Image.fromarray(BYTES[..., :3]).save(tmp_path / "e.jpg")
    paths = [dark, light, *(tmp_path / name for name in ("c.png", "d.png", "e.jpg", "absent.png"))]
    ends, told = find_range("auto", paths)
    assert ends == (100, 8095) and "2 pictures have more than 8 bits and samples from 100 to 8095 out" in told[0]
    assert "wsis predict" in told[0] and find_range("used", paths)[0] == ends
    ends, told = find_range("full", paths)
    assert ends == FULL and "of little contrast; `data_import_dataset.range: used`" in told[0]
    assert find_range("auto", paths[2:]) == (None, [])
    wide = write_png(tmp_path / "f.png", DEEP[..., :1] * 15)
    assert find_range("auto", [*paths, wide]) == (FULL, [])
    assert find_range("used", [wide])[0] == (0, 4095 * 15)
    middling = write_png(tmp_path / "g.png", DEEP[..., :1] * 4)  # of 14 bits
    assert find_range("auto", [middling]) == (FULL, find_range("full", [middling])[1])


def test_defective_pixels_do_not_decide(tmp_path):
    samples = np.random.default_rng(0).integers(300, 4000, (200, 300, 1)).astype(np.uint16)
    samples[7, 9], samples[50, 60] = 65535, 0
    low, high = used_range(write_png(tmp_path / "a.png", samples))
    assert 300 <= low <= 302 and 3997 <= high <= 4000


def test_a_constant_picture_is_not_stretched(tmp_path):
    path = write_png(tmp_path / "a.png", np.full((4, 5, 1), 900, np.uint16))
    assert find_range("used", [path])[0] == FULL


def test_pictures_unlike_those_of_training_are_told():
    assert unlike_training([], ENDS) == unlike_training([(0, 4095), (5, 4100)], ENDS) == []
    assert "have 0 to 9000: samples beyond are clipped" in unlike_training([(0, 4095), (5, 9000)], ENDS)[0]
    assert "from 0 to 65535, as in training, but" in unlike_training([(0, 4095)], FULL)[0]


@pytest.mark.parametrize(("setting", "ends"), [("auto", [0, 4095]), ("full", [0, 65535])])
def test_the_import_keeps_the_range(tmp_path, setting, ends):
    root = tmp_path / "own"
    root.mkdir()
    write_png(root / "a.png", DEEP[..., :1])
    write_tiff(root / "b.tif", DEEP[..., :3] // 2, 2)
    Image.fromarray(BYTES[..., :3]).save(root / "c.png")
    (root / "tags.csv").write_text("image,tags,split\na.png,cat,train\nb.tif,cat,val\nc.png,,train\n")
    outputs = {name: tmp_path / name for name in ("images", "instances_train", "instances_val", "summary")}
    settings = {"format": "folder", "root": str(root), "range": setting}
    done = call("data.import_dataset", settings, **outputs)
    assert done.status == 0, done.errors
    images = Images(outputs["images"])
    assert images.picture_range == tuple(ends)
    assert json.loads(outputs["summary"].read_text())["picture_range"] == ends
    assert sum("2 pictures have more than 8 bits and samples from 0 to 4095" in line for line in done.log) == 1
    seen = {identity: Pictures(images).read(i) for identity, i in images.index.items()}
    scale = 1 if setting == "auto" else 16
    np.testing.assert_array_equal(seen["a"], GRAY // scale)
    np.testing.assert_array_equal(seen["b"], (DEEP[..., :3] // 2 >> 4) // scale)
    np.testing.assert_array_equal(seen["c"], BYTES[..., :3])


def test_pictures_of_8_bits_have_no_range(tmp_path):
    root = tmp_path / "own"
    root.mkdir()
    Image.fromarray(BYTES[..., :3]).save(root / "c.png")
    (root / "tags.csv").write_text("image,tags,split\nc.png,cat,train\n")
    outputs = {name: tmp_path / name for name in ("images", "instances_train", "instances_val", "summary")}
    assert call("data.import_dataset", {"format": "folder", "root": str(root)}, **outputs).status == 0
    assert Images(outputs["images"]).picture_range is None
    assert json.loads(outputs["summary"].read_text())["picture_range"] is None
