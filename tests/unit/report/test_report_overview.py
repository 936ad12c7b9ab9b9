"""The first screen of the report and the section on scores."""

import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from wsis_steps.evaluation.summary_table import COLUMNS
from wsis_steps.evaluation.text_table import supervision_in_words
from wsis_steps.report.gallery import Column, Subject
from wsis_steps.report.overview import main_figures, overview_html, strip_html, verdicts_by_run
from wsis_steps.report.pictures import Overlay
from wsis_steps.report.score_choice import scores_html

ROWS = [
    ("a_seed0", "bestie", "tags", "labels/round01", "train", "mask_ap50", 0.9),
    ("a_seed0", "bestie", "tags", "predictions", "val", "mask_ap50", 0.3),
    ("a_seed0", "bestie", "tags", "predictions", "val", "coco_ap50", 0.8),
    ("a_seed1", "bestie", "tags", "predictions", "val", "mask_ap50", 0.5),
    ("mcg", "bestie", "tags", "predictions_mcg", "val", "mask_ap50", 0.2),
    ("mcg", "bestie", "tags", "proposals/mcg", "val", "mask_ap50", 0.7),
    ("labels", "bestie", "tags", "labels/round00", "train", "mask_ap50", 0.4),
    ("maps", "semantic", "tags", "semantic", "val", "miou", 0.3),
    ("upper_seed0", "supervised", "masks", "predictions", "val", "mask_ap50", 0.7),
    ("upper_seed1", "supervised", "masks", "predictions", "val", "mask_ap50", 0.9),
    ("corrected", "bestie", "masks+tags", "predictions", "val", "mask_ap50", 0.6),
    ("unknown", "bestie", "tags", "predictions", "val", "mask_ap50", float("nan")),
]


class Tables(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.rows, self.cell = [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data):
        if self.cell:
            self.rows[-1][-1] += data


@pytest.fixture
def table():
    return pd.DataFrame(ROWS, columns=COLUMNS)


def test_the_main_figure_of_a_run_and_its_share_of_those_that_saw_masks_alone(table):
    found = main_figures(table).set_index("run")
    assert found["value"].to_dict() == {
        "a_seed0": 0.3, "a_seed1": 0.5, "mcg": 0.2, "labels": 0.4, "maps": 0.3, "upper_seed0": 0.7,
        "upper_seed1": 0.9, "corrected": 0.6,
    }  # fmt: skip
    shares = found["share"].dropna().to_dict()
    assert shares == pytest.approx({"a_seed0": 0.375, "a_seed1": 0.625, "mcg": 0.25, "corrected": 0.75})


def test_a_run_is_told_by_evaluation_images_and_its_main_stage():
    """Rows in the order in which runs make their files, the training images after the others."""
    rows = [
        ("maps", "learning_to_segment", "tags", "semantic", "val", "miou", 0.3),
        ("maps", "learning_to_segment", "tags", "semantic", "train", "miou", 0.5),
        ("bound", "learning_to_segment", "masks", "semantic", "val", "miou", 0.6),
        ("community", "community_learning", "tags", "labels/round00", "train", "mask_ap50", 0.1),
        ("community", "community_learning", "tags", "predictions", "val", "mask_ap50", 0.2),
        ("community", "community_learning", "tags", "predictions_mcg", "val", "mask_ap50", 0.35),
        ("retrained", "community_learning", "tags", "predictions_direct", "val", "mask_ap50", 0.2),
        ("retrained", "community_learning", "tags", "predictions", "val", "mask_ap50", 0.4),
        ("retrained", "community_learning", "tags", "predictions_mcg", "val", "mask_ap50", 0.35),
        ("direct", "bestie", "tags", "predictions_direct", "val", "mask_ap50", 0.25),
        ("direct", "bestie", "tags", "labels/round01", "train", "mask_ap50", 0.7),
    ]
    found = main_figures(pd.DataFrame(rows, columns=COLUMNS)).set_index("run")
    told = {run: (row["stage"], row["split"], row["value"]) for run, row in found.iterrows()}
    assert told == {
        "maps": ("semantic", "val", 0.3),
        "bound": ("semantic", "val", 0.6),
        "community": ("predictions", "val", 0.2),
        "retrained": ("predictions", "val", 0.4),
        "direct": ("predictions_direct", "val", 0.25),
    }
    assert found["share"].dropna().to_dict() == {"maps": 0.5}


def test_the_strip_shows_the_main_stage():
    def column(stage):
        return Column(((0, "a"),), stage, lambda identity, picture: Overlay(""))

    subject = Subject("strip0", "one", np.zeros((8, 8, 3), np.uint8), ())
    for stages, shown in ((("predictions", "predictions_mcg"), "predictions"), (("semantic", "more"), "more")):
        text = strip_html("a", [*map(column, stages)], [subject], ("cat",), 0.3)
        assert f"a: {shown}<" in text and text.count("<figure") == 1


def test_a_line_a_run_joins_seeds_and_says_what_is_doubtful_in_shared_results(table):
    verdicts = [
        {"run": "a_seed0", "file": "cues.h5", "says": "Many <cues>."},
        {"run": "a_seed0", "file": "labels.h5", "says": "Few labels."},
    ]
    results = [("a_seed0", "cues", "cues.h5"), ("mcg", "cues", "cues.h5"), ("a_seed0", "labels/round00", "labels.h5")]
    doubtful = verdicts_by_run(verdicts, results)
    assert doubtful == {"a_seed0": ["Many <cues>.", "Few labels."], "mcg": ["Many <cues>."]}
    runs = ["a_seed0", "a_seed1", "mcg", "labels", "upper_seed0", "upper_seed1", "unknown"]
    text = overview_html(runs, table, {run: ("tags",) for run in runs} | {"upper_seed0": ("masks",)}, doubtful)
    header, *rows = Tables(text).rows
    assert header == ["run", "learned from", "result", "figure", "share", "verdict"]
    assert rows == [
        ["a", "tags", "predictions", "AP50 40.0 ± 14.1", "50 % of the upper bound",
         "doubtful and 1 more: Many <cues>."],
        ["mcg", "tags", "predictions_mcg", "AP50 20.0", "25 % of the upper bound", "doubtful: Many <cues>."],
        ["labels", "tags", "labels/round00, training images", "AP50 40.0", "-", "nothing doubtful"],
        ["upper", "ground-truth masks", "predictions", "AP50 80.0 ± 14.1", "the upper bound", "nothing doubtful"],
        ["unknown", "tags", "-", "-", "-", "nothing doubtful"],
    ]  # fmt: skip


def test_without_figures_a_line_has_none():
    text = overview_html(["a"], pd.DataFrame([], columns=COLUMNS).astype({"value": float}), {"a": ("tags",)}, {})
    assert Tables(text).rows == [["run", "learned from", "verdict"], ["a", "tags", "nothing doubtful"]]
    assert "upper bound" not in text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "nothing"),
        (("masks",), "ground-truth masks"),
        (("boxes", "tags"), "boxes and tags"),
        (("masks_seen: boundaries", "tags"), "tags; edges learned from drawn boundaries"),
        (
            ("masks_seen: boundaries", "masks_seen: segments", "tags"),
            "tags; edges learned from drawn boundaries, proposals ranked by drawn segments",
        ),
        (("masks_seen", "tags"), "tags; parts that have seen masks or drawn boundaries"),
    ],
)
def test_supervision_in_words(given, said):
    assert supervision_in_words(given) == said


