"""LVIS's 1,203 classes go through import, scores, exports and report; what label maps cannot hold is refused."""

import json

import numpy as np
import pytest
from artifacts import SIZE, nothing, picture, provenance, square_mask
from calls import call
from PIL import Image
from test_wsis_command import call as wsis

from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.masks import describe, encode, true_labels

COUNT = 1203
USED = (0, 253, 254, 255, 256, 511, 1201, 1202)  # classes that pictures have; the others have none, as some of LVIS
SPLITS = {"train": (0, 1, 2, 3, 4, 5), "val": (6, 7, 0, 3)}  # places in USED


def identity(k):
    """Ids with gaps, as lists have of which classes were taken out."""
    return 3 * k + 1 + (k > 600) * 1000


def name(k):
    return f"thing {k} of {k % 7}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What is imported of a data set in LVIS's layout."""
    root = tmp_path_factory.mktemp("lvis")
    (root / "data/annotations").mkdir(parents=True)
    categories = [
        {"id": identity(k), "name": name(k), "synset": f"thing.n.{k:02}", "frequency": "rcf"[k % 3], "def": "a thing",
         "synonyms": [name(k)], "image_count": 0, "instance_count": 0}
        for k in reversed(range(COUNT))
    ]  # fmt: skip
    for split, places in SPLITS.items():
        (root / f"data/{split}2017").mkdir()
        images, rows = [], []
        for k, place in enumerate(places):
            Image.fromarray(picture(k)).save(root / f"data/{split}2017/{k:012}.jpg")
            about = {
                "neg_category_ids": [],
                "not_exhaustive_category_ids": [],
                "coco_url": f"http://x/{split}2017/{k:012}.jpg",
            }
            images.append({"id": k, "height": SIZE, "width": SIZE, "file_name": f"{k:012}.jpg", **about})
            ys, xs = np.nonzero(square_mask(k))
            x1, y1, x2, y2 = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
            ring = [int(v) for v in (x1, y1, x2, y1, x2, y2, x1, y2)]
            rows.append({"id": k, "image_id": k, "category_id": identity(USED[place]), "segmentation": [ring],
                         "area": float((x2 - x1) * (y2 - y1)),
                         "bbox": [int(v) for v in (x1, y1, x2 - x1, y2 - y1)]})  # fmt: skip
        content = {"info": {}, "licenses": [], "images": images, "annotations": rows, "categories": categories}
        (root / f"data/annotations/instances_{split}2017.json").write_text(json.dumps(content))
    outputs = {name: root / f"{name}.h5" for name in ("images", "instances_train", "instances_val")}
    done = call(
        "data.import_dataset", {"format": "coco", "root": str(root / "data")}, **outputs, summary=root / "summary.json"
    )
    assert done.status == 0, done.errors
    assert any("There are 1203 classes, but label maps are bytes and hold at most 254" in line for line in done.log)
    assert max(map(len, done.log)) < 5000  # no line lists all classes
    truth = Instances(root / "instances_val.h5")
    found = []
    for k, true in enumerate(truth):  # of the first image nothing, of the second a wrong class beside the right one
        rles, sure = (true.rles * 2, [0.9, 0.4]) if k == 1 else (true.rles, [0.8])
        categories = np.concatenate([true.categories, [255]])[: len(rles)]
        found.append(describe(rles, categories, np.array(sure)) if k else nothing())
    table = truth.ids, truth.heights, truth.widths
    write_instances(root / "predictions.h5", provenance(truth.class_names), *table, found)
    return root


def test_categories_keep_their_names_and_order(made):
    images, train = Images(made / "images.h5"), Instances(made / "instances_train.h5")
    assert images.class_names == train.class_names == tuple(map(name, range(COUNT)))
    assert [found.categories.tolist() for found in train] == [[USED[place]] for place in SPLITS["train"]]
    val = images.members("val")
    assert [images.tags[i].nonzero()[0].tolist() for i in val] == [[USED[place]] for place in SPLITS["val"]]
    counts = json.loads((made / "summary.json").read_text())["train"]["images_per_tag"]
    assert len(counts) == COUNT and {k for k in range(COUNT) if counts[name(k)]} == {USED[p] for p in SPLITS["train"]}


