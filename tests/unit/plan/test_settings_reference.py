"""docs/settings.md is what the models in config.py and settings say."""

from pathlib import Path

import pytest

from wsis_steps.plan.config import Configuration, Run
from wsis_steps.plan.settings_reference import settings_reference
from wsis_steps.plan.steps import STEPS
from wsis_steps.plan.systems import CHAINS

PAGE = Path(__file__).parents[3] / "docs/settings.md"
MODELS = {"configuration": Configuration, "run": Run, **STEPS}


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == settings_reference(), "run `make docs`"


def _rows() -> dict[str, list[list[str]]]:
    """The cells of the table rows of each section."""
    sections = [part for part in settings_reference().split("\n## ")[1:] if not part.startswith("Systems")]
    tables = [
        [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
        for section in sections
    ]
    return dict(zip(MODELS, tables, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_every_key_is_there_with_a_meaning(name):
    rows = _rows()[name]
    assert [row[0].strip("`") for row in rows] == list(MODELS[name].model_fields)
    assert all(len(row) == 4 and row[3].endswith(".") for row in rows), rows


def test_every_system_is_there_with_what_its_runs_may_say():
    (section,) = [part for part in settings_reference().split("\n## ") if part.startswith("Systems")]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == list(CHAINS)
    (bestie,) = [line for line in lines if line.startswith("| `bestie`")]
    assert bestie.endswith("| `tags` or `points` | 0 or more | default `true` |")


def test_values_and_defaults_are_said_in_words():
    rows = {row[0]: row[1:] for row in _rows()["classifier_train"]}
    assert rows["`alpha`"][:2] == ["number, 0 to 1", "`0.5`"]
    assert rows["`attention`"][:2] == ["`pam` or `none`", "`pam`"]
    assert rows["`drop_at`"][:2] == ["list: number, 0 to 1", "`[0.2667, 0.6]`"]
    assert rows["`learning_rate`"][0] == "number, above 0"
    assert rows["`weight_decay`"][0] == "number, at least 0"
    assert rows["`color_jitter`"][0] == "list of 4: number"
    assert rows["`rot90`"][:2] == ["`true` or `false`", "`false`"]
    assert {row[0]: row[1:] for row in _rows()["run"]}["`system`"][1] == "required"


def test_a_default_that_a_step_changes_keeps_the_meaning_of_the_key():
    weights = {
        name: next(row for row in rows if row[0] == "`optimizer`")
        for name, rows in _rows().items()
        if "train" in name and name not in ("proposals_train_ranker", "region_classifier_train")
    }
    assert {row[2] for row in weights.values()} == {"`sgd`", "`adam`"}
    assert len({row[3] for row in weights.values()}) == 1
