"""The command `wsis` as people call it."""

import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch
from artifacts import (
    CLASSES,
    SIZE,
    nothing,
    picture,
    provenance,
    square_mask,
    write_images,
    write_labels,
    write_semantic,
)
from authors import Mark, Picture
from authors.coco import write as write_coco
from authors.cvat import write as write_cvat
from deep_pictures import write_png
from frozen import extract, write_pictures
from imports import imported
from PIL import Image
from proposal_sets import square_regions
from tiny_settings import MASKRCNN

from wsis_steps.__main__ import COMMANDS, main
from wsis_steps.commands import predictors
from wsis_steps.commands.advice import inference_settings, read_advice
from wsis_steps.commands.check import sizes_line
from wsis_steps.commands.configuration import missing_weights, read_configuration
from wsis_steps.commands.predict import short_names
from wsis_steps.drawing.colors import class_colors
from wsis_steps.drawing.raster import LONG_SIDE, _write
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.provenance import digest
from wsis_steps.evaluation.recommendation import Recommendation, write_recommendation
from wsis_steps.formats import coco
from wsis_steps.formats.rings import read_segmentation
from wsis_steps.maskrcnn.network import build_maskrcnn, load_maskrcnn
from wsis_steps.maskrcnn.settings import MaskrcnnInfer, MaskrcnnTrain
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.instances import write_instances
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.masks import describe, encode
from wsis_steps.vision.models import load_model, save_model


