"""The actions of the cases in `test_errors.py`: calls of steps on valid artifacts, and ways to damage a file."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import cv2
import h5py
import numpy as np
import torch
from artifacts import SIZE, write_images
from calls import Outcome, call, files
from PIL import Image
from tiny_settings import BESTIE, CLASSIFIER, MASKRCNN


@dataclass
class Place:
    """Where a case works: `made` holds valid artifacts (read only), `tree` is a VOC tree that it may damage."""

    made: SimpleNamespace
    tree: Path
    tmp: Path

    @property
    def out(self) -> Path:
        return self.tmp / "out"


def import_tree(place: Place, **settings) -> Outcome:
    outputs = {name: place.out / name for name in ("images", "instances_train", "instances_val", "summary")}
    return call("data.import_dataset", {"format": "shapes", **settings}, source=[place.tree], **outputs)


def train_classifier(place: Place, images=None, **settings) -> Outcome:
    outputs = {"model": place.out / "model.pt", "metrics": place.out / "metrics", "work": place.tmp / "work"}
    return call("classifier.train", {**CLASSIFIER, **settings}, images=images or place.made.images, **outputs)


def extract_features(place: Place, images=None) -> Outcome:
    settings = {"backbone": "small", "weights": "none", "long_sides": [SIZE]}
    return call("classifier.extract", settings, images=images or place.made.images, features=place.out / "features.h5")


def infer_classifier(place: Place, **inputs) -> Outcome:
    paths = {"images": place.made.images, "model": place.made.classifier, **inputs}
    return call("classifier.infer", {"size": SIZE}, **paths, maps=place.out / "maps.h5")


def label(place: Place, supervision="tags", **inputs) -> Outcome:
    paths = {"images": place.made.images, "semantic": place.made.semantic, "peaks": place.made.peaks, **inputs}
    paths = {name: path for name, path in paths.items() if path}
    outputs = {"labels": place.out / "labels.h5", "counts": place.out / "counts"}
    return call("bestie.label", {"supervision": supervision}, **paths, **outputs)


def train_bestie(place: Place, inputs=None, **settings) -> Outcome:
    made = place.made
    paths = {"images": made.images, "semantic": made.semantic, "labels": made.labels, **(inputs or {})}
    outputs = {"model": place.out / "model.pt", "metrics": place.out / "metrics", "work": place.tmp / "work"}
    return call("bestie.train", {**BESTIE, **settings}, **paths, **outputs)


def train_maskrcnn(place: Place, inputs=None, **settings) -> Outcome:
    paths = {"images": place.made.images, "labels": place.made.labels, **(inputs or {})}
    outputs = {"model": place.out / "model.pt", "metrics": place.out / "metrics", "work": place.tmp / "work"}
    return call("maskrcnn.train", {**MASKRCNN, **settings}, **paths, **outputs)


def import_maps(place: Place, folder: Path | None) -> Outcome:
    settings = {"folder": str(folder)} if folder else {}
    return call("data.import_semantic", settings, images=place.made.images, semantic=place.out / "semantic.h5")


def listed(place: Place, document: dict) -> Path:
    """A list of results with this content."""
    path = place.tmp / "listing.json"
    path.write_text(json.dumps(document))
    return path


def summarise(place: Place, figures: Path) -> Outcome:
    document = {
        "dataset": "d",
        "figures": [["a", "bestie", "predictions", str(figures)]],
        "results": [],
        "judged": [],
        "first": [],
        "trainings": [],
        "stages": [],
        "pairs": [],
        "published": [],
        "recommended": [],
    }
    outputs = {name: place.out / name for name in ("table", "text", "verdicts")}
    return call("evaluation.summarise", figures=[place.made.images], listing=listed(place, document), **outputs)


def score(place: Place, truth: Path, predictions: Path) -> Outcome:
    return call("evaluation.score_instances", truth=truth, predictions=predictions, figures=place.out / "figures")


def first(place: Place, folder: str) -> Path:
    """The first file of a folder of the tree, sorted by name."""
    return sorted((place.tree / folder).iterdir())[0]


def edit(path: Path, before: str, after: str) -> Path:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return path


def cut(path: Path, to: Path | None = None, share: float = 0.5) -> Path:
    content = path.read_bytes()
    to = to or path
    to.write_bytes(content[: int(len(content) * share)])
    return to


def resave(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Changes the values of a mask, and writes it as gray, since only values matter."""
    with Image.open(path) as picture:
        values = np.array(picture)
    Image.fromarray(change(values)).save(path)
    return path


