"""The style and the script of the page as files: each parses, and neither holds what no page uses, nor the reverse."""

import re
import shutil
import subprocess
from itertools import accumulate
from pathlib import Path

import pytest
from patience import PATIENCE

REPORT = Path(__file__).parents[3] / "wsis_steps/report"
CSS, JS = ((REPORT / f"page.{suffix}").read_text(encoding="utf-8") for suffix in ("css", "js"))
# What writes HTML: the modules of the report, and the steps elsewhere that make a page of their own.
WRITERS = {*REPORT.glob("*.py"), *(path for path in REPORT.parent.rglob("*.py") if "report.page" in path.read_text())}
PYTHON = "".join(path.read_text(encoding="utf-8") for path in sorted(WRITERS))
SELECTORS = re.findall(r"([^{}]+)\{", CSS)


def found(pattern: str, text: str) -> set[str]:
    return {word for words in re.findall(pattern, text) for word in words.split()}


def test_the_script_parses():
    if shutil.which("node") is None:
        pytest.skip("no node on this machine")
    done = subprocess.run(["node", "--check", REPORT / "page.js"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def test_the_braces_of_the_style_are_balanced():
    depths = list(accumulate((1 if brace == "{" else -1) for brace in re.findall("[{}]", CSS)))
    assert (min(depths), max(depths), depths[-1]) == (0, 2, 0)  # rules, and rules in a query of the medium


def test_every_class_has_a_rule_or_a_use_and_every_rule_a_class():
    styled = found(r"\.([a-z][\w-]*)", "".join(SELECTORS))
    written = found(r"""class=["']([\w -]+)["']""", PYTHON) | found(r'_path\([^"]*"(\w+)"', PYTHON)
    set_later = found(r'classList\.\w+\("(\w+)"', JS)
    asked = found(r"\.([a-z]\w*)", " ".join(re.findall(r'"([^"\n]*)"', JS)))
    assert styled and styled <= written | set_later
    assert written | set_later <= styled | asked


def test_every_id_and_every_attribute_that_the_script_asks_for_is_written():
    ids = found(r'"#(\w+)"', JS)
    assert ids and ids <= found(r'id="(\w+)"', PYTHON)
    attributes = found(r"\[data-(\w+)", JS) | found(r"dataset\.(\w+)", JS)
    assert attributes and attributes == found(r"data-(\w+)=", PYTHON)


def test_every_name_of_the_style_and_of_the_script_is_used():
    given = found(r"--(\w+):", CSS) | found(r'style="--(\w+):', PYTHON)
    assert given == found(r"var\(--(\w+)\)", CSS)
    names = found(r"(?m)^(?:async function|function|const) (\w+)", JS)
    unused = {name for name in names if len(re.findall(rf"\b{name}\b", JS)) == 1}
    assert unused == {"addCard"} and "addCard(" in PYTHON  # which the file of each card calls
