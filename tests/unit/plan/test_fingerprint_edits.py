"""Edits of this package, made in a copy: which steps have another fingerprint then."""

import ast
import re
import shutil
from pathlib import Path

import pytest

from wsis_steps.plan.fingerprint import Package
from wsis_steps.plan.steps import STEPS

ROOT = Path(__file__).parents[3] / "wsis_steps"

# name: module, text (a regular expression), what takes its place
NOTHING = {
    "a message of the engine": ("engine/progress", r"left%s", "to go%s"),
    "an error of the engine": ("engine/step", r"it must be at least 1\.", "take at least 1."),
    "code of the engine": ("engine/pool", r"4 \* processes", "8 * processes"),
    "a limit of a verdict": ("engine/verdicts", r"MOST_CUES = 5\.0", "MOST_CUES = 6.0"),
    "code of the plan": ("plan/config", r"\Z", "\nMORE = 1\n"),
    "a log line of a step": ("bestie/label", r"%d images, %d of them", "%d pictures, %d of these"),
    "a log line more": ("bestie/label", r"(    without = .*\n)", r'\1    log.warning("%d without", without)\n'),
    "a log line where there was none": (
        "classifier/find_peaks",
        r"(?s)\nimport numpy as np(.*)\n\nSTEP(.*)    peaks = \[\]\n",
        r'\nimport logging\n\nimport numpy as np\1\n\nlog = logging.getLogger("wsis")\n\nSTEP\2    peaks = []\n'
        r'    if len(maps) > 1:\n        log.info("%d maps, the first of %s", len(maps), maps.ids[0])\n',
    ),
    "a log line less": ("vision/weights", r"    log\.info\(.*\n", ""),
    "a log line of vision": ("vision/checkpoint", r"resuming after iteration %d", "goes on from iteration %d"),
    "a log line and its condition": ("vision/loop", r"    if not start and .*\n        log.info.*\n", ""),
    "what an error says": ("vision/run_lengths", r"its counts are not a compressed RLE", "no RLE"),
    "what an error says, computed": ("vision/backbones", r"nearest\(normalization, NORMAL\w+\)", "nearest(name, ())"),
    "the cause of an error": ("vision/tensor_file", r"does not exist\.\"\) from None", 'does not exist.") from error'),
    "an annotation": ("evaluation/average_precision", r"positives: int\) -> np\.ndarray", "positives: float)"),
    "an annotation of a variable": ("classifier/find_peaks", r"peaks = \[\]", "peaks: list = []"),
    "an annotation and its import": (
        "proposals/mcg/hierarchy",
        r"(?s)from wsis_steps\.proposals\.contours import Contours\n(.*)def cut\(contours: Contours\)",
        r"from wsis_steps.proposals.mcg.candidates import Parts\n\1def cut(contours: Parts)",
    ),
    "an annotation of a field": (
        "proposals/mcg/hierarchy",
        r"    altitudes: np\.ndarray",
        "    altitudes: list[float]",
    ),
    "imports of types": ("evaluation/average_precision", r"import Literal", "import Any, Literal"),
    "the order of imports": ("vision/masks", r"(import numpy as np\n)(from pycocotools .*\n)", r"\2\1"),
    "a comment": ("vision/masks", r"_AT_ONCE = 255  # .*", "_AT_ONCE = 255"),
    "the docstring of a module": ("vision/masks", r'"""Binary masks as', '"""Masks as'),
    "the docstring of a function": ("vision/masks", r'    """uint8 \(n, height, width\) with .*"""\n', ""),
    "a variable of a function": ("vision/run_lengths", r"\bstops\b", "last_digits"),
    "a variable of a comprehension": ("vision/run_lengths", r"\bcode\b", "one"),
    "a variable of a loop": ("classifier/find_peaks", r"\bi\b(?!n)", "index"),
    "a variable of a closure": ("vision/masks", r"\bkept\b", "chosen"),
    "a variable of an error": ("vision/checkpoint", r"\berror\b", "fault"),
    "a default among settings": ("classifier/settings", r"crop: Positive = 321", "crop: Positive = 320"),
    "a new key among settings": ("classifier/settings", r"(    flip: bool = True\n)", r"    turns: bool = False\n\1"),
    "settings of vision": ("vision/settings", r"\Z", "\nMORE = 1\n"),
    "layout": ("vision/masks", r"\(instance_map\[None\] == ", "(\n        instance_map[None]\n        == "),
}
COUNTS = {
    "a constant of vision": ("vision/masks", r"_AT_ONCE = 255", "_AT_ONCE = 254"),
    "a constant of a noun": ("community_learning/losses", r"SURE = 1e-6", "SURE = 1e-5"),
    "a constant in an expression": ("vision/backbones", r"images\.float\(\) / 255", "images.float() / 256"),
    "an operator": ("bestie/losses", r"errors \* weight", "errors + weight"),
    "a comparison": ("evaluation/average_precision", r">= threshold\]", "> threshold]"),
    "arguments that change places": (
        "bestie/losses",
        r"_guided\(\(predicted - target\)",
        "_guided((target - predicted)",
    ),
    "a default of a parameter": ("vision/images", r"fill: int = 0\)", "fill: int = 1)"),
    "the class of an error": ("vision/checkpoint", r'raise InputError\(f"WSIS', 'raise ValueError(f"WSIS'),
    "what is caught": ("vision/checkpoint", r"except ValueError", "except TypeError"),
    "the name of a parameter": ("vision/masks", r"instance_map", "numbered"),
    "the name of a function": ("bestie/losses", r"_guided", "_weighted"),
    "the name of a field": ("proposals/mcg/hierarchy", r"altitudes", "heights"),
    "a statement less": ("vision/masks", r"    boxes\[:, 2:\] \+= .*\n", ""),
    "a statement more": ("vision/masks", r"(    boxes\[:, 2:\] .*\n)", r"\1    boxes = boxes * 2\n"),
    "statements that change places": ("vision/masks", r"(    boxes = .*\n)(    areas = .*\n)", r"\2\1"),
    "a condition": ("bestie/losses", r"if hard_pixels >= 1", "if hard_pixels > 1"),
    "where an import comes from": ("vision/masks", r"from pycocotools import mask", "from other_tools import mask"),
    "an import of a function": ("bestie/losses", r"ranks import divisor, mean", "batches import divisor, mean"),
    "an import that nothing names": ("bestie/losses", r"import torch\n", "import torch\nimport higra\n"),
    "another variable": ("vision/masks", r"column\(scores, 1,", "column(weights, 1,"),
    "a text that is a value": ("evaluation/average_precision", r'"mask_ap70"', '"mask_ap71"'),
    "a decorator": ("proposals/mcg/hierarchy", r"    @property\n", ""),
    "a log line that computes": ("vision/checkpoint", r'log\.info\("resuming.*', 'log.info("%s", self.model.train())'),
}


