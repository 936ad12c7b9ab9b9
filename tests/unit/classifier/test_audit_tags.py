"""The tag audit lists what the classifier answers otherwise than the tags, the surest first, and how well it does."""

import csv
import json
from itertools import combinations

import cv2
import numpy as np
import pytest
from artifacts import write_images
from calls import call
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_settings import CLASSIFIER

from wsis_steps.classifier.audit_tags import disagreements, precision_html, render, score
from wsis_steps.classifier.tag_precision import chance_precision, tag_precision
from wsis_steps.engine.verdicts import read_counts
from wsis_steps.vision.contracts.images import Images

shapes = st.shared(st.tuples(st.integers(1, 6), st.integers(1, 4)))


@given(arrays(bool, shapes), arrays(np.float32, shapes, elements=st.floats(0, 1, width=32)))
@settings(max_examples=50, deadline=None)
def test_disagreements_are_those_of_a_search_one_by_one(tags, probabilities):
    expected = []
    for i in range(len(tags)):
        for category in range(tags.shape[1]):
            doubt = 1 - probabilities[i, category] if tags[i, category] else probabilities[i, category]
            if doubt > 0.5:
                expected.append((-doubt, i, category))
    assert disagreements(tags, probabilities).tolist() == [list(row[1:]) for row in sorted(expected)]


def test_the_page_says_what_is_missing_and_what_is_too_much(tmp_path):
    images = Images(write_images(tmp_path / "images.h5", class_names=("<cat>", "dog")))
    probabilities = np.where(images.tags, 0.9, 0.1)
    probabilities[0] = 0.2, 0.97  # image 0 is tagged <cat>
    rows = disagreements(images.tags, probabilities)
    text = render(images, rows, probabilities, 1, "")
    # one box of the caption, which lays its parts out side by side
    assert "<figcaption><span>not tagged <b>dog</b>, but the classifier gives it 97 %</span></figcaption>" in text
    assert "&lt;cat&gt;" in text
    assert text.count("<img") == 1 and "the 1 most confident are below" in text
    assert "tagged <b>&lt;cat&gt;</b>, but the classifier gives it only 20 %" in render(
        images, rows, probabilities, 2, ""
    )


def test_images_have_the_names_of_tags_csv(tmp_path):
    """In folders, with suffixes; their ids have neither."""
    folder, names = tmp_path / "pictures", ("site a/0001.png", "site a/0002.png", "site_b/0001.png")
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((40, 40, 3), 60 * k, np.uint8))
    rows = "".join(f"{name},{tag},train\n" for name, tag in zip(names, ("cat", "dog", "cat"), strict=True))
    (folder / "tags.csv").write_text(f"image,tags,split\n{rows}")
    outputs = {name: tmp_path / f"{name}.h5" for name in ("images", "instances_train", "instances_val")}
    settings = {"format": "folder", "root": str(folder), "val_share": 0}
    done = call("data.import_dataset", settings, source=folder / "tags.csv", **outputs, summary=tmp_path / "summary")
    assert done.status == 0, done.errors
    images = Images(outputs["images"])
    assert images.names.tolist() == list(names) and images.ids[0] == "site a_0001"
    text = render(images, np.array([[2, 0]]), np.full((3, 2), 0.1), 1, "")
    assert '<p class="note">site_b/0001.png (train)' in text


def precision_one_by_one(tags, probabilities):
    """The area under the curve of the best precision at any recall at least so high, image by image."""
    order = sorted(range(len(tags)), key=lambda i: -probabilities[i])
    found, curve = 0, []
    for rank, i in enumerate(order, start=1):
        found += tags[i]
        curve.append((found / sum(tags), found / rank))
    area, before = 0.0, 0.0
    for recall in sorted({recall for recall, _ in curve}):
        area += (recall - before) * max(value for reached, value in curve if reached >= recall)
        before = recall
    return area


@given(arrays(bool, shapes), arrays(np.float32, shapes, elements=st.floats(0, 1, width=32)))
@settings(max_examples=50, deadline=None)
def test_the_precision_of_a_class_is_that_of_its_curve(tags, probabilities):
    found = tag_precision(tags, probabilities)
    for category in range(tags.shape[1]):
        if tags[:, category].any():
            expected = precision_one_by_one(tags[:, category].tolist(), probabilities[:, category].tolist())
            assert found[category] == pytest.approx(expected)
        else:
            assert np.isnan(found[category])


