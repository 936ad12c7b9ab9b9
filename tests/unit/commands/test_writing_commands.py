"""What the commands write is whole, also where the disk is full and where two write at once."""

import filecmp
import subprocess

import pytest
import torch
from artifacts import CLASSES, SIZE, picture, provenance, write_images, write_labels
from full_disk import disk_of
from other_writer import OtherWriter
from PIL import Image
from tiny_settings import MASKRCNN

from wsis_steps.__main__ import main
from wsis_steps.commands.export import SERVER, WRITERS
from wsis_steps.engine import writers
from wsis_steps.engine.writers import one_writer, one_writer_of_folder
from wsis_steps.formats.voc import VOC_CLASSES
from wsis_steps.maskrcnn.network import build_maskrcnn
from wsis_steps.maskrcnn.settings import MaskrcnnTrain
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.models import save_model


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A result with its pictures, semantic maps, a model and a folder of pictures."""
    folder = tmp_path_factory.mktemp("given")
    write_images(folder / "images.h5")
    write_labels(folder / "labels.h5")
    with create(folder / "semantic.h5", Maps.schema, provenance(VOC_CLASSES, step="learning_to_segment_infer")) as file:
        writer = MapsWriter(file, (SIZE, SIZE), torch.zeros(0, dtype=torch.uint8).numpy().dtype)
        for k in range(6):
            writer.add(f"image{k}", SIZE, SIZE, picture(k)[None, ..., 0] % 20)
        writer.close()
    settings = MaskrcnnTrain.model_validate(MASKRCNN)
    made = provenance(step="maskrcnn_train")
    made = made.__class__(**{**made.__dict__, "settings": settings.model_dump_json()})
    torch.manual_seed(0)
    save_model(folder / "model.pt", build_maskrcnn(settings, len(CLASSES)), made)
    (folder / "pictures").mkdir()
    for k in range(3):
        Image.fromarray(picture(k)).save(folder / f"pictures/{k}.png")
    return folder


def commands(given, out):
    """Everything that writes, as words, with where it does so."""
    exports = {name: [given / "labels.h5", "--format", name] for name in WRITERS}
    exports[SERVER] = [given / "semantic.h5", "--format", SERVER]
    exports |= {name: [given / "model.pt", "--format", name] for name in ("torchscript", "onnx")}
    found = {f"export {name}": ["export", *words, "--out", out] for name, words in exports.items()}
    predict = [given / "pictures", "--model", given / "model.pt", "--out", out, "--score", 0, "--threads", 1]
    show = [given / "labels.h5", "--image", "image1", "--picture", out.with_suffix(".png")]
    return {**found, "predict": ["predict", *predict], "show": ["show", *show]}


COMMANDS = (*(f"export {name}" for name in (*WRITERS, SERVER, "torchscript", "onnx")), "predict", "show")


def call(words):
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    return ended.value.code


def files(folder):
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_on_a_full_disk_files_are_whole_or_absent_and_the_sentence_names_one(given, tmp_path, command, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert call(commands(given, whole / "x")[command]) == 0
    largest = max((whole / path).stat().st_size for path in files(whole))
    for size in sorted({0, 1, largest // 3, largest - 1}):
        capsys.readouterr()
        with disk_of(size):
            assert call(commands(given, cut / "x")[command]) == 2
        said = capsys.readouterr().err
        assert f"The disk is full: {cut}/" in said and "Traceback" not in said
        left = files(cut)
        assert left < files(whole)
        assert not [path for path in left if not filecmp.cmp(cut / path, whole / path, shallow=False)]
    assert call(commands(given, cut / "x")[command]) == 0
    assert files(cut) == files(whole)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_second_writer_is_told_so_and_changes_nothing(given, tmp_path, command, monkeypatch, capsys):
    monkeypatch.setattr(writers, "WAIT", 0.0)
    words = commands(given, tmp_path / "x")[command]
    assert call(words) == 0
    before = {path: (tmp_path / path).stat().st_mtime_ns for path in files(tmp_path)}
    in_a_folder = (tmp_path / "x").is_dir()
    path = tmp_path / ("x.png" if command == "show" else "x")
    other = OtherWriter(path, kind=one_writer_of_folder if in_a_folder else one_writer).holds()
    capsys.readouterr()
    assert call(words) == 2
    assert f"{path} is being written by process {other.process.pid}" in capsys.readouterr().err
    assert other.end() == 0
    assert {path: (tmp_path / path).stat().st_mtime_ns for path in files(tmp_path)} == before


def test_what_a_killed_call_left_goes_with_the_next(given, tmp_path):
    (tmp_path / "x/masks").mkdir(parents=True)
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    (tmp_path / f"x/masks/.0.png.{writers._host()}-{dead.pid}-0123abcd.partial").touch()
    assert call(commands(given, tmp_path / "x")["predict"]) == 0
    assert not list(tmp_path.rglob(".*"))