def call(*words):
    """Exit status of a call."""
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    return ended.value.code


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A Mask R-CNN that nobody trained, which finds many things at a low threshold."""
    path = tmp_path_factory.mktemp("model") / "model.pt"
    torch.manual_seed(0)
    settings = MaskrcnnTrain.model_validate(MASKRCNN)
    network = build_maskrcnn(settings, len(CLASSES))
    heads = (network.rpn.head.conv, network.rpn.head.cls_logits, network.roi_heads.box_head)
    layers = [layer for head in heads for layer in head.modules() if hasattr(layer, "weight")]
    for layer in [*layers, network.roi_heads.box_predictor.cls_score]:
        # as they are initialized, scores differ so little that rounding decides on their order
        torch.nn.init.kaiming_normal_(layer.weight)
    made = provenance(step="maskrcnn_train")
    save_model(path, network, made.__class__(**{**made.__dict__, "settings": settings.model_dump_json()}))
    return path


@pytest.fixture
def result(tmp_path):
    """labels.h5, semantic.h5 and images.h5 in the layout of results/."""
    (tmp_path / "shared/data").mkdir(parents=True)
    (tmp_path / "run/labels").mkdir(parents=True)
    write_images(tmp_path / "shared/data/images.h5")
    write_semantic(tmp_path / "run/labels/semantic.h5")
    return write_labels(tmp_path / "run/labels/labels.h5")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_examples_of_it(name, capsys):
    assert call(name, "--help") == 0
    said = capsys.readouterr().out
    assert f"\n  wsis {name} " in said and f"usage: wsis {name}" in said


def test_an_unknown_command_and_none_are_told_what_there_is(capsys):
    assert call("predcit") == 2
    assert "the nearest is 'predict'" in capsys.readouterr().err
    assert call() == 2
    assert "wsis export" in capsys.readouterr().err


def test_predictions_of_a_folder_are_masks_json_and_pictures_and_a_broken_picture_stops_none(model, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "a").mkdir(parents=True)
    sizes = {"a/x.png": (SIZE, 40), "a/x.jpg": (50, SIZE), "b.png": (SIZE, SIZE)}
    for name, (height, width) in sizes.items():
        Image.fromarray(cv2.resize(picture(3), (width, height))).save(folder / name)
    (folder / "c.jpg").write_bytes(b"no picture")
    assert call("predict", folder, "--model", model, "--out", out, "--score", 0.01, "--threads", 1) == 2
    found = json.loads((out / "instances.json").read_text())
    assert {row["file_name"]: (row["height"], row["width"]) for row in found["images"]} == sizes
    assert [row["name"] for row in found["categories"]] == list(CLASSES)
    for image in found["images"]:
        own = [row for row in found["annotations"] if row["image_id"] == image["id"]]
        assert own and all(row["score"] >= 0.01 for row in own)
        rles = [read_segmentation(row["segmentation"], image["height"], image["width"]) for row in own]
        name = image["file_name"].removesuffix("b.png") or "b"  # the other two differ in their suffixes
        numbers = np.array(Image.open(out / "masks" / f"{name}.png"))
        assert numbers.shape == sizes[image["file_name"]] and numbers.max() <= len(rles)
        drawn = Image.open(out / "overlays" / f"{name}.jpg")
        assert drawn.height * numbers.shape[1] == drawn.width * numbers.shape[0]  # enlarged alike
    assert not list(out.rglob("*.partial"))


def advise(made_for, path, **changes):
    """Writes a recommendation as the workflow does for a model."""
    values = {"model": digest(made_for), "settings": MaskrcnnInfer().model_dump(mode="json"), "basis": "truth",
              "score": 0.02, "precision": 0.5, "recall": 0.4, "f1": 0.44}  # fmt: skip
    write_recommendation(path, Recommendation(**{**values, **changes}), provenance(step="evaluation_recommend_score"))


def test_predictions_use_what_lies_beside_the_model_and_what_is_given_wins(model, tmp_path, capsys):
    """The settings and the score are those of the run; a file of another model is never used."""
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/a.png"), picture(3))
    own = tmp_path / "model.pt"
    own.write_bytes(model.read_bytes())

    words = ("predict", tmp_path / "in", "--model", own, "--out", tmp_path / "out", "--threads", 1)

    def scores(*more):
        assert call(*words, *more) == 0
        found = json.loads((tmp_path / "out/instances.json").read_text())["annotations"]
        return sorted((row["score"] for row in found), reverse=True), capsys.readouterr().err

    every, said = scores("--score", 0.0001)
    assert len(every) > 3 and "recommended" not in said
    none, said = scores()
    below = sum(0.05 < score <= 0.3 for score in every)
    assert below and f"{len(none)} instance{'s' * (len(none) != 1)} on 1 image; {below} below 0.3 left out" in said
    assert none == [score for score in every if score >= 0.3] and "score at least 0.30: the default" in said
    middle = round((every[0] + every[1]) / 2, 4)
    stricter = {"nms": 0.01}  # another setting, to be seen in what is found
    other, _ = scores("--score", 0.0001, "--settings", json.dumps(stricter))
    assert other != every
    settings = MaskrcnnInfer(**stricter).model_dump(mode="json")
    advise(own, tmp_path / "model.json", score=middle, settings=settings)
    few, said = scores()
    assert few == [score for score in other if score > middle] != other
    assert "as recommended: the best F1 against the ground truth" in said and "recall 0.40" in said
    assert scores("--score", 0.0001)[0] == other
    assert scores("--score", 0.0001, "--settings", '{"nms": 0.5}')[0] == every
    chosen, said = scores("--settings", '{"nms": 0.5, "min_score": 0.0001}')
    assert chosen == every and "recommended" not in said
    assert call(*words, "--settings", '{"min_score": 7}') == 2
    assert "min_score" in capsys.readouterr().err
    advise(own, tmp_path / "model.json", basis="", score=None, precision=None, recall=None, f1=None)
    assert "the default, since none is recommended" in scores()[1]
    advise(own, tmp_path / "another_run.json", settings=settings, score=0.0001)
    assert scores("--settings", tmp_path / "another_run.json")[0] == other
    advise(own, tmp_path / "model.json", model="0" * 32, settings=settings)
    stale, said = scores("--score", 0.0001)
    assert stale == every and "was made for another model than model.pt, so it is not used" in said
    assert call(*words, "--settings", tmp_path / "model.json") == 2
    assert "was made for another model" in capsys.readouterr().err
    for text in ("{}", "nothing", '{"model": "x", "settings": {}, "basis": "truth", "score": 7}'):
        (tmp_path / "model.json").write_text(text)
        assert call(*words) == 2
        assert "model.json" in capsys.readouterr().err


def test_pictures_of_12_bits_are_seen_as_in_training(model, tmp_path, capsys):
    """Samples of 12 bits give what their 8 high ones give; a model of before, which knows no range, sees darkness."""
    seen = picture(3)
    for name, write in (("deep", lambda path: write_png(path, seen.astype(np.uint16) << 4)), ("plain", plain(seen))):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "a.png")
    state = torch.load(model, weights_only=True)
    torch.save({**state, "picture_range": (0, 4095)}, tmp_path / "ranged.pt")
    assert load_model(tmp_path / "ranged.pt", "maskrcnn_train").picture_range == (0, 4095)
    assert call("show", tmp_path / "ranged.pt") == 0
    assert "range        0 to 4095, black and white" in capsys.readouterr().out
    found, told = {}, {}
    for folder, trained in (("deep", tmp_path / "ranged.pt"), ("plain", tmp_path / "ranged.pt"), ("deep", model)):
        out = tmp_path / f"{folder}_{trained.stem}"
        words = (tmp_path / folder, "--model", trained, "--out", out, "--score", 0.01, "--threads", 1)
        assert call("predict", *words) == 0
        found[out.name], told[out.name] = (out / "instances.json").read_text(), capsys.readouterr().err
    assert found["deep_ranged"] == found["plain_ranged"] != found["deep_model"]
    assert "have" not in told["deep_ranged"] + told["plain_ranged"]
    assert "sees samples from 0 to 65535, as in training, but pictures of more than 8 bits have" in told["deep_model"]


def test_a_large_picture_is_predicted_in_tiles(model, tmp_path):
    Image.fromarray(np.tile(picture(3), (2, 3, 1))).save(tmp_path / "a.png")
    sizes, detected = [], predictors.detect

    def detect(network, pictures, settings):
        sizes.extend(tuple(one.shape[1:]) for one in pictures)
        return detected(network, pictures, settings)

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictors, "detect", detect)
        for name, words in {"whole": (), "one": ("--tile", 96), "four": ("--tile", 60, "--overlap", 0.25)}.items():
            words = (tmp_path / "a.png", "--model", model, "--out", tmp_path / name, "--score", 0.01, *words)
            assert call("predict", *words, "--threads", 1) == 0
            found[name] = json.loads((tmp_path / name / "instances.json").read_text())
    assert found["whole"] == found["one"] != found["four"]
    assert sizes == [(64, 96)] * 2 + [(60, 60)] * 4
    assert found["four"]["annotations"]
    assert all(row["segmentation"]["size"] == [64, 96] for row in found["four"]["annotations"])


def plain(pixels):
    """Writes 8 bits."""
    return lambda path: Image.fromarray(pixels).save(path)


def test_names_of_masks_lose_their_suffix_where_no_other_picture_has_that_name():
    given = ["a.jpg", "a.png", "b.png", "c.jpg", "c.jpg.png", "d/b.png"]
    wanted = ["a.jpg", "a.png", "b", "c", "c.jpg.png", "d/b"]
    assert list(short_names([*map(Path, given)]).values()) == [*map(Path, wanted)]


def test_results_are_told_from_a_data_set(result, capsys):
    assert call("check", result.parents[2]) == 0
    assert "all 3 files are intact" in capsys.readouterr().out


def test_a_second_call_leaves_its_own_pictures_out_and_a_hair_stops_nothing(model, tmp_path, capsys):
    Image.fromarray(picture(3)).save(tmp_path / "a.png")
    for _ in range(2):
        assert call("predict", tmp_path, "--model", model, "--out", tmp_path / "found", "--threads", 1) == 0
    read = json.loads((tmp_path / "found/instances.json").read_text())
    assert [row["file_name"] for row in read["images"]] == ["a.png"]
    Image.new("RGB", (2, 500)).save(tmp_path / "hair.png")
    assert call("predict", tmp_path, "--model", model, "--out", tmp_path / "found", "--threads", 1) == 2
    assert "hair.png is 2x500 pixels, too narrow" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "found/instances.json").read_text())["images"]) == 1


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["nowhere", "--out", "o"], "nowhere does not exist"),
        ([".", "--out", "o"], "contains no image"),
        ([".", "--out", "o", "--score", "7"], "must be from 0 to 1"),
        ([".", "--out", "o", "--tile", "8"], "--tile is 8; it must be at least 32 pixels"),
        ([".", "--out", "o", "--tile", "64", "--overlap", "0"], "--overlap is 0.0; it must be above 0 and at most 0.5"),
    ],
)
def test_wrong_calls_of_predict_are_one_sentence(words, sentence, model, tmp_path, monkeypatch, caplog, capsys):
    monkeypatch.chdir(tmp_path)
    assert call("predict", *words, "--model", model) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def middles(drawn: Image.Image) -> np.ndarray:
    """The middles of the pixels of a picture of SIZE that was enlarged and may have a legend below."""
    zoom = LONG_SIDE // SIZE
    return np.array(drawn)[zoom // 2 : zoom * SIZE : zoom, zoom // 2 :: zoom]


def test_show_leaves_out_what_is_less_sure_than_asked(result, tmp_path, capsys):
    found = describe(encode(square_mask(1)[None]), np.array([1]), scores=np.array([0.4]))
    write_instances(result, provenance(CLASSES), ["image1"], [SIZE], [SIZE], [found])
    out = tmp_path / "drawn.png"
    for score, kept in ((0.4, True), (0.5, False)):
        assert call("show", result, "--image", "image1", "--score", score, "--picture", out) == 0
        assert ("dog, score 0.400" in capsys.readouterr().out) == kept
        assert np.array_equal(middles(Image.open(out)), picture(1)) != kept
    assert call("show", result, "--image", "image1", "--score", 7) == 2
    assert "it must be from 0 to 1" in capsys.readouterr().err


def test_names_in_a_drawing_give_way_to_each_other():
    canvas, taken = Image.new("RGB", (300, 100)), []
    for _ in range(3):
        _write(canvas, np.array([10, 10, 90, 90]), "square 0.50", taken)
    tops, bottoms = zip(*((y1, y2) for _, y1, _, y2 in taken), strict=True)
    assert list(tops) == sorted(tops) and all(top >= bottom for top, bottom in zip(tops[1:], bottoms, strict=False))


def test_show_tells_what_is_in_a_file_and_draws_an_image(result, tmp_path, capsys):
    assert call("show", result) == 0
    said = capsys.readouterr().out
    assert "6; an image has 1" in said and "cat 3, dog 3" in said and "supervision  tags" in said
    for name, number in ((result, 1), (result.with_name("semantic.h5"), 2), (tmp_path / "shared/data/images.h5", 7)):
        assert call("show", name, "--image", f"image{number}", "--picture", tmp_path / "drawn.png") == 0
        drawn = Image.open(tmp_path / "drawn.png")
        changed = np.any(middles(drawn) != picture(number), axis=2)
        legend = np.array(drawn)[LONG_SIDE // SIZE * SIZE :].reshape(-1, 3).tolist()
        colors = [list(bytes.fromhex(color[1:])) for color in class_colors(len(CLASSES))]
        assert [color in legend for color in colors] == [k == number % 2 for k in range(len(CLASSES))]
        assert changed[square_mask(number) > 0].any()
    assert call("show", result, "--image", "imagge1") == 2
    assert "the nearest is 'image1'" in capsys.readouterr().err


def test_show_says_what_is_doubtful_about_a_file(result, tmp_path, capsys):
    assert call("show", result) == 0 and "doubtful" not in capsys.readouterr().out
    counts = {"images": 1, "expected": 1, "without": 1, "labels": 0}
    write_instances(tmp_path / "labels.h5", provenance(), ["image0"], [SIZE], [SIZE], [nothing()], counts)
    assert call("show", tmp_path / "labels.h5") == 0
    assert "doubtful     1 of 1 tagged images (100 %) have no label." in capsys.readouterr().out


def test_show_draws_edges_which_are_bytes_but_no_labels(tmp_path):
    write_images(tmp_path / "images.h5")
    with create(tmp_path / "edges.h5", Maps.schema, provenance(step="proposals_find_edges")) as file:
        writer = MapsWriter(file, (SIZE, SIZE), np.uint8)
        writer.add("image1", SIZE, SIZE, 200 * square_mask(1)[None])
        writer.close()
    assert call("show", tmp_path / "edges.h5", "--image", "image1", "--picture", tmp_path / "drawn.png") == 0
    drawn = middles(Image.open(tmp_path / "drawn.png"))
    assert drawn[square_mask(1) > 0].min() > 190 > 50 > drawn[square_mask(1) == 0].max()


def test_show_draws_the_outlines_of_proposals(tmp_path, capsys):
    write_images(tmp_path / "images.h5")
    square_regions(tmp_path / "regions.h5")
    out = tmp_path / "drawn.png"
    assert call("show", tmp_path / "regions.h5", "--image", "image1", "--picture", out) == 0
    assert "regions, of which a drawing shows the first 30" in capsys.readouterr().out
    changed = np.any(np.array(Image.open(out)) != np.kron(picture(1), np.ones((22, 22, 1))), axis=2)
    assert 0 < changed.mean() < 0.2  # lines, not areas


def test_files_of_others_are_told_from_broken_ones(tmp_path, capsys):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = [1]
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["schema"] = "puppets"
    torch.save({"weight": torch.zeros(1)}, tmp_path / "plain.pth")
    (tmp_path / "photo.jpg").write_bytes(b"no HDF5")
    (tmp_path / "cut.h5").write_bytes(b"no HDF5")
    for name, sentence in (
        ("foreign.h5", "holds no result of this program"),
        ("other.h5", "holds 'puppets', which cannot be shown"),
        ("plain.pth", "not of a model that this program trained"),
        ("cut.h5", "if the workflow made it, delete it"),
        ("photo.jpg", "is not an .h5 result file"),
        (".", "is a folder; give an .h5 file"),
        ("no.pt", "no.pt does not exist"),
    ):
        assert call("show", tmp_path / name) == 2
        assert sentence in capsys.readouterr().err


def test_show_tells_of_features_and_draws_none(tmp_path, capsys):
    write_pictures(tmp_path / "images.h5")
    assert extract(tmp_path, long_sides=[64, 32]).status == 0
    assert call("show", tmp_path / "features.h5") == 0
    said = capsys.readouterr().out
    assert "features.h5: features, version 2" in said and "features     14; an image has 2" in said
    assert "cells        2 to 8, median 4 wide, 1 to 8, median 4 high" in said
    assert "channels     160" in said and "made by      classifier_extract" in said
    assert call("show", tmp_path / "features.h5", "--image", "image4") == 0  # of 101x17 pixels
    said = capsys.readouterr().out
    assert "channels of 8x1 cells" in said and "channels of 4x1 cells" in said
    assert call("show", tmp_path / "features.h5", "--image", "image4", "--picture", tmp_path / "drawn.png") == 2
    assert "contains features, which cannot be drawn; leave out --picture." in capsys.readouterr().err
    assert not (tmp_path / "drawn.png").exists()


def test_show_tells_of_a_model(model, capsys):
    assert call("show", model) == 0
    assert "made by      maskrcnn_train" in capsys.readouterr().out
    assert call("show", model, "--image", "image1") == 2
    assert "is a model and contains no images" in capsys.readouterr().err


def test_exports_of_two_splits_into_one_folder_are_a_data_set(result, tmp_path, capsys):
    write_labels(result.with_name("val.h5"), first=6, count=2)
    for name in ("labels.h5", "val.h5"):
        assert call("export", result.with_name(name), "--format", "coco", "--out", tmp_path / "out") == 0
    dataset = imported(coco.read, tmp_path / "out")
    assert [record.split for record in dataset.records] == ["train"] * 6 + ["val"] * 2
    assert "6 images\n" in capsys.readouterr().err
    assert call("export", result, "--format", "onnx", "--out", tmp_path / "x") == 2
    assert call("check", tmp_path / "out", "--threads", 1) == 0  # what it is shows in its folders
    assert call("export", result, "--format", "voc", "--out", tmp_path / "voc") == 0
    assert call("check", tmp_path / "voc", "--threads", 1) == 0
    assert "so 1 of the 6 training images are used for evaluation" in capsys.readouterr().out  # of one split only


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_an_exported_model_finds_the_same_on_pictures_of_other_sizes(kind, model, tmp_path):
    assert call("export", model, "--format", kind, "--out", tmp_path / "file") == 0
    network = load_maskrcnn(load_model(model, "maskrcnn_train"), MaskrcnnInfer()).eval()
    exported = load_exported(kind, tmp_path / "file")
    for height, width in ((SIZE, SIZE), (61, 40), (30, 83)):  # of the last two a float32 makes other whole pixels
        image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.inference_mode():
            expected = network([image])[0]
        found = dict(zip(("boxes", "labels", "scores", "masks"), exported(image), strict=True))
        assert len(expected["scores"]) > 0
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, atol=2e-3, rtol=0)
            assert not found[name].requires_grad
    if kind == "torchscript":
        about = {"class_names": "", "picture_range": ""}
        torch.jit.load(str(tmp_path / "file"), _extra_files=about)
        assert json.loads(about["class_names"]) == list(CLASSES) and json.loads(about["picture_range"]) == [0, 65535]
        # whoever loads it trains nothing, and need not say so
        tensors = [*exported.parameters(), *exported.buffers()]
        assert tensors and not any(tensor.requires_grad for tensor in tensors)


def load_exported(kind, path):
    """The file as a function of an image."""
    if kind == "torchscript":
        return torch.jit.load(str(path))
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda image: [torch.from_numpy(value) for value in session.run(None, {"image": image.numpy()})]


def test_check_lists_every_problem_with_its_line_and_tells_doubts(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [f"i{k}.png,{'cat' if k % 2 else 'dog'}" for k in range(50)]
    (folder / "tags.csv").write_text("image,tags\n" + "\n".join(rows))
    assert call("check", folder, "--threads", 1) == 2
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 51 and "tags.csv:51: there is no picture 'i49.png'" in said.out
    assert "50 problems" in said.err and said.out.index("tags.csv:9:") < said.out.index("tags.csv:19:")
    for k in range(50):
        Image.fromarray(picture(k)).save(folder / f"i{k}.png")
    (tmp_path / "my.yaml").write_text(
        "dataset: x\nruns: {a: {system: bestie}}\n"
        f"steps: {{data_import_dataset: {{format: folder, root: {folder}, val_share: 0.5}}}}\n"
    )
    assert call("check", tmp_path / "my.yaml", "--threads", 1) == 2
    said = capsys.readouterr()
    assert "Few training images of: " in said.out and "vgg16_imagenet.pth" in said.out
    assert "cannot begin without the weights" in said.err
    for name in ("vgg16", "hrnet_w48", "resnet50"):
        (tmp_path / f"{name}_imagenet.pth").touch()
    assert call("check", tmp_path / "my.yaml", "--threads", 1) == 0
    said = capsys.readouterr().out
    assert "nothing is wrong" in said and f"weights of vgg16: {tmp_path / 'vgg16_imagenet.pth'}" in said
    assert "time: unknown before a first run" in said and f"image sizes: {SIZE}x{SIZE} pixels" in said
    (tmp_path / "results/x").mkdir(parents=True)
    (tmp_path / "results/x/cost.csv").write_text(
        "run,step,jobs,minutes\nshared,data_import_dataset,1,1\na,bestie_train,2,119\nother,bestie_train,1,7\n"
    )
    monkeypatch.chdir(tmp_path)
    assert call("check", tmp_path / "my.yaml", "--threads", 1) == 0
    said = capsys.readouterr().out
    assert "time: all jobs together took 2 h 0 min last time (results/x/cost.csv); not in there: " in said
    assert "maskrcnn_train" in said and not said.split("not in there: ")[1].startswith("bestie_train")
    for pair in ((folder, tmp_path / "my.yaml"), (tmp_path / "my.yaml", folder)):
        assert call("check", *pair) == 2
        assert "is a folder; give one folder, or several configurations" in capsys.readouterr().err
    (folder / "i7.png").write_bytes(b"")
    assert call("check", folder, "--threads", 1) == 2
    assert "i7.png is not a picture" in capsys.readouterr().out
    (folder / "tags.csv").write_text("image,tags\nno.png,cat\ni1.png,cat\n")
    assert call("check", folder, "--threads", 1) == 2
    said = capsys.readouterr()
    assert "tags.csv:2: there is no picture 'no.png'" in said.out and "i7.png is not a picture" in said.out
    assert "2 problems" in said.err


def test_image_sizes_are_told_by_area():
    assert sizes_line([(10, 30)] * 3) == "image sizes: 30x10 pixels"
    sizes = [(100, 50), (20, 10), (60, 60), (40, 900), (30, 30)]
    assert sizes_line(sizes) == "image sizes: 10x20 to 900x40, the middle one 60x60 pixels"


def test_a_folder_with_boxes_alone_is_a_data_set_of_weak_annotations(tmp_path, capsys):
    marks = (Mark("box", "cat", (10, 10, 40, 50)), Mark("box", "dog", (50, 20, 90, 70)))
    write_coco(tmp_path, [Picture(f"{split}{k}.png", marks, split=split) for split in ("train", "val") for k in (1, 2)])
    assert call("check", tmp_path, "--threads", 1) == 0
    said = capsys.readouterr().out
    assert "is read as COCO" in said and "objects without a mask 8" in said and "nothing is wrong" in said


def test_a_run_needs_marks_of_its_kind(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    for name in ("vgg16", "hrnet_w48", "resnet50"):
        (tmp_path / f"{name}_imagenet.pth").touch()
    write_cvat(tmp_path / "data", [Picture(f"{k}.png", (Mark("tag", "cat"),)) for k in range(4)])
    (tmp_path / "my.yaml").write_text(
        "dataset: x\nruns: {tags: {system: bestie}, points: {system: bestie, supervision: points}}\n"
        f"steps: {{data_import_dataset: {{format: drawn, root: {tmp_path}/data}}}}\n"
    )
    assert call("check", tmp_path / "my.yaml", "--threads", 1) == 2
    said = capsys.readouterr()
    assert "Run points is supervised by points, but no training image has any." in said.out and "1 problem;" in said.err


def test_check_tells_what_is_wrong_with_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    (tmp_path / "resnet50_imagenet.pth").touch()
    lines = (
        "dataset: x",
        "runs: {a: {system: annotation_consistency, rounds: ROUNDS}, b: {system: annotation_consistency}}",
        "steps: {data_import_dataset: {format: shapes}, annotation_consistency_sample: {box_overlap: 0.6}}",
    )
    for rounds, status in ((1, 0), (2, 2)):  # one round has one step that scores
        (tmp_path / "my.yaml").write_text("\n".join(lines).replace("ROUNDS", str(rounds)))
        assert call("check", tmp_path / "my.yaml") == status
        found = capsys.readouterr().out
        assert ("Run a: box_overlap is 0.6 in annotation_consistency_sample and 0.5" in found) == (status == 2)
        assert ("nothing is wrong with the runs, and the data are generated" in found) == (status == 0)


def test_check_lays_configurations_over_one_another(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path / "no"))
    (tmp_path / "a.png").touch()
    (tmp_path / "my.yaml").write_text(
        "dataset: x\nruns: {a: {system: bestie}}\n"
        f"steps: {{data_import_dataset: {{format: coco, root: {tmp_path}, val_share: 0.5}}}}\n"
    )
    (tmp_path / "more.yaml").write_text(
        "runs: {a: null, b: {system: supervised}}\n"
        "steps: {data_import_dataset: {format: folder}, maskrcnn_train: {backbone: resnet101}}\n"
    )
    assert call("check", tmp_path / "my.yaml", tmp_path / "more.yaml", "--threads", 1) == 2
    said = capsys.readouterr().out
    assert f"{tmp_path / 'tags.csv'} does not exist" in said  # the format of the second, the root of the first
    assert "resnet101_imagenet.pth" in said and "vgg16" not in said  # of run b alone
    paths = [tmp_path / "my.yaml", tmp_path / "more.yaml"]
    assert read_configuration(paths).steps["data_import_dataset"]["val_share"] == 0.5
    assert set(read_configuration(paths[:1]).runs) == {"a"}


def test_check_builds_the_backbones_of_a_configuration(tmp_path, capsys):
    def said(values: str) -> list[str]:
        (tmp_path / "my.yaml").write_text(
            "dataset: x\nruns: {a: {system: bestie}, b: {system: bestie, seed: 1}}\n"
            "steps: {data_import_dataset: {format: shapes}, classifier_train: {weights: none, backbone: "
            f"{values}}}, bestie_train: {{weights: none}}, maskrcnn_train: {{weights: none}}}}\n"
        )
        status = call("check", tmp_path / "my.yaml")
        found = [line for line in capsys.readouterr().out.splitlines() if "timm/" in line]
        assert status == (2 if found else 0)
        return found

    assert said("timm/test_resnet, output_stride: 8") == []
    assert said("timm/resnet1") == [
        "classifier_train: There is no backbone 'timm/resnet1', the nearest is 'timm/resnet18'."
    ]
    assert said("timm/test_vit, output_stride: 8") == [
        "classifier_train: backbone timm/test_vit cannot have output stride 8; set output_stride: own, which is 16"
    ]
    lines = said("timm/vit_tiny_patch16_224, output_stride: 8")  # which its name tells, so the dry run says it, too
    assert [line.split(":")[0] for line in lines] == ["Run a", "Run b"]


def test_check_lists_the_settings_that_a_frozen_classifier_has_no_use_for(tmp_path, capsys):
    text = (
        "dataset: x\nruns: {a: {system: bestie}, b: {system: bestie, steps: {classifier_train: {frozen: true}}}}\n"
        "steps: {classifier_train: {weights: none, backbone: small, alpha: 0.3}, classifier_infer: {flip: false}, "
        "data_import_dataset: {format: shapes}, bestie_train: {weights: none}, maskrcnn_train: {weights: none}}\n"
    )
    (tmp_path / "my.yaml").write_text(text)
    assert call("check", tmp_path / "my.yaml") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "no effect" in line]
    names = "classifier_train.alpha, classifier_infer.flip"
    assert lines == [f"The classifier is frozen, so these settings have no effect: {names} (run b)."]
    (tmp_path / "my.yaml").write_text(text.replace("frozen: true", "seed: 3"))
    assert call("check", tmp_path / "my.yaml") == 0 and "no effect" not in capsys.readouterr().out


def test_check_names_the_weights_that_a_configuration_misses(tmp_path, monkeypatch):
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    (tmp_path / "my.yaml").write_text("dataset: mine\nruns: {bestie: {system: bestie}}\n")
    missing, coming = missing_weights([tmp_path / "my.yaml"])
    assert not coming  # downloads are off in tests
    assert len(missing) == 3 and all("download" in sentence for sentence in missing)
    for name in ("vgg16", "hrnet_w48", "resnet50"):
        (tmp_path / f"{name}_imagenet.pth").touch()
    assert missing_weights([tmp_path / "my.yaml"]) == ([], [])
    (tmp_path / "my.yaml").write_text(
        "dataset: mine\nruns: {bestie: {system: bestie, maskrcnn: false}}\n"
        "steps: {classifier_train: {backbone: timm/resnet18, weights: no/file.pth}}\n"
    )
    ((sentence,), _) = missing_weights([tmp_path / "my.yaml"])
    assert "'no/file.pth': no such file" in sentence and "huggingface.co/timm/resnet18.a1_in1k" in sentence


def test_weak_predictions_are_left_out_as_in_the_report_and_labels_never(result, tmp_path, capsys):
    found = describe(encode(np.stack([square_mask(1), square_mask(3)])), np.array([1, 0]), scores=np.array([0.9, 0.1]))
    for name, image in (("val.h5", "image6"), ("train.h5", "image1")):
        write_instances(tmp_path / "run" / name, provenance(), [image], [SIZE], [SIZE], [found])
    said = {}
    for words in (("val.h5", "image6"), ("val.h5", "image6", "--score", 0), ("train.h5", "image1")):
        assert call("show", tmp_path / "run" / words[0], "--image", *words[1:]) == 0
        said[words] = capsys.readouterr().out
    for least, told in ((0.3, "1 instance on 1 image; 1 below 0.3 left out"), (0, "2 instances on 1 image\n")):
        words = (tmp_path / "run/val.h5", "--format", "coco", "--out", tmp_path / "coco", "--score", least)
        assert call("export", *words, "--images", tmp_path / "shared/data/images.h5") == 0
        assert told in capsys.readouterr().err
    default, every, labels = said.values()
    assert "dog, score 0.900" in default and "cat" not in default
    assert "left out     1 below score 0.3; --score 0 shows all" in default
    assert all("cat, score 0.100" in text and "left out" not in text for text in (every, labels))


def test_settings_of_inference_are_taken_as_json_and_wrong_ones_named():
    trained = {"min_size": 96, "max_size": 128}
    found = inference_settings(trained, 192, 0.4, {"crf_iterations": 5, "min_score": 0.1})
    assert (found.crf_iterations, found.min_score, found.min_size, found.max_size) == (5, 0.4, 192, 256)
    with pytest.raises(InputError, match="no key 'crf_iteration'.*nearest is 'crf_iterations'"):
        inference_settings(trained, None, 0.3, {"crf_iteration": 5})
    for text in ("crf", "[1]", "{"):
        with pytest.raises(InputError, match="is not a JSON object"):
            read_advice(Path("model.pt"), text)