def figures_file(path, names, confusion):
    curve = {"precision": [0.5] * 19, "recall": [None] * 19, "f1": [k / 20 for k in range(19)]}
    best = {"score": 0.4, "precision": 0.8, "recall": 0.6, "f1": 0.69}
    kinds = {"found": 1, "wrong class": 2, "coarse outline": 3}
    thresholds = {
        "scores": [round(0.05 * k, 2) for k in range(1, 20)],
        "pooled": {**curve, "best": best},
        "classes": {name: {**curve, "best": best if k else None} for k, name in enumerate(names)},
        "errors": {
            "predicted": {**kinds, "doubled": 4, "background": 1234},
            "true": {**kinds, "missed": 6},
            "confusion": confusion,
        },
    }
    values = {"split": "val", "supervision": [], "metrics": {}, "per_class": {}, "thresholds": thresholds}
    path.write_text(json.dumps(values))
    return path


def test_the_section_on_scores_shows_what_the_files_hold(tmp_path):
    path = figures_file(
        tmp_path / "f.json", ["<cat>", "dog"], [["<cat>", "dog", 2], ["dog", None, 6], [None, "dog", 9]]
    )
    advice = {
        "run": "a",
        "stage": "predictions",
        "basis": "tags",
        "score": 0.4,
        "precision": 0.8,
        "recall": 0.6,
        "f1": 0.69,
    }
    text = scores_html(
        [("a", "predictions", path)], [advice, {**advice, "run": "b", "score": None, "basis": ""}], ["a"]
    )
    rows = Tables(text).rows
    basis = "the best F1 for finding the tags of the evaluation images, which have no ground-truth masks"
    assert ["a", "predictions", basis, "0.40", "0.80", "0.60", "0.69"] in rows
    assert ["b", "predictions", "none: nothing right was found", "-", "-", "-", "-"] in rows
    assert ["a", "predictions", "0.40", "1", "2", "3", "4", "1,234", "6"] in rows
    # F1 at 0.1, 0.3, 0.5, 0.7 and 0.9, the places 1, 5, 9, 13 and 17 of the curve
    assert ["dog", "0.40", "0.80", "0.60", "0.69", "0.05", "0.25", "0.45", "0.65", "0.85"] in rows
    assert ["<cat>", "-", "-", "-", "-", "0.05", "0.25", "0.45", "0.65", "0.85"] in rows
    assert ["<cat>", "", "2", ""] in rows and ["dog", "", "", "6"] in rows and ["nothing", "", "9", ""] in rows
    assert "logarithmic" not in text and scores_html([], [], []) == ""


def test_confusions_of_many_classes_are_listed_most_frequent_first(tmp_path):
    names = [f"c{k}" for k in range(30)]
    cells = [["c1", "c1", 50], ["c1", "c2", 3], ["c4", "c5", 8], ["c6", None, 90]]
    text = scores_html([("a", "predictions", figures_file(tmp_path / "f.json", names, cells))], [], ["a"])
    rows = Tables(text).rows
    place = rows.index(["true class", "predicted class", "number"])
    assert rows[place + 1 :] == [["c4", "c5", "8"], ["c1", "c2", "3"]]