def test_scores_are_those_of_the_classes_that_have_truth(made):
    """The first image is missed; all others are found. A class has one true mask: 1 where found, 0 where missed."""
    figures = made / "scores.json"
    done = call(
        "evaluation.score_instances",
        {},
        truth=made / "instances_val.h5",
        predictions=made / "predictions.h5",
        figures=figures,
    )
    assert done.status == 0, done.errors
    found = json.loads(figures.read_text())
    own = {name(USED[place]): float(k > 0) for k, place in enumerate(SPLITS["val"])}
    for metric in ("mask_ap50", "box_ap50", "abo", "coco_ap50"):
        known = {key: value for key, value in found["per_class"][metric].items() if value is not None}
        assert {key: known[key] for key in own} == pytest.approx(own, abs=1e-6)
        assert found["metrics"][metric] == pytest.approx(3 / 4, abs=1e-6)


@pytest.mark.parametrize("form", ["coco", "yolo", "label_studio", "cvat"])
def test_exports_name_every_class(made, form, tmp_path):
    assert (
        wsis("export", made / "predictions.h5", "--images", made / "images.h5", "--format", form, "--out", tmp_path)
        == 0
    )
    text = "".join(path.read_text() for path in tmp_path.rglob("*") if path.suffix in (".json", ".xml", ".yaml"))
    assert all(f"{name(k)}" in text for k in range(COUNT))
    if form == "coco":
        rows = json.loads((tmp_path / "annotations/instances_val.json").read_text())["annotations"]
        assert [row["category_id"] - 1 for row in rows] == [1202, 255, 0, 255]
    if form == "yolo":
        labels = [path.read_text().split()[:1] for path in sorted(tmp_path.glob("labels/val/*.txt"))]
        assert labels == [[], ["1202"], ["0"], ["255"]]


def test_what_bytes_cannot_hold_is_refused_in_a_sentence(made, tmp_path, capsys):
    words = (
        "export",
        made / "predictions.h5",
        "--images",
        made / "images.h5",
        "--format",
        "voc",
        "--out",
        tmp_path / "voc",
    )
    assert wsis(*words) == 2 and "VOC's PNGs hold 254 classes, these labels have 1203" in capsys.readouterr().err
    with create(tmp_path / "maps.h5", Maps.schema, provenance(list(map(name, range(COUNT))))) as file:
        writer = MapsWriter(file, (8, 8), np.float16)
        for k in USED:
            writer.add(f"{k}", SIZE, SIZE, np.full((2, 8, 8), 0.5), (k, 1100))
        writer.close()
    maps = Maps(tmp_path / "maps.h5")
    assert [maps.read(i)[1].tolist() for i in range(len(USED))] == [[k, 1100] for k in USED]
    (tmp_path / "folder").mkdir()
    said = "has 1203 classes, but label maps are bytes and hold at most 254; use a run without semantic maps."
    for step, settings, inputs, outputs in (
        (
            "postprocess.refine_with_crf",
            {},
            {"images": made / "images.h5", "maps": tmp_path / "maps.h5"},
            ("semantic",),
        ),
        ("data.import_semantic", {"folder": str(tmp_path / "folder")}, {"images": made / "images.h5"}, ("semantic",)),
        ("learning_to_segment.train", {}, {"images": made / "images.h5"}, ("model", "metrics")),
    ):
        done = call(step, settings, **inputs, **{one: tmp_path / f"out/{one}" for one in outputs})
        assert done.status == 2 and done.errors[-1].endswith(said) and not done.traceback, done.errors
        assert not list((tmp_path / "out").glob("*"))
    truth = Instances(made / "instances_val.h5")
    for i, place in enumerate(SPLITS["val"]):
        if USED[place] < 254:
            assert set(np.unique(true_labels(truth.read(i), SIZE, SIZE))) == {0, USED[place] + 1}
    mask = encode(square_mask(0)[None])
    assert true_labels(describe(mask, np.array([253])), SIZE, SIZE).max() == 254
    for category in (254, 255, 1202):  # which would be unsure, background and another class
        with pytest.raises(Exception, match=f"The ground truth has {category + 1} classes, but label maps are bytes"):
            true_labels(describe(mask, np.array([category])), SIZE, SIZE)


def test_show_tells_of_them(made, capsys):
    assert wsis("show", made / "predictions.h5") == 0
    assert f"{name(1202)} 1" in capsys.readouterr().out
