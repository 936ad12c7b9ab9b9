"""Somebody's .h5 writes nothing outside of --out, in no format, and its names are text wherever they are shown."""

import json
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
from artifacts import CLASSES, SIZE, provenance, squares, write_images, write_labels
from calls import call as step
from test_wsis_command import call

from wsis_steps.commands.export import WRITERS
from wsis_steps.engine.errors import InputError
from wsis_steps.formats.voc import VOC_CLASSES
from wsis_steps.formats.voc_server import write_voc_server
from wsis_steps.report.page import page
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.instances import write_instances
from wsis_steps.vision.contracts.maps import Maps, MapsWriter

NAMES = ("../../x", "/abs/x", "a/../../../x", "..", "")


def rename(path, name):
    """Gives the first image another id, of any length."""
    replace_texts(path, "image/id", lambda texts: [name, *texts[1:]])


def replace_texts(path, dataset, change):
    with h5py.File(path, "r+") as file:
        texts = change(file[dataset].asstr()[:].tolist())
        del file[dataset]
        file.create_dataset(dataset, data=texts, dtype=h5py.string_dtype())


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("name", [*NAMES, "absolute"])
def test_an_export_writes_nothing_outside_of_its_folder(form, name, tmp_path, capsys):
    name = str(tmp_path / "elsewhere/x") if name == "absolute" else name
    (tmp_path / "elsewhere").mkdir()
    images, labels = write_images(tmp_path / "images.h5"), write_labels(tmp_path / "labels.h5")
    rename(images, name)
    rename(labels, name)
    before = files(tmp_path)
    words = ("export", labels, "--images", images, "--format", form, "--out", tmp_path / "deep/er/out")
    assert call(*words) == 2
    said = capsys.readouterr().err
    assert f"{labels} holds an image {name!r}, which cannot be the name of a file" in said and "Traceback" not in said
    assert files(tmp_path) == before


@pytest.mark.parametrize("form", WRITERS)
def test_a_split_is_no_path_either(form, tmp_path, capsys):
    images, labels = write_images(tmp_path / "images.h5"), write_labels(tmp_path / "labels.h5")
    replace_texts(images, "image/split", lambda texts: ["../../x"] * len(texts))
    before = files(tmp_path)
    words = ("export", labels, "--images", images, "--format", form, "--out", tmp_path / "deep/er/out")
    assert call(*words) == 2
    assert f"{images} does not hold a split for each image" in capsys.readouterr().err
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", NAMES)
def test_maps_for_the_server_are_written_nowhere_else(name, tmp_path):
    with create(tmp_path / "maps.h5", Maps.schema, provenance(VOC_CLASSES)) as file:
        writer = MapsWriter(file, (SIZE, SIZE), np.uint8)
        writer.add(name, SIZE, SIZE, np.zeros((1, SIZE, SIZE), np.uint8))
        writer.close()
    with pytest.raises(InputError, match="cannot be the name of a file"):
        write_voc_server(tmp_path / "deep/er/out", Maps(tmp_path / "maps.h5"), "comp6")
    assert files(tmp_path) == [tmp_path / "maps.h5"]


def test_maps_from_elsewhere_are_read_from_their_folder_only(tmp_path):
    (tmp_path / "folder").mkdir()
    images = write_images(tmp_path / "images.h5")
    rename(images, "../secret")
    found = step(
        "data.import_semantic", {"folder": str(tmp_path / "folder")}, images=images, semantic=tmp_path / "semantic.h5"
    )
    assert found.status == 2 and "'../secret.png' cannot be the name of a file below" in found.errors[0]


HOSTILE = ("\x1b[2Jcat", 'd<o&g"')


def test_names_of_classes_move_no_cursor_and_break_no_xml(tmp_path, capsys):
    images = write_images(tmp_path / "images.h5", class_names=HOSTILE)
    labels = write_labels(tmp_path / "labels.h5", class_names=HOSTILE)
    for words in ((), ("--image", "image0")):
        assert call("show", labels, *words) == 0
        said = capsys.readouterr().out
        assert "\\x1b[2Jcat" in said and "\x1b" not in said
    for form in WRITERS:
        out = tmp_path / form
        assert call("export", labels, "--images", images, "--format", form, "--out", out) == 0
        for path in (path for path in files(out) if path.suffix == ".xml"):
            names = [*ElementTree.parse(path).getroot().iter()]
            assert names and b"\x1b" not in path.read_bytes()
    assert [row["name"] for row in json.loads(next(tmp_path.glob("coco/*/*.json")).read_text())["categories"]] == [
        "\\x1b[2Jcat", 'd<o&g"',
    ]  # fmt: skip


def test_an_id_that_holds_a_command_is_escaped_in_show(tmp_path, capsys):
    path = tmp_path / "labels.h5"
    write_instances(path, provenance(CLASSES), ["a\x1b]0;b"], [SIZE], [SIZE], [squares(0)])
    assert call("show", path, "--image", "0") == 0
    assert call("show", path, "--image", "9") == 2
    told = capsys.readouterr()
    assert "a\\x1b]0;b" in told.out and "a\\x1b]0;b" in told.err and "\x1b" not in told.out + told.err


def test_a_page_keeps_what_a_name_says_out_of_its_script():
    text = page("t", "", [], {"names": ["</script><script>x", "<!--<script>"]})
    script = text[text.index("const INDEX") : text.index(";\n", text.index("const INDEX"))]
    assert "<" not in script and json.loads(script.partition(" = ")[2])["names"][1] == "<!--<script>"


def test_predict_takes_no_link_that_leads_out_unless_it_is_told_to(tmp_path, capsys):
    for name in ("in", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere/a.jpg").write_bytes(b"secret")
    (tmp_path / "in/a.jpg").symlink_to("../elsewhere/a.jpg")
    words = ("predict", tmp_path / "in", "--model", tmp_path / "absent.pt", "--out", tmp_path / "out")
    assert call(*words) == 2
    assert "a.jpg is a link that leads out of" in capsys.readouterr().err
    assert call(*words, "--follow_links") == 2
    assert "absent.pt does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
