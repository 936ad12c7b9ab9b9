"""Loading pictures of every kind, and telling damaged ones."""

import copy
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.pictures import encoded, load_image, picture_size

RAMP = np.linspace(0, 255, 24 * 40).reshape(24, 40)
COLORS = np.stack([RAMP, RAMP[::-1], np.full((24, 40), 90.0)], axis=2).astype(np.uint8)


def test_rgb_png_is_read_exactly(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    loaded = load_image(tmp_path / "a.png")
    assert loaded.dtype == np.uint8
    assert loaded.flags.c_contiguous
    np.testing.assert_array_equal(loaded, COLORS)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_gray_and_palette_become_three_channels(tmp_path, suffix):
    gray = COLORS[..., 0]
    Image.fromarray(gray).save(tmp_path / f"g.{suffix}")
    np.testing.assert_array_equal(load_image(tmp_path / f"g.{suffix}"), np.repeat(gray[..., None], 3, axis=2))
    indexed = Image.fromarray((np.arange(24 * 40).reshape(24, 40) % 3).astype(np.uint8))
    indexed.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255] + [0] * 759)
    indexed.save(tmp_path / f"p.{suffix}")
    expected = np.eye(3, dtype=np.uint8)[np.arange(24 * 40).reshape(24, 40) % 3] * 255
    np.testing.assert_array_equal(load_image(tmp_path / f"p.{suffix}"), expected)


def test_one_bit_picture(tmp_path):
    bits = RAMP > 100
    Image.fromarray(bits).save(tmp_path / "b.png")
    np.testing.assert_array_equal(load_image(tmp_path / "b.png"), np.repeat(bits[..., None], 3, 2) * np.uint8(255))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_the_high_byte(tmp_path, suffix):
    deep = (RAMP * 257).astype(np.uint16)
    cv2.imwrite(str(tmp_path / f"g.{suffix}"), deep)
    high = (deep >> 8).astype(np.uint8)
    np.testing.assert_array_equal(load_image(tmp_path / f"g.{suffix}"), np.repeat(high[..., None], 3, axis=2))


def test_sixteen_bit_color_keeps_the_high_byte(tmp_path):
    deep = COLORS.astype(np.uint16) * 256 + 77
    cv2.imwrite(str(tmp_path / "c.png"), deep[..., ::-1])
    np.testing.assert_array_equal(load_image(tmp_path / "c.png"), COLORS)


def test_alpha_is_laid_on_white(tmp_path):
    alpha = np.full((24, 40), 51, np.uint8)  # 20 %
    Image.fromarray(np.dstack([COLORS, alpha])).save(tmp_path / "a.png")
    expected = 0.2 * COLORS + 0.8 * 255
    np.testing.assert_allclose(load_image(tmp_path / "a.png"), expected, atol=1)


def test_transparent_palette_entry_is_white(tmp_path):
    indexed = Image.fromarray(np.tile(np.array([[0, 1]], np.uint8), (4, 4)))
    indexed.putpalette([10, 20, 30, 40, 50, 60] + [0] * 762)
    indexed.save(tmp_path / "a.png", transparency=1)
    assert load_image(tmp_path / "a.png")[0, :2].tolist() == [[10, 20, 30], [255, 255, 255]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation):
    # Each orientation says how the stored rows and columns are to be turned: written out from the EXIF standard.
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLORS).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(COLORS).save(tmp_path / "a.jpg", exif=exif)
    expected = undo[orientation](COLORS)
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), expected)
    assert picture_size(tmp_path / "a.jpg") == picture_size(tmp_path / "a.png") == expected.shape[:2]
    content, height, width = encoded(tmp_path / "a.jpg")
    assert (height, width) == expected.shape[:2]
    # Only an upright JPEG is passed through: no reader needs to know of EXIF.
    assert (content == (tmp_path / "a.jpg").read_bytes()) == (orientation == 1)
    stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    np.testing.assert_allclose(stored[..., ::-1].astype(int), load_image(tmp_path / "a.jpg"), atol=2)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_becomes_the_colors_that_were_meant(tmp_path, suffix):
    # Pillow writes a JPEG the Adobe way, inverted and marked so, and a TIFF the plain way.
    smooth = cv2.resize(COLORS, (80, 48))
    Image.fromarray(smooth).convert("CMYK").save(tmp_path / f"a.{suffix}", quality=100)
    if suffix == "jpg":
        assert b"Adobe" in (tmp_path / "a.jpg").read_bytes()
    np.testing.assert_allclose(load_image(tmp_path / f"a.{suffix}").astype(int), smooth, atol=10)
    assert encoded(tmp_path / f"a.{suffix}")[0].startswith(b"\x89PNG")


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_plain_jpeg_keeps_its_bytes(tmp_path, mode):
    Image.fromarray(COLORS).convert(mode).save(tmp_path / "a.jpg")
    content, height, width = encoded(tmp_path / "a.jpg")
    assert content == (tmp_path / "a.jpg").read_bytes()
    assert (height, width) == (24, 40)


def test_other_files_are_stored_without_loss(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.webp", lossless=True)
    content, *_ = encoded(tmp_path / "a.webp")
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(content))), COLORS)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp", "webp"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9])
def test_a_truncated_file_is_named(tmp_path, suffix, kept):
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    for load in (load_image, encoded):
        with pytest.raises(InputError, match=f"cut.{suffix}"):
            load(path)


def test_no_flipped_byte_gets_past_as_another_error(tmp_path):
    rng = np.random.default_rng(1)
    for suffix in ("jpg", "png", "tif", "bmp", "webp"):
        Image.fromarray(COLORS).save(tmp_path / f"a.{suffix}")
        content = (tmp_path / f"a.{suffix}").read_bytes()
        read = 0
        for place in rng.integers(0, len(content), 40):
            broken = bytearray(content)
            broken[place] ^= int(rng.integers(1, 256))
            (tmp_path / f"b.{suffix}").write_bytes(broken)
            try:
                read += load_image(tmp_path / f"b.{suffix}").ndim == 3
            except InputError as error:
                assert f"b.{suffix}" in str(error)
        assert read > 0


def test_bad_files_are_one_sentence(tmp_path):
    (tmp_path / "text.jpg").write_text("not a picture")
    cv2.imwrite(str(tmp_path / "float.tif"), RAMP.astype(np.float32))
    for name, word in (("absent.jpg", "exist"), ("text.jpg", "format"), ("float.tif", "samples")):
        for load in (load_image, encoded):
            with pytest.raises(InputError, match=word) as caught:
                load(tmp_path / name)
            assert "\n" not in str(caught.value)
            assert name in str(caught.value)
            assert str(copy.copy(caught.value)) == str(caught.value)  # as a pool sends it
    with pytest.raises(InputError, match="read"):
        encoded(tmp_path)
