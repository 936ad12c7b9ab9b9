import math
import statistics

import pandas as pd
import pytest

from wsis_steps.engine.errors import InputError
from wsis_steps.evaluation.summary_table import COLUMNS, summary_table


def frame(*rows):
    """rows: run, stage, metric, value and optionally supervision, split."""
    full = [(r[0], "bestie", *(r[4:5] or ("tags",)), r[1], *(r[5:6] or ("val",)), r[2], r[3]) for r in rows]
    return pd.DataFrame(full, columns=COLUMNS)


def cells(text):
    """The table as a list of lines, each a dictionary from heading to cell."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(table[0], row, strict=True)) for row in table[2:]]


SEEN = "parts that have seen masks or drawn boundaries"
PRINTED = {("bestie", "predictions", "val"): {"mask_ap50": 0.51}}


def test_a_line_per_run_and_stage_in_the_order_of_the_rows():
    rows = frame(
        ("b", "labels/round00", "mask_ap50", 0.2),
        ("b", "predictions", "mask_ap50", 0.4125),
        ("a", "predictions", "abo", 0.5),
        ("b", "predictions", "abo", 0.3),
    )
    assert cells(summary_table(rows, {})) == [
        {"run": "b", "supervision": "tags", "stage": "labels/round00", "AP50": "20.0", "ABO": "-"},
        {"run": "b", "supervision": "tags", "stage": "predictions", "AP50": "41.2", "ABO": "30.0"},
        {"run": "a", "supervision": "tags", "stage": "predictions", "AP50": "-", "ABO": "50.0"},
    ]


def test_seeds_become_mean_and_deviation():
    values = [0.50, 0.52, 0.57]
    rows = frame(*[(f"bestie_seed{k}", "predictions", "mask_ap50", v) for k, v in enumerate(values)])
    (line,) = cells(summary_table(rows, {}))
    assert line["run"] == "bestie (3 seeds)"
    assert line["AP50"] == f"{statistics.mean(values) * 100:.1f} ± {statistics.stdev(values) * 100:.1f}"


def test_one_seed_has_no_deviation_and_stays_apart_from_the_plain_run():
    rows = frame(("bestie_seed0", "p", "miou", 0.5), ("bestie", "p", "miou", 0.6))
    found = [(line["run"], line["mIoU"]) for line in cells(summary_table(rows, {}))]
    assert found == [("bestie (1 seed)", "50.0"), ("bestie", "60.0")]


def test_the_papers_figure_stands_in_brackets():
    rows = frame(("bestie", "predictions", "mask_ap50", 0.48), ("bestie", "predictions", "abo", 0.4))
    text = summary_table(rows, PRINTED)
    (line,) = cells(text)
    assert (line["AP50"], line["ABO"]) == ("48.0 (51.0)", "40.0")
    assert "In brackets" in text
    assert "In brackets" not in summary_table(rows, {})


def test_seeds_stand_beside_the_papers_figure():
    rows = frame(*[(f"bestie_seed{k}", "predictions", "mask_ap50", 0.4 + k / 50) for k in range(2)])
    assert cells(summary_table(rows, PRINTED))[0]["AP50"] == "41.0 ± 1.4 (51.0)"


@pytest.mark.parametrize("supervision", ["tags+masks_seen", "masks"])
def test_a_dagger_marks_runs_that_saw_masks(supervision):
    rows = frame(("a", "p", "miou", 0.5), ("b", "p", "miou", 0.5, supervision))
    text = summary_table(rows, {})
    assert [line["run"] for line in cells(text)] == ["a", "b †"]
    assert text.splitlines()[-1].startswith("† masks")
    assert "†" not in summary_table(rows[:1], {})


def test_splits_are_told_apart_where_there_are_several():
    rows = frame(("a", "p", "corloc", 0.5, "tags", "train"), ("a", "p", "corloc", 0.6, "tags", "val"))
    assert [(line["split"], line["CorLoc"]) for line in cells(summary_table(rows, {}))] == [
        ("train", "50.0"),
        ("val", "60.0"),
    ]


def test_missing_figures_may_be_none():
    rows = frame(("a", "p", "miou", None), ("a", "p", "abo", None))
    assert [line["mIoU"] for line in cells(summary_table(rows, {}))] == ["-"]


def test_undefined_and_unlisted_figures():
    rows = frame(("a", "p", "miou", math.nan), ("a", "p", "recall75", 0.5))
    assert cells(summary_table(rows, {})) == [{"run": "a", "supervision": "tags", "stage": "p", "mIoU": "-"}]


def test_columns_are_aligned():
    rows = frame(("a", "p", "miou", 1.0), ("a_much_longer_name", "predictions", "miou", 0.05))
    lines = [line for line in summary_table(rows, {}).splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert len({tuple(k for k, c in enumerate(line) if c == "|") for line in lines}) == 1
    assert lines[1].endswith("----: |")
    assert lines[2].startswith("| a      ") and lines[2].endswith("| 100.0 |")
    assert lines[3].endswith("|   5.0 |")


def proposal_rows(run, stage, supervision="none", **values):
    """j_instances_100=0.5 and the like."""
    return [(run, stage, metric, value, supervision, "train+val") for metric, value in values.items()]


def tables(text):
    """The lines of each table, as cells without the ruling."""
    found = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in (rows[0], *rows[2:])] for rows in found]


def test_proposals_stand_in_a_table_of_their_own_by_their_number():
    mcg = {"j_instances_all": 0.6, "j_instances_1000": 0.527, "j_instances_100": 0.378, "recall50_100": 0.369}
    selective = {"box_abo_100": 0.318, "box_abo_1000": 0.603, "box_recall85_100": 0.1}
    rows = frame(
        ("a", "predictions", "mask_ap50", 0.5),
        *proposal_rows("a", "proposals/mcg", "masks_seen", **mcg, j_classes_100=0.4),
        *proposal_rows("b", "proposals/mcg", "masks_seen", **mcg),  # the same file, used by a second run
        *proposal_rows("b", "proposals/selective_search", **selective),
    )
    text = summary_table(rows, {})
    runs, proposals = tables(text)
    assert runs == [["run", "supervision", "stage", "AP50"], ["a", "tags", "predictions", "50.0"]]
    assert proposals == [
        ["proposals", "supervision", "split", "figure", "100", "1000", "all"],
        [
            "mcg †",
            "parts that have seen masks or drawn boundaries",
            "train+val",
            "mean mask IoU",
            "37.8",
            "52.7",
            "60.0",
        ],
        ["mcg †", SEEN, "train+val", "mask recall 0.5", "36.9", "-", "-"],
        ["selective_search", "none", "train+val", "mean box IoU", "31.8", "60.3", "-"],
    ]
    assert "Proposals: for the best N" in text and text.splitlines()[-1].startswith("† masks")


def test_without_proposals_there_is_one_table_and_no_word_of_them():
    text = summary_table(frame(("a", "predictions", "mask_ap50", 0.5)), {})
    assert len(tables(text)) == 1 and "Proposals" not in text


def test_a_figure_given_twice_is_refused():
    rows = frame(("a", "p", "miou", 0.5), ("a", "p", "miou", 0.6))
    with pytest.raises(InputError, match="miou of a, p, val twice"):
        summary_table(rows, {})


def test_a_run_may_be_called_na_and_a_missing_value_is_a_dash():
    rows = frame(("NA", "p", "miou", 0.5, "none"), ("b", "p", "miou", math.nan))
    lines = cells(summary_table(rows, {}))
    assert [(line["run"], line["mIoU"]) for line in lines] == [
        ("NA", "50.0"),
        ("b", "-"),
    ]


def test_supervision_is_told_in_words_and_labels_have_recall_and_precision():
    rows = frame(
        ("a", "labels/round01", "recall50", 0.5, "masks_seen: boundaries+tags", "train"),
        ("a", "labels/round01", "precision50", 0.25, "masks_seen: boundaries+tags", "train"),
        ("a", "predictions", "mask_ap50", 0.4, "masks_seen: boundaries+tags", "val"),
    )
    text = summary_table(rows, {})
    labels, predictions = cells(text)
    assert labels["supervision"] == "tags; edges learned from drawn boundaries" and labels["run"] == "a †"
    assert (labels["recall"], labels["precision"], predictions["recall"]) == ("50.0", "25.0", "-")
    assert "Recall and precision: of labels" in text and "Recall" not in summary_table(rows[2:], {})