def lists(place: Place, split: str) -> Path:
    return place.tree / f"ImageSets/Segmentation/{split}.txt"


def version_99(path: Path, to: Path) -> Path:
    shutil.copy(path, to)
    with h5py.File(to, "a") as file:
        file.attrs["schema_version"] = 99
    return to


def flip_bytes(path: Path, to: Path) -> Path:
    """Damages the compressed maps, so that the file still opens."""
    shutil.copy(path, to)
    with h5py.File(to, "a") as file:
        place, size = (file["maps"].id.get_chunk_info(0).byte_offset, file["maps"].id.get_chunk_info(0).size)
    with to.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * size)
    return to


def folder_of_maps(place: Place, change: Callable[[int, np.ndarray], np.ndarray | None]) -> Path:
    folder = place.tmp / "maps"
    folder.mkdir()
    for k in range(6):
        values = change(k, np.full((SIZE, SIZE), k % 3, np.uint8))
        if values is not None:
            cv2.imwrite(str(folder / f"image{k}.png"), values)
    return folder


def own_folder(place: Place, tags: str, points: str = "") -> Path:
    folder = place.tmp / "own"
    folder.mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.png"), np.zeros((20, 30, 3), np.uint8))
    (folder / "tags.csv").write_text(tags)
    if points:
        (folder / "points.csv").write_text(points)
    return folder


def import_own(place: Place, tags: str, points: str = "", **settings) -> Outcome:
    return import_tree(place, format="folder", root=str(own_folder(place, tags, points)), **settings)


def coco_tree(place: Place, **changes) -> Path:
    """One black image with one box in each split."""
    root = place.tmp / "coco"
    for split in ("train", "val"):
        (root / split).mkdir(parents=True)
        cv2.imwrite(str(root / split / f"{split}.jpg"), np.zeros((20, 30, 3), np.uint8))
        annotation = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 9, 8], "iscrowd": 0}
        annotation["segmentation"] = [[1, 2, 10, 2, 10, 10, 1, 10]]
        content = {
            "images": [{"id": 7, "file_name": f"{split}.jpg", "height": 20, "width": 30}],
            "categories": [{"id": 3, "name": "cat"}],
            "annotations": [{**annotation, **changes}],
        }
        (root / "annotations").mkdir(exist_ok=True)
        (root / f"annotations/instances_{split}.json").write_text(json.dumps(content))
    return root


def saved(place: Place, state: dict, name: str) -> str:
    torch.save(state, place.tmp / name)
    return str(place.tmp / name)


def no_tag(place: Place) -> Path:
    return write_images(place.tmp / "images.h5", tagged=False)


def other_classes(place: Place) -> Path:
    return write_images(place.tmp / "images.h5", class_names=("dog", "cat"))


def larger(place: Place) -> Path:
    """Semantic maps with the same names, but of other images."""
    shutil.copy(place.made.semantic, place.tmp / "semantic.h5")
    with h5py.File(place.tmp / "semantic.h5", "a") as file:
        file["image/width"][:] += 1
    return place.tmp / "semantic.h5"


def call_with(place: Place, settings: str, **more) -> Outcome:
    paths = {"images": place.made.images, "model": place.made.classifier, "maps": place.out / "maps.h5"}
    return call("classifier.infer", settings, **{**paths, **more})


def blank_picture(place: Place) -> Path:
    shutil.copy(place.made.images, place.tmp / "images.h5")
    with h5py.File(place.tmp / "images.h5", "a") as file:
        file["picture/bytes"][:50] = 0
    return place.tmp / "images.h5"


def check(place: Place, outcome: Outcome, words: tuple[str, ...], said: str) -> None:
    """Asserts that the step ended with status 2 and one sentence with these words, also on stderr, and left nothing."""
    assert outcome.status == 2, outcome
    (sentence,) = outcome.errors
    assert not outcome.traceback and "Traceback" not in said
    assert all(word in sentence for word in words), sentence
    assert sum(sentence.splitlines()[0] in line for line in said.splitlines()) == 1
    left = [path for path in (*files(place.out), *files(place.tmp / "work")) if "checkpoint.pt" not in path.name]
    assert left == [], left
    assert not list(place.tmp.rglob("*partial*"))
