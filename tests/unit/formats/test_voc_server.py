"""Semantic maps for VOC's server, read again by PIL."""

import numpy as np
import pytest
from artifacts import provenance, write_labels, write_semantic
from PIL import Image

from wsis_steps.__main__ import main
from wsis_steps.formats.voc import VOC_CLASSES
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.maps import Maps, MapsWriter

# VOC's first and last colors, as its development kit prints them.
COLORS = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
SIZES = [(30, 41), (17, 9)]


def write_maps(path, class_names=VOC_CLASSES, dtype=np.uint8):
    """Label maps of two images with all indices, some pixels of them unsure; returns them by id."""
    rng, made = np.random.default_rng(0), {}
    with create(path, Maps.schema, provenance(class_names)) as file:
        writer = MapsWriter(file, (64, 64), dtype)
        for k, (height, width) in enumerate(SIZES):
            labels = rng.integers(0, 21, (height, width)).astype(np.uint8)
            labels[0, :3] = 255
            made[f"2008_00000{k}"] = labels
            writer.add(f"2008_00000{k}", height, width, labels[None].astype(dtype))
        writer.close()
    return made


def export(*words):
    with pytest.raises(SystemExit) as ended:
        main(["export", *map(str, words)])
    return ended.value.code


@pytest.mark.parametrize(("words", "folder"), [((), "comp6"), (("--competition", "comp5"), "comp5")])
def test_maps_come_back_with_the_palette_of_voc(words, folder, tmp_path):
    made = write_maps(tmp_path / "val.h5")
    assert export(tmp_path / "val.h5", "--format", "voc_server", "--out", tmp_path / "out", *words) == 0
    written = tmp_path / f"out/results/VOC2012/Segmentation/{folder}_test_cls"
    assert {path for path in (tmp_path / "out").rglob("*") if path.is_file()} == {
        written / f"{identity}.png" for identity in made
    }
    for identity, labels in made.items():
        with Image.open(written / f"{identity}.png") as picture:
            assert picture.mode == "P" and picture.size == labels.shape[::-1]
            indices, colors = np.array(picture), np.array(picture.convert("RGB"))
        assert (indices == np.where(labels == 255, 0, labels)).all() and indices.max() <= 20
        for index, color in COLORS.items():
            assert (colors[indices == index] == color).all() and (indices == index).any()


def test_what_is_no_semantic_map_of_vocs_classes_is_refused(tmp_path, capsys):
    write_maps(tmp_path / "activation.h5", dtype=np.float16)
    others = {
        write_semantic(tmp_path / "other.h5"): "not VOC's 20 in their order",
        tmp_path / "activation.h5": "holds activation maps",
        write_labels(tmp_path / "labels.h5"): "labels.h5",
    }
    for path, sentence in others.items():
        assert export(path, "--format", "voc_server", "--out", tmp_path / "out") == 2
        said = capsys.readouterr().err
        assert sentence in said and "Traceback" not in said
    assert not (tmp_path / "out").exists()