def imported_by(module: str) -> set[str]:
    """The modules of the package that a module imports anywhere, and theirs; outside of what has no part in it."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        path = ROOT / f"{name}.py"
        if name in found or not path.is_file() or name.startswith(("engine/", "plan/")) or name.endswith("settings"):
            continue
        found.add(name)
        for line in re.sub(r"\(\n([^)]*)\)", r"\1", path.read_text()).splitlines():
            if match := re.fullmatch(r"\s*from wsis_steps\.([\w.]+) import (.*)", line.partition("  #")[0]):
                inner = match[1].replace(".", "/")
                waiting += [inner, *(f"{inner}/{word}" for word in re.findall(r"\w+", match[2]))]
    return found


@pytest.fixture(scope="module")
def steps():
    """The modules of all steps, by the names of the steps."""
    paths = {path: re.search(r'^STEP = Step\(\s*"(\w+)"', path.read_text(), re.M) for path in ROOT.glob("*/*.py")}
    found = {match[1]: path.relative_to(ROOT).with_suffix("").as_posix() for path, match in paths.items() if match}
    assert set(found) == set(STEPS)
    return found


@pytest.fixture(scope="module")
def change(tmp_path_factory, steps):
    """A function that edits a copy of the package and returns the steps that change by it."""
    copy = tmp_path_factory.mktemp("copy") / "wsis_steps"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))

    def all_steps() -> dict[str, str]:
        package = Package(copy)
        return {step: package.fingerprint(f"wsis_steps.{path.replace('/', '.')}") for step, path in steps.items()}

    before = all_steps()
    assert len(set(before.values())) == len(steps)

    def edit(name: str, pattern: str = "", replacement: str = "") -> set[str]:
        path = copy / name if "." in name else copy / f"{name}.py"
        data = path.read_bytes()
        if path.suffix == ".py":
            edited = re.sub(pattern, replacement, data.decode())
            assert edited != data.decode(), "the edit finds nothing to change"
            ast.parse(edited)
            path.write_text(edited)
        else:
            path.write_bytes(data + b" ")
        after = all_steps()
        path.write_bytes(data)
        assert all_steps() == before
        return {step for step in steps if after[step] != before[step]}

    return edit


@pytest.mark.parametrize("edit", NOTHING.values(), ids=NOTHING)
def test_an_edit_that_cannot_change_a_figure_changes_no_step(change, edit):
    assert change(*edit) == set()


@pytest.mark.parametrize("edit", COUNTS.values(), ids=COUNTS)
def test_an_edit_that_may_change_a_figure_changes_the_steps_that_run_it(change, steps, edit):
    using = {step for step, path in steps.items() if edit[0] in imported_by(path)}
    # these import the module for annotations or what errors say, directly or not
    using -= {"proposals_import_proposals"} if edit[0] == "proposals/mcg/hierarchy" else set()
    assert change(*edit) == using
    assert 0 < len(using) < len(steps)


@pytest.mark.parametrize("file", ["report/page.css", "report/page.js", "proposals/mcg/rankers_learned_fast.pt"])
def test_a_file_beside_a_module_belongs_to_it(change, steps, file):
    owner = "report/page" if file.startswith("report") else "proposals/mcg/rankers"
    using = {step for step, path in steps.items() if owner in imported_by(path)}
    assert change(file) == using and using


def test_raising_results_changes_all_steps(change, steps):
    assert change("engine/__init__", r"RESULTS = (\d+)", r"RESULTS = 1\1") == set(steps)


def test_an_edit_of_a_step_changes_that_step(change):
    assert change("bestie/label", r"\"0\", 0", '"0", 1') == {"bestie_label"}
    assert change("classifier/maps", r"seen, present = ", "present, seen = ") == {"classifier_infer"}
    assert change("bestie/grouping", r"(?m)^def semantic_components", "MORE = 1\n\n\ndef semantic_components") == {
        "bestie_label",
        "bestie_train",
        "bestie_infer",
    }
