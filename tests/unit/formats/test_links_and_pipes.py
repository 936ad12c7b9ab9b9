"""What is no picture though it is called so: links out of the folder, pipes, and pictures too large to decode."""

import os
import struct
import time
import zlib

import h5py
import numpy as np
import pytest
from artifacts import picture, write_images
from PIL import Image

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.data.watched import watched_files
from wsis_steps.engine.errors import InputError
from wsis_steps.formats.files import files_below, links_out, read_bytes, walk
from wsis_steps.formats.loading import load_record, read_dataset
from wsis_steps.formats.pictures import MOST_PIXELS, encoded, load_image, picture_size
from wsis_steps.formats.voc_masks import read_index_png
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.images import Pictures


@pytest.fixture
def folder(tmp_path):
    """own/, a data set of two pictures with tags, and elsewhere/ beside it with a picture."""
    for name in ("own", "elsewhere"):
        (tmp_path / name).mkdir()
    for name in ("own/a.png", "own/b.png", "elsewhere/c.png"):
        Image.fromarray(picture(1)).save(tmp_path / name)
    (tmp_path / "own/tags.csv").write_text("image,tags,split\na.png,cat,train\nb.png,dog,val\n")
    return tmp_path / "own"


def read(root, **settings):
    return read_dataset(DataImportDataset(format="folder", root=root, **settings), root)


def add(root):
    with (root / "tags.csv").open("a") as file:
        file.write("c.png,cat,train\n")


@pytest.mark.parametrize("target", ["../elsewhere/c.png", "../elsewhere/absent.png"])
def test_a_link_out_of_the_folder_is_refused_and_a_setting_follows_it(target, folder):
    add(folder)
    (folder / "c.png").symlink_to(target)
    with pytest.raises(InputError) as caught:
        read(folder)
    where = (folder / target).resolve()
    assert str(caught.value) == (
        f"{folder}/c.png is a link that leads out of {folder}, to {where}; if you want that, set "
        "`data_import_dataset.links: follow`."
    )
    found = read(folder, links="follow")
    assert [record.id for record in found.records] == ["a", "b", "c"]
    loaded = load_record(found.records[2], found)
    assert isinstance(loaded, InputError) != where.exists()
    assert where.exists() or str(loaded) == f"{folder}/c.png does not exist."


def test_a_folder_that_is_a_link_out_is_refused_before_it_is_walked(folder):
    (folder / "more").symlink_to("../elsewhere")
    (folder / "even").symlink_to("/")
    started = time.monotonic()
    with pytest.raises(InputError, match=f"{folder}/even is a link .*, to /, and 1 more do;"):
        read(folder)
    labelme = DataImportDataset(format="labelme", root=folder)
    assert watched_files(labelme) == []
    assert time.monotonic() - started < 5


def test_links_within_the_folder_and_a_root_that_is_a_link_are_taken(folder):
    add(folder)
    (folder / "c.png").symlink_to("a.png")
    root = folder.parent / "linked"
    root.symlink_to(folder)
    assert [record.id for record in read(root).records] == ["a", "b", "c"]


def test_a_link_to_what_is_hidden_leads_out_no_further(folder):
    (folder / ".hidden").mkdir()
    (folder / ".hidden/out").symlink_to("../../elsewhere")
    (folder / "seen").symlink_to(".hidden")
    assert links_out(folder, {".png"}) == [folder / "seen/out"]


def test_links_in_a_circle_and_links_that_multiply_end_in_a_sentence(tmp_path):
    (tmp_path / "circle").mkdir()
    (tmp_path / "circle/self").symlink_to(".")
    with pytest.raises(InputError, match="again and again"):
        list(files_below(tmp_path / "circle"))
    for k in range(12):
        (tmp_path / f"tree/{k}").mkdir(parents=True)
        for name in "abc":
            (tmp_path / f"tree/{k}/{name}").symlink_to(f"../{k + 1}")
    (tmp_path / "tree/12").mkdir()
    with pytest.raises(InputError, match="again and again"):
        list(files_below(tmp_path / "tree"))
    assert links_out(tmp_path, {".png"}) == []


def test_a_pipe_is_no_picture_and_no_table(folder):
    os.mkfifo(folder / "c.png")
    assert [path.name for path in walk(folder, {".png"})] == ["a.png", "b.png"]
    assert len(read(folder).records) == 2
    os.mkfifo(folder / "points.csv")
    for call in (lambda: read(folder), lambda: read_bytes(folder / "c.png"), lambda: load_image(folder / "c.png")):
        with pytest.raises(InputError, match="it is a folder, a pipe or a device"):
            call()
    with pytest.raises(InputError, match="it is a folder, a pipe or a device"):
        read_index_png(folder / "c.png")


def header_only(width: int, height: int, bits: int = 8, color: int = 2) -> bytes:
    """A PNG whose header says that it is so large, and that holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("load", [load_image, encoded, picture_size, read_index_png])
@pytest.mark.parametrize("side", [11_000, 40_000, 200_000])
def test_a_picture_too_large_is_refused_by_its_header_and_its_memory_is_said(load, side, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(header_only(side, side))
    with pytest.raises(InputError) as caught:
        load(path)
    memory = side * side * 14 / 1e9
    assert str(caught.value).startswith(f"{path} is {side}x{side} pixels; decoding them takes about {memory:.1f} GB")
    path.write_bytes(header_only(MOST_PIXELS // 10_000, 10_000))
    if load is picture_size:
        assert load(path) == (10_000, MOST_PIXELS // 10_000)


def test_a_picture_in_somebodys_file_that_says_it_is_huge_is_one_sentence(tmp_path):
    path, data = write_images(tmp_path / "images.h5"), np.frombuffer(header_only(40_000, 40_000), np.uint8)
    with h5py.File(path, "r+") as file:
        offsets = file["picture/offsets"]
        assert offsets[1] >= len(data)
        stored = file["picture/bytes"]
        stored[: offsets[1]] = np.pad(data, (0, offsets[1] - len(data)))
    with pytest.raises(InputError, match="image 'image0' is damaged"):
        Pictures(Images(path)).read(0)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white_alike_in_every_strip(mode, tmp_path):
    rng = np.random.default_rng(0)
    whole = Image.fromarray(rng.integers(0, 256, (700, 30, 4)).astype(np.uint8), "RGBA")
    if mode == "P":
        whole = whole.convert("RGB").quantize(64)
        whole.save(tmp_path / "a.png", transparency=3)
    else:
        whole = whole.convert(mode)
        whole.save(tmp_path / "a.png")
    layer = Image.open(tmp_path / "a.png").convert("RGBA")
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    expected = np.array(Image.alpha_composite(white, layer).convert("RGB"))
    assert np.array_equal(load_image(tmp_path / "a.png"), expected)
