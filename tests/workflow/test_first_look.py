"""What a workflow says of its own results: in the logs, on the page of the first look, in its last lines."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from artifacts import SIZE, write_images, write_semantic
from calls import call
from tiny_settings import BESTIE
from tiny_workflow import CONFIGURATION, Tiny

from wsis_steps.engine.provenance import Provenance
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.points import write_points

COUNT = 6


def label(folder: Path, crowded: int) -> list[str]:
    """The log of labels from squares, in so many of which two cues lie."""
    write_images(folder / "images.h5", train=COUNT)
    write_semantic(folder / "semantic.h5", COUNT)
    cues = []
    for k in range(COUNT):
        x, y = 8 + 2 * (k % 7), 9 + k % 5  # in the square of image k
        cues.append(np.array([[x, y, k % 2, 1], [x + 2, y, k % 2, 0.9]][: 1 + (k < crowded)], np.float32))
    made = Provenance("classifier_find_peaks", '{"min_value":0.3}', "", "", {}, ("cat", "dog"), ("tags",))
    ids, sizes = [f"image{k}" for k in range(COUNT)], [SIZE] * COUNT
    write_points(folder / "peaks.h5", made, ids, sizes, sizes, cues)
    inputs = {name: folder / f"{name}.h5" for name in ("images", "semantic", "peaks")}
    outputs = {"labels": folder / "labels.h5", "counts": folder / "counts.json"}
    done = call("bestie.label", {"min_area": 5}, **inputs, **outputs)
    assert done.status == 0, done.errors
    return done.log


@pytest.mark.parametrize(
    ("crowded", "verdict", "status"), [(4, "stop", 2), (4, "warn", 0), (3, "stop", 0), (1, "stop", 0)]
)
def test_a_training_refuses_labels_that_most_pictures_lack(tmp_path, crowded, verdict, status):
    log = label(tmp_path, crowded)
    said = [line for line in log if line.startswith("doubtful: ")]
    assert any("have no label" in line for line in said) == (crowded > COUNT / 4)
    counts = Instances(tmp_path / "labels.h5").counts
    assert (counts["expected"], counts["without"], counts["crowded"]) == (COUNT, crowded, crowded)
    inputs = {name: tmp_path / f"{name}.h5" for name in ("images", "semantic", "labels")}
    outputs = {"model": tmp_path / "model.pt", "metrics": tmp_path / "metrics"}
    done = call("bestie.train", BESTIE, **inputs, **outputs, verdict=verdict)
    assert (done.status, done.traceback) == (status, False), done.errors
    assert (tmp_path / "labels.h5").exists() and (tmp_path / "model.pt").exists() == (status == 0)
    if status:
        (sentence,) = done.errors
        assert "4 of 6 tagged images (67 %) have no label; in 4 of them a component of the semantic map" in sentence
        assert "Try classifier_find_peaks: {min_value: 0.45} (now 0.3), or set verdict: warn to train" in sentence


def test_labels_are_missed_where_there_is_a_point(tmp_path):
    write_images(tmp_path / "images.h5", train=COUNT, untagged=(0,), unpointed=(1, 2))
    write_semantic(tmp_path / "semantic.h5", COUNT)
    inputs = {name: tmp_path / f"{name}.h5" for name in ("images", "semantic")}
    outputs = {"labels": tmp_path / "labels.h5", "counts": tmp_path / "counts.json"}
    done = call("bestie.label", {"min_area": 5, "supervision": "points"}, **inputs, **outputs)
    assert done.status == 0, done.errors
    assert Instances(tmp_path / "labels.h5").counts["expected"] == COUNT - 3


@pytest.fixture(scope="module")
def own(tiny) -> tuple[Tiny, Path]:
    """The pictures of the tiny data set as a folder of one's own, and a configuration in which no component counts."""
    folder = tiny.folder / "own_pictures"
    folder.mkdir()
    images, rows = Images(tiny.results / "shared/data/images.h5"), ["image,tags,split"]
    for path in sorted((tiny.results / "shared/source/JPEGImages").iterdir()):
        i = images.index[path.stem]
        tags = " ".join(images.class_names[k] for k in np.flatnonzero(images.tags[i]))
        rows.append(f"{path.name},{tags},{images.splits[i]}")
        shutil.copy(path, folder)
    (folder / "tags.csv").write_text("\n".join(rows) + "\n")
    values = yaml.safe_load(CONFIGURATION.read_text())
    values |= {"dataset": "own", "verdict": "stop", "runs": {"bestie": {"system": "bestie"}}}
    values["steps"] |= {
        "data_import_dataset": {"format": "folder", "root": str(folder)},
        "bestie_label": {"min_area": 5000},
    }
    configuration = tiny.folder / "own.yaml"
    configuration.write_text(yaml.safe_dump(values, sort_keys=False))
    return tiny, configuration