@pytest.mark.parametrize(("images", "tagged"), [(12, 5), (12, 1), (7, 3), (6, 5)])
def test_chance_is_that_of_all_orders(images, tagged):
    places = combinations(range(images), tagged)
    found = [precision_one_by_one([k in own for k in range(images)], -np.arange(images)) for own in places]
    tags = np.zeros((images, 4), bool)
    tags[:tagged, :2], tags[:, 3] = True, True
    tags[:, 1] = tags[::-1, 1]  # wherever they are
    mean, limit = chance_precision(tags)
    assert mean[0] == mean[1] == pytest.approx(np.mean(found), abs=4 * np.std(found) / 20)  # 400 orders
    below, within = (np.mean(np.array(found) < limit[0] + margin) for margin in (-1e-9, 1e-9))  # there are ties
    assert below <= 0.97 and within >= 0.93 and limit[0] == limit[1]
    assert np.isnan([mean[2:], limit[2:]]).all()  # no image has the tag, or all have it


def test_of_few_images_chance_is_far_above_the_share_that_is_tagged():
    tags = np.arange(12)[:, None] < 5
    assert chance_precision(tags)[0][0] > 5 / 12 + 0.15


def test_a_table_has_the_precision_beside_chance():
    tags = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1]], bool)
    scores = score(("<cat>", "dog", "owl"), tags, np.linspace(1, 0, 12).reshape(4, 3))
    assert scores["images"] == 4 and scores["tagged"] == {"<cat>": 2, "dog": 0, "owl": 4}
    assert scores["average_precision"] == {"<cat>": pytest.approx(5 / 6), "dog": None, "owl": 1.0}
    assert scores["chance"]["dog"] is scores["chance"]["owl"] is scores["chance_limit"]["owl"] is None
    text = precision_html(scores)
    chance = f"{100 * scores['chance']['<cat>']:.1f}"
    cells = ('<td class="number">2</td><td class="number">83.3</td>', f'<td class="number">{chance}</td>')
    assert f"<td>&lt;cat&gt;</td>{''.join(cells)}" in text
    assert "on 4 evaluation images" in text and text.count('<td class="number">-</td>') == 5


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of images and of a classifier that was trained on crops of 24 pixels."""
    folder = tmp_path_factory.mktemp("trained")
    outputs = {"model": folder / "model.pt", "metrics": folder / "metrics"}
    images = write_images(folder / "images.h5", train=6, val=5)
    assert call("classifier.train", {**CLASSIFIER, "crop": 24}, images=images, **outputs).status == 0
    return folder


def audit(trained, folder, **settings):
    outputs = {name: folder / f"audit.{end}" for name, end in (("table", "csv"), ("page", "html"), ("scores", "json"))}
    done = call("classifier.audit_tags", settings, images=trained / "images.h5", model=trained / "model.pt", **outputs)
    assert done.status == 0, done.errors
    return done, outputs


def test_pictures_are_seen_at_the_size_of_the_training(trained, tmp_path):
    tables = [audit(trained, tmp_path, **more)[1]["table"].read_text() for more in ({}, {"size": 24}, {"size": 64})]
    assert tables[0] == tables[1] != tables[2] and tables[0].count("\n") > 1


def test_the_step_writes_the_precision_on_evaluation_images_alone(trained, tmp_path):
    done, outputs = audit(trained, tmp_path)
    document = json.loads(outputs["scores"].read_text())
    assert document["images"] == 5 and document["tagged"] == {"cat": 3, "dog": 2}
    for name in ("average_precision", "chance", "chance_limit"):
        assert set(document[name]) == {"cat", "dog"}
    made, counts = read_counts(outputs["scores"])
    assert [step for step, _ in made] == ["classifier_audit_tags", "classifier_train"] and made[1][1]["epochs"] == 4
    assert counts["average_precision"] == document["average_precision"]
    assert "how well the classifier recognizes each class on 5 evaluation images" in outputs["page"].read_text()
    assert any("average precision on 5 evaluation images: cat 0." in line or "cat 1." in line for line in done.log)


def test_the_table_holds_no_formula(tmp_path):
    outputs = {"model": tmp_path / "model.pt", "metrics": tmp_path / "metrics"}
    images = write_images(tmp_path / "images.h5", train=6, val=5, class_names=("=1+1", "@dog"), prefix="-image")
    assert call("classifier.train", {**CLASSIFIER, "crop": 24}, images=images, **outputs).status == 0
    with audit(tmp_path, tmp_path)[1]["table"].open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert rows and {row[2] for row in rows} <= {"'=1+1", "'@dog"} and all(row[0].startswith("'-image") for row in rows)
