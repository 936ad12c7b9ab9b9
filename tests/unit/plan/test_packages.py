"""What a run needs beyond a minimal install is known before it starts, and said in one sentence."""

import ast
import sys
from pathlib import Path

import pytest
from test_runs import bestie, runs

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.extras import EXTRAS
from wsis_steps.engine.outcome import guarded
from wsis_steps.plan import packages
from wsis_steps.plan.steps import STEPS, module_of

PACKAGE = Path(packages.__file__).parents[1]


def imported_at_once(module: str) -> set[str]:
    """The packages that importing a module of wsis imports, by its source."""
    found, seen, waiting = set(), set(), [module]
    while waiting:
        name = waiting.pop()
        path = PACKAGE.parent / f"{name.replace('.', '/')}.py"
        if name in seen or not path.is_file():
            continue
        seen.add(name)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def test_only_steps_of_the_region_proposals_need_an_extra_to_start():
    """All other extras are imported where they are used, which ends a step with a sentence."""
    needs = {step: imported_at_once(f"wsis_steps.{module_of(step)}") & set(EXTRAS) for step in STEPS}
    assert {step: names for step, names in needs.items() if names} == {
        "proposals_group_regions": {"higra"},
        "proposals_import_proposals": {"higra"},
        "proposals_train_ranker": {"higra"},
    }
    for command in ("check", "predict", "show", "export", "new", "run"):
        assert not imported_at_once(f"wsis_steps.commands.{command}") & set(EXTRAS)


@pytest.fixture
def minimal(monkeypatch):
    """As if no extra were installed."""
    monkeypatch.setattr(packages, "find_spec", lambda name: None)


def test_a_run_names_what_it_lacks_and_why(minimal):
    found = runs(
        one=bestie(),
        masks={"system": "community_learning", "steps": {"community_learning_train": {"backbone": "resnet50_gn"}}},
    )
    with pytest.raises(InputError) as told:
        packages.check_packages(found)
    for words in (
        "Run masks: it reads the region proposals mcg.h5, but the Python package higra is not installed; "
        "install it with: pip install 'wsis[mcg]'",
        "run one: postprocess_refine_with_crf has a dense CRF, but the Python package pydensecrf is not installed",
        "has backbone hrnet_w48, but the Python package timm is not installed",
    ):
        assert words in str(told.value)


def test_a_run_of_the_minimal_install_lacks_nothing(minimal):
    backbones = {"classifier_train": {"backbone": "resnet50"}, "learning_to_segment_train": {"backbone": "resnet50"}}
    plain = {"learning_to_segment_infer": {"crf_iterations": 0}}
    packages.check_packages(runs(one={"system": "learning_to_segment", "steps": {**backbones, **plain}}))


def test_with_all_extras_nothing_is_missing():
    assert packages.missing_packages(runs(one=bestie())) == []


def test_a_command_that_lacks_an_extra_says_how_to_install_it(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.delitem(sys.modules, "pydensecrf.densecrf", raising=False)

    def use() -> None:
        from pydensecrf.densecrf import DenseCRF2D  # noqa: F401

    assert guarded(use) == 2
    assert "pip install 'wsis[crf]'" in caplog.text and caplog.text.count("\n") == 1
