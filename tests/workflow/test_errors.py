"""Whatever a user can get wrong ends a step with status 2 and one sentence, and leaves nothing half done.

Every case runs a step's command line in this process. It names the words that the sentence must hold.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from artifacts import SIZE, write_images, write_labels, write_semantic
from calls import call, files
from full_disk import disk_of
from mistakes import (
    blank_picture,
    call_with,
    check,
    cut,
    extract_features,
    flip_bytes,
    import_tree,
    infer_classifier,
    label,
    larger,
    listed,
    no_tag,
    other_classes,
    saved,
    score,
    summarise,
    train_bestie,
    train_classifier,
    train_maskrcnn,
    version_99,
)
from tiny_settings import CLASSIFIER
from tiny_workflow import ROOT

from wsis_steps.vision.backbones import build_backbone

TRAINING = {
    "no image has a tag": (lambda p: train_classifier(p, no_tag(p)), "no training image has a tag"),
    "no image to train on": (
        lambda p: train_classifier(p, write_images(p.tmp / "images.h5", train=0)),
        "images.h5: no training image",
    ),
    "no image to make features of": (
        lambda p: extract_features(p, write_images(p.tmp / "images.h5", train=0)),
        "images.h5: no training image",
    ),
    "no instance to learn from": (
        lambda p: train_bestie(p, {"labels": write_labels(p.tmp / "labels.h5", empty=True)}),
        "labels.h5 holds no instance",
    ),
    "no instance for Mask R-CNN": (
        lambda p: train_maskrcnn(p, {"labels": write_labels(p.tmp / "labels.h5", empty=True)}),
        "labels.h5 holds no instance",
    ),
    "no true masks for the supervised run": (
        lambda p: train_maskrcnn(p, {"labels": write_labels(p.tmp / "labels.h5", count=0)}),
        "labels.h5 holds no instance",
    ),
    "a diverging classifier": (
        lambda p: train_classifier(p, learning_rate=1e30),
        "not finite",
        "total",
        "learning rate",
    ),
    "a diverging BESTIE": (lambda p: train_bestie(p, learning_rate=1e30), "not finite", "center", "learning rate"),
    "a diverging Mask R-CNN": (
        lambda p: train_maskrcnn(p, learning_rate=1e30),
        "not finite",
        "loss_mask",
        "learning rate",
    ),
    "weights that are missing": (lambda p: train_classifier(p, weights="imagnet"), "weights 'imagnet'", "'imagenet'"),
    "weights of ImageNet that are missing": (
        lambda p: train_classifier(p, weights="imagenet", backbone="mobilenet_v2"),
        "no ImageNet weights for mobilenet_v2: download",
        "mobilenet_v2_imagenet.pth",
    ),
    "weights of another network": (
        lambda p: train_classifier(p, weights=saved(p, build_backbone("mobilenet_v2").state_dict(), "other.pth")),
        "other.pth does not fit backbone small",
    ),
    "weights that are cut": (
        lambda p: train_bestie(p, {"pretrained": cut(p.made.classifier, p.tmp / "cut.pt")}),
        "cut.pt cannot be read as a file of weights",
    ),
    "weights that have seen masks": (
        lambda p: train_maskrcnn(p, weights=saved(p, {"roi_heads.mask_head.0.weight": torch.zeros(1)}, "own.pth")),
        "own.pth' have seen masks",
    ),
    "weights of COCO": (
        lambda p: train_maskrcnn(p, weights="maskrcnn_resnet50_fpn_coco.pth"),
        "have seen masks ('coco')",
    ),
    "a crop that is none": (lambda p: train_classifier(p, crop=0), "'crop' is 0 but should be greater than"),
    "a backbone that there is not": (lambda p: train_bestie(p, backbone="vgg61"), "no backbone 'vgg61'", "'vgg16'"),
    "a backbone of timm that there is not": (
        lambda p: train_bestie(p, backbone="timm/resnet19"),
        "no backbone 'timm/resnet19'",
        "'timm/resnet18'",
    ),
    "a damaged picture inside images.h5": (
        lambda p: train_classifier(p, blank_picture(p)),
        "image 'image0' is damaged; import the data again",
    ),
}

BELONGING = {
    "an input that is missing": (lambda p: infer_classifier(p, images=p.tmp / "no.h5"), "no.h5 does not exist"),
    "an artifact that is cut": (
        lambda p: infer_classifier(p, images=cut(p.made.images, p.tmp / "cut.h5")),
        "cut.h5 is truncated or not an HDF5 file",
    ),
    "an artifact that is damaged inside": (
        lambda p: call(
            "classifier.find_peaks", maps=flip_bytes(p.made.maps, p.tmp / "bad.h5"), peaks=p.out / "peaks.h5"
        ),
        "bad.h5 is damaged: 'maps' in it",
    ),
    "an artifact of another version": (
        lambda p: infer_classifier(p, images=version_99(p.made.images, p.tmp / "old.h5")),
        "old.h5 has schema version 99",
    ),
    "an artifact of another kind": (
        lambda p: infer_classifier(p, images=p.made.labels),
        "labels.h5 holds 'instances', but 'images' is needed",
    ),
    "an artifact in place of a model": (
        lambda p: infer_classifier(p, model=p.made.images),
        "images.h5 cannot be read as a file of weights",
    ),
    "a model of another step": (
        lambda p: call(
            "bestie.infer", images=p.made.images, model=p.made.classifier, labels=p.out / "l", predictions=p.out / "p"
        ),
        "classifier.pt was trained by classifier_train, but a model trained by bestie_train is needed",
    ),
    "weights in place of a model": (
        lambda p: infer_classifier(p, model=saved(p, {"weight": torch.zeros(1)}, "plain.pt")),
        "plain.pt holds weights, but not of a model",
    ),
    "a model of other classes": (
        lambda p: infer_classifier(p, images=other_classes(p)),
        "classifier.pt has the classes cat, dog, but",
        "images.h5 has dog, cat",
    ),
    "labels of other classes": (
        lambda p: train_bestie(p, {"labels": write_labels(p.tmp / "labels.h5", class_names=("a", "b"))}),
        "labels.h5 has the classes a, b, but",
    ),
    "labels of other images": (
        lambda p: train_maskrcnn(p, {"labels": write_labels(p.tmp / "labels.h5", prefix="photo")}),
        "labels.h5 holds image 'photo0', which",
    ),
    "maps of other images": (
        lambda p: train_bestie(p, {"semantic": write_semantic(p.tmp / "semantic.h5", count=3)}),
        "holds image 'image3', which",
        "semantic.h5 does not",
    ),
    "maps of pictures of another size": (
        lambda p: label(p, semantic=larger(p)),
        f"semantic.h5 holds image 'image0' as {SIZE + 1}x{SIZE} pixels",
    ),
    "points that are not there": (
        lambda p: label(p, "points", images=write_images(p.tmp / "images.h5", pointed=False), peaks=None),
        "images.h5 has no points, which supervision: points needs",
    ),
    "no cues": (lambda p: label(p, peaks=None), "bestie_label needs --peaks"),
    "predictions of other images": (
        lambda p: score(p, p.made.labels, write_labels(p.tmp / "predictions.h5", first=1)),
        "predictions.h5 and",
        "hold different images",
    ),
    "figures that are cut": (
        lambda p: (p.tmp / "figures.json").write_text('{"metrics"') and summarise(p, p.tmp / "figures.json"),
        "figures.json holds no figures",
    ),
    "a list of results of another shape": (
        lambda p: call(
            "evaluation.summarise",
            figures=[p.made.images],
            listing=listed(p, {"rows": []}),
            **{name: p.out / name for name in ("table", "text", "verdicts")},
        ),
        "listing.json holds no list of results; delete it",
    ),
    "a configuration that is none": (
        lambda p: call("evaluation.list_results", configuration='{"dataset"', listing=p.out / "listing.json"),
        "the configuration is not valid JSON",
    ),
    "figures that are missing": (lambda p: summarise(p, p.tmp / "no.json"), "no.json does not exist"),
    "a drawn tree that is not said": (
        lambda p: call(
            "data.import_dataset", **{n: p.out / n for n in ("images", "instances_train", "instances_val", "summary")}
        ),
        "--source is missing",
    ),
}

CALLING = {
    "settings that are no JSON": (lambda p: call_with(p, "{'size': 3}"), "--settings is not JSON"),
    "an unknown setting": (lambda p: call_with(p, '{"sise": 3}'), "there is no key 'sise', the nearest is 'size'"),
    "a setting of the wrong type": (lambda p: call_with(p, '{"size": "big"}'), "'size' is 'big' but should be"),
    "no threads": (lambda p: call_with(p, "{}", threads=0), "--threads is 0"),
    "an output below a file": (
        lambda p: call_with(p, "{}", maps=p.made.images / "maps.h5"),
        "images.h5",
        "cannot be used",
    ),
    "a work folder below a file": (
        lambda p: call(
            "classifier.train",
            CLASSIFIER,
            images=p.made.images,
            model=p.out / "m.pt",
            metrics=p.out / "j",
            work=p.made.images / "work",
        ),
        "images.h5 cannot be used",
    ),
}


CASES = {**TRAINING, **BELONGING, **CALLING}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_one_sentence(place, case, capfd, monkeypatch):
    monkeypatch.setenv("WSIS_WEIGHTS", str(place.tmp))  # where there are none
    do, *words = CASES[case]
    outcome = do(place)
    check(place, outcome, tuple(words), capfd.readouterr().err)


def test_valid_inputs_do_pass(place):
    """Else the cases above could fail for another reason."""
    done = [
        train_classifier(place),
        infer_classifier(place),
        label(place),
        label(place, "points", peaks=None),
        train_bestie(place),
        train_bestie(place, {"pretrained": place.made.classifier}, weights="classifier"),
        train_maskrcnn(place),
        score(place, place.made.labels, place.made.labels),
        call_with(place, "{}"),
        summarise(place, place.out / "figures"),
    ]
    assert [outcome.status for outcome in done] == [0] * len(done), [outcome.errors for outcome in done]
    assert any("6 images, 0 of them without a label; components: 6 accepted" in line for line in done[3].log)


FULL = {
    "HDF5": (20_000, lambda p: import_tree(p)),
    "HDF5 that is written bit by bit": (3_000, lambda p: infer_classifier(p)),
    "features": (5_000, lambda p: extract_features(p)),
    "pictures": (1_000, lambda p: call("data.draw_shapes", {"image_size": 64, "train": 2, "val": 1}, tree=p.out / "t")),
    "the last bytes of pictures": (
        2_500,  # more than their masks have
        lambda p: call("data.draw_shapes", {"image_size": 64, "train": 2, "val": 1}, tree=p.out / "t"),
    ),
    "text": (700, lambda p: score(p, p.made.labels, p.made.labels)),
    "a model": (200_000, lambda p: train_classifier(p)),
    "a checkpoint": (300_000, lambda p: train_bestie(p)),
}


@pytest.mark.parametrize("case", FULL)
def test_a_full_disk_is_one_sentence(place, case, capfd):
    size, do = FULL[case]
    with disk_of(size):
        outcome = do(place)
    check(place, outcome, ("The disk is full: ",), capfd.readouterr().err)


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's right to write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_written_is_one_sentence(place, capfd):
    folder = Path(tempfile.mkdtemp())  # tmp_path lies in a folder that nobody may enter
    folder.chmod(0o555)
    try:
        with nobody():
            outcome = call("data.draw_shapes", {"train": 1, "val": 1}, tree=folder / "tree")
    finally:
        folder.chmod(0o755)
    left = list(folder.iterdir())
    folder.rmdir()
    assert left == []
    check(place, outcome, ("No permission", str(folder)), capfd.readouterr().err)


def snakemake(folder: Path, text: str, *options: str) -> tuple[int, str]:
    (folder / "own.yaml").write_text(text)
    command = [
        "snakemake",
        "--cores",
        "1",
        "--directory",
        folder / "run",
        "--configfile",
        folder / "own.yaml",
        *options,
    ]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def test_a_wrong_configuration_is_one_sentence(tmp_path):
    text = "dataset: tiny\nruns:\n  a: {system: bestei, rounds: -1}\n"
    status, said = snakemake(tmp_path, text, "--dry-run")
    assert status != 0 and "Traceback" not in said
    (line,) = [line for line in said.splitlines() if "bestei" in line]
    assert "'runs.a.system': there is no system 'bestei', the nearest is 'bestie'" in line
    assert "'runs.a.rounds' is -1 but" in line


def test_a_step_that_fails_says_why_through_snakemake(tmp_path):
    text = "dataset: tiny\nruns:\n  a: {system: bestie}\nsteps:\n  data_import_dataset: {format: voc, root: nowhere}\n"
    status, said = snakemake(tmp_path, text)
    assert status != 0 and "Traceback" not in said
    log = (tmp_path / "run/logs/tiny/shared/data_import_dataset.log").read_text().splitlines()
    assert "PASCAL VOC 2012 is not in nowhere: download" in log[-1] and log[-1] in said
    # results.json needs no data: it is there where its job began before the other failed
    assert {path.name for path in files(tmp_path / "run/results")} <= {"results.json"}