def test_a_first_look_shows_what_is_wrong_and_a_run_ends_with_it(own):
    tiny, configuration = own
    status, said = tiny.call("--", "first_look", configuration=configuration)
    assert status == 0, said
    results = tiny.run / "results/own"
    page = (results / "first_look.html").read_text()
    assert '<a href="bestie/classifier/tag_audit.html">' in page
    assert (results / "bestie/classifier/tag_audit.html").exists()
    assert "12 of 12 tagged images (100 %) have no label; in 12 of them all components of the semantic map" in page
    assert "<code>bestie_label: {min_area: 2500}</code> (now 5000)" in page
    assert len(list((results / "first_look_images").glob("*.js"))) == 12  # training images, none of evaluation
    card = next((results / "first_look_images").glob("*.js")).read_text()
    _, shown = json.loads(f"[{card.removeprefix('addCard(').removesuffix(');' + chr(10))}]")
    for stage in ("activation maps with cues", "semantic", "labels/round00"):
        assert f"<span>{stage}</span>" in shown
    assert not (results / "bestie/bestie").exists()  # nothing else was trained
    expected = "bestie, labels/round00: 12 of 12 tagged images (100 %) have no label"
    heading, *lines = said[said.index("Doubtful, the worst first:") :].splitlines()
    assert any(expected in line for line in lines) and "Try bestie_label: {min_area: 2500} (now 5000)." in said
    log = (tiny.run / "logs/own/bestie/bestie_label.log").read_text()
    assert "doubtful: 12 of 12 tagged images" in log and log.splitlines()[-1].split(" ")[1] == "wrote"

    status, said = tiny.call("--", "results/own/bestie/bestie/round00/model.pt", configuration=configuration)
    assert status != 0 and "Traceback" not in said
    assert re.search(r"round00\.h5: 12 of 12 .*; nothing is trained on these labels\. Try .*, or set verdict: w", said)
    assert expected in said[said.index("Doubtful, the worst first:") :]
    assert (results / "bestie/labels/round00.h5").exists()  # to be looked at


def test_trainings_on_labels_and_no_others_are_told_what_to_do_where_most_pictures_lack_them(tiny):
    status, said = tiny.call("--dry-run", "--forceall", "--printshellcmds")
    assert status == 0
    commands = re.findall(r"^Shell command: python -m wsis_steps\.([\w.]+) (.*)$", said, flags=re.MULTILINE)
    told = {step for step, command in commands if "--verdict warn" in command}
    assert told == {"bestie.train", "maskrcnn.train"} and len(commands) > 20


def test_tags_of_ones_own_pictures_are_audited_and_those_of_generated_ones_are_not(own):
    tiny, configuration = own
    assert "classifier_audit_tags bestie" not in tiny.planned("--forceall")
    status, said = tiny.call("--dry-run", "--forceall", configuration=configuration)
    assert status == 0 and "classifier_audit_tags" in said
    assert re.search(r"rule evaluation_summarise:\n    input: .*tag_audit\.json", said)
