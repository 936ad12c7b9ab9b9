"""Differences between runs, seed by seed: against scipy, the formulas by hand, and what chance does."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wsis_steps.evaluation.paired_differences import paired_difference
from wsis_steps.evaluation.summary_table import COLUMNS, HEADINGS, summary_table
from wsis_steps.evaluation.text_table import base_name

SEEDS = range(3)
OWN, OTHER = (0.50, 0.53, 0.52), (0.48, 0.50, 0.51)


def frame(*rows):
    """rows: run, stage, split, metric, value."""
    full = [(run, "bestie", "tags", stage, split, metric, value) for run, stage, split, metric, value in rows]
    return pd.DataFrame(full, columns=COLUMNS)


def of_seeds(run, values, metric="mask_ap50", stage="predictions", split="val"):
    return [(f"{run}_seed{seed}", stage, split, metric, value) for seed, value in enumerate(values)]


def pairs(run, other, seeds=SEEDS, stage="predictions", split="val"):
    return [[f"{run}_seed{seed}", f"{other}_seed{seed}", stage, split] for seed in seeds]


def paired(text):
    """The lines of the paired differences, each a dictionary from heading to cell; none without the table."""
    for block in text.split("\n\n"):
        if block.startswith("| paired differences"):
            table = [[cell.strip() for cell in row.strip("|").split("|")] for row in block.splitlines()]
            return [dict(zip(table[0], row, strict=True)) for row in table[2:]]
    return []


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_mean_error_and_p_are_those_of_scipy_and_of_the_formula(count):
    rng = np.random.default_rng(count)
    own, other = rng.normal(0.5, 0.1, count), rng.normal(0.48, 0.1, count)
    found, expected = paired_difference(own, other), stats.ttest_rel(own, other)
    assert found.count == count and found.p == pytest.approx(expected.pvalue, rel=1e-12)
    differences = own - other
    by_hand = math.sqrt(sum((d - differences.mean()) ** 2 for d in differences) / (count - 1) / count)
    assert found.mean == pytest.approx(own.mean() - other.mean(), abs=1e-12)
    assert found.error == pytest.approx(by_hand, rel=1e-12)
    assert found.mean / found.error == pytest.approx(expected.statistic, rel=1e-9)


def test_what_a_pair_shares_does_not_matter():
    """Seeds that are good or bad for both leave the difference as it is; unpaired they would drown it."""
    luck = np.array([-0.2, 0.0, 0.3])
    plain, lucky = paired_difference(OWN, OTHER), paired_difference(OWN + luck, OTHER + luck)
    assert lucky.mean == pytest.approx(plain.mean) and lucky.error == pytest.approx(plain.error)
    assert stats.ttest_ind(OWN + luck, OTHER + luck).pvalue > 0.9 > lucky.p


def test_the_other_way_round_only_the_sign_is_another():
    one, other = paired_difference(OWN, OTHER), paired_difference(OTHER, OWN)
    assert (one.mean, one.error, one.p) == pytest.approx((-other.mean, other.error, other.p))


def test_five_of_a_hundred_that_are_nothing_are_told_from_chance():
    rng = np.random.default_rng(0)
    told = sum(paired_difference(rng.normal(size=3), rng.normal(size=3)).told for _ in range(4000))
    assert told / 4000 == pytest.approx(0.05, abs=0.01)


def test_a_seed_without_a_figure_is_left_out_and_one_seed_tells_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = paired_difference([0.5, math.nan, 0.6, 0.7], [0.4, 0.5, 0.55, math.nan])
        assert both == paired_difference([0.5, 0.6], [0.4, 0.55]) and both.count == 2
        one = paired_difference([0.9, math.nan], [0.1, 0.3])
        assert one.count == 1 and one.mean == pytest.approx(0.8)
        assert math.isnan(one.error) and math.isnan(one.p) and not one.told
        none = paired_difference([math.nan], [0.1])
        assert none.count == 0 and math.isnan(none.mean) and not none.told


def test_equal_differences_are_certain_unless_they_are_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        certain, nothing = paired_difference([0.75, 0.5], [0.5, 0.25]), paired_difference(OWN, OWN)
    assert (certain.mean, certain.error, certain.p, certain.told) == (0.25, 0, 0, True)
    assert (nothing.mean, nothing.error, nothing.told) == (0, 0, False)


def test_the_table_has_a_line_a_pair_in_percent_points():
    rows = frame(
        *of_seeds("full", OWN), *of_seeds("less", OTHER),
        *of_seeds("full", (0.2, 0.3, 0.4), "abo"), *of_seeds("less", (0.1, 0.2, 0.3), "abo"),
    )  # fmt: skip
    text = summary_table(rows, {}, pairs("less", "full"))
    assert paired(text) == [
        {
            "paired differences": "less", "against": "full", "stage": "predictions", "seeds": "3",
            "AP50": "-2.0 ± 0.6 ?",  # p 0.074
            "ABO": "-10.0 ± 0.0",
        }
    ]  # fmt: skip
    assert "same initial weights" in text and "? not significant" in text


def test_without_pairs_there_is_no_table_and_no_word_of_it():
    rows = frame(*of_seeds("full", OWN), *of_seeds("less", OTHER))
    for none in ([], pairs("less", "full", stage="labels/round00"), pairs("less", "elsewhere")):
        text = summary_table(rows, {}, none)
        assert not paired(text) and "chance" not in text


def test_missing_seeds_and_figures():
    rows = frame(
        *of_seeds("full", OWN), *of_seeds("less", OTHER[:2]),
        *of_seeds("full", (0.3, 0.4, 0.6), "miou"), *of_seeds("less", (0.2, math.nan), "miou"),
        *of_seeds("full", (0.3, 0.4, 0.6), "abo"),
    )  # fmt: skip
    (line,) = paired(summary_table(rows, {}, pairs("less", "full")))
    assert line["seeds"] == "2" and line["AP50"] == "-2.5 ± 0.5 ?"
    assert line["mIoU"] == "-10.0 (1 seed) ?" and "ABO" not in line


def test_splits_are_told_apart_and_runs_without_seeds_are_pairs_too():
    rows = frame(
        ("full", "semantic", "val", "miou", 0.5), ("less", "semantic", "val", "miou", 0.4),
        ("full", "semantic", "train", "miou", 0.7), ("less", "semantic", "train", "miou", 0.75),
    )  # fmt: skip
    both = [["less", "full", "semantic", split] for split in ("val", "train")]
    found = paired(summary_table(rows, {}, both))
    assert [(line["split"], line["seeds"], line["mIoU"]) for line in found] == [
        ("val", "1", "-10.0 ?"),
        ("train", "1", "+5.0 ?"),
    ]


def test_metrics_stand_in_the_order_and_under_the_headings_of_the_summary():
    values = [(run, "p", "val", metric, 0.5) for run in ("a", "b") for metric in reversed(HEADINGS)]
    (line,) = paired(summary_table(frame(*values, ("a", "p", "val", "recall75", 1.0)), {}, [["a", "b", "p", "val"]]))
    assert list(line)[4:] == list(HEADINGS.values())


def test_the_name_of_a_run_without_its_seed():
    assert [base_name(name) for name in ("a_seed0", "a_seed12", "a", "a_seed")] == ["a", "a", "a", "a_seed"]
