"""Fingerprints: what changes them, and that workflow building imports nothing heavy."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wsis_steps.engine import RESULTS
from wsis_steps.plan.fingerprint import Package, digest_of, fingerprint

ROOT = Path(__file__).parents[3]
CODE = {
    "step": '''"""Makes something."""\nfrom toy_steps.nouns.middle import double\nimport numpy\n\n
def main(x):
    """Doubles."""
    return double(x) + 1
''',
    "nouns/middle": """from toy_steps.engine import pool
from toy_steps.nouns import deep, settings
from toy_steps.plan.config import WIDTH
from toy_steps.settings.base import DEPTH
from toy_steps.settings_extra import HEIGHT
from toy_steps.types import Number, Size

def double(x: Number) -> Size:
    return deep.TWO * x
""",
    "nouns/deep": "TWO = 2\n",
    "nouns/__init__": "",
    "__init__": "",
    "engine/__init__": "RESULTS = 1\n",
    "engine/pool": "PARTS = 1\n",
    "plan/__init__": "",
    "plan/config": "WIDTH = 1\n",
    "nouns/settings": "LENGTH = 1\n",
    "types": "from toy_steps.sizes import Size\n\nNumber = Size\n",
    "sizes": "Size = 1\n",
    "settings/__init__": "",
    "settings/base": "DEPTH = 1\n",
    "settings_extra": "HEIGHT = 1\n",
    "other": "ONE = 1\n",
}


@pytest.fixture
def package(tmp_path):
    """A package of its own; gives a function that edits a module and returns the step's fingerprint."""
    folder = tmp_path / "toy_steps"
    for name, text in CODE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(text)

    def edit(name="step", before="", after=""):
        path = folder / f"{name}.py"
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after, 1))
        return Package(folder).fingerprint("toy_steps.step")

    return edit


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("step", "return", "# a comment\n    return"),
        ("step", "Doubles.", "Doubles and more."),
        ("step", '    """Doubles."""\n', ""),
        ("step", "Makes something.", "Makes it."),
        ("step", "double(x) + 1", "(double(x)\n            + 1)"),
        ("nouns/deep", "TWO = 2", "# two\nTWO    = 2"),
        ("engine/pool", "1", "2"),  # RESULTS speaks for it
        ("plan/config", "1", "2"),
        ("settings/base", "1", "2"),  # values of settings are parameters
        ("nouns/settings", "1", "2"),
        ("types", "Number =", "Number = 1 +"),  # for annotations only
        ("nouns/middle", "from toy_steps.types import Number, Size\n", ""),
        ("sizes", "1", "2"),
        ("other", "1", "2"),  # nobody imports it
    ],
)
def test_an_edit_that_changes_no_code_that_runs_changes_nothing(package, name, before, after):
    assert package() == package(name, before, after)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("step", "+ 1", "+ 2"),
        ("step", "return", 'print("x")\n    return'),
        ("nouns/middle", "* x", "* x * x"),
        ("nouns/deep", "2", "3"),  # two imports away
        ("nouns/__init__", "", "SIDE = 1\n"),
        ("settings_extra", "1", "2"),  # named like what is left out, but not in it
        ("step", "import numpy", "import scipy"),
        ("step", "import numpy\n", ""),  # nothing names it, so it is there for what it does
        ("__init__", "", "import os\n"),
        ("engine/__init__", "1", "2"),
    ],
)
def test_an_edit_of_code_changes_it(package, name, before, after):
    assert package() != package(name, before, after)


def test_weights_of_a_module_belong_to_its_code(package, tmp_path):
    first = package()
    for path in ("other.pt", "nouns/another.pt"):
        (tmp_path / "toy_steps" / path).write_bytes(b"1")
    assert package() == first
    weights = tmp_path / "toy_steps/nouns/deep_small.pt"
    weights.write_bytes(b"1")
    second = package()
    weights.write_bytes(b"2")
    assert len({first, second, package()}) == 3


def test_moving_a_module_changes_it_and_undoing_an_edit_brings_it_back(package):
    first = package()
    assert package("nouns/deep", "2", "3") != first
    assert package("nouns/deep", "3", "2") == first


def test_imports_are_followed_in_every_form(package):
    forms = ("import toy_steps.other", "from toy_steps.other import ONE", "from toy_steps import other as another")
    for form in (*forms, "def late():\n    from toy_steps.other import ONE"):
        package("step", "import numpy", form)
        first = package()
        assert package("other", "1", "2") != first, form
        package("other", "2", "1")
        package("step", form, "import numpy")


@pytest.mark.parametrize(
    "form",
    [
        "from toy_steps.nouns.middle import Size",
        "from toy_steps.nouns.middle import *",
        "import toy_steps.nouns.middle",
        "from toy_steps.nouns import middle as other",
    ],
)
def test_what_a_module_imports_for_annotations_counts_for_those_who_take_it_from_there(package, form):
    package("step", "import numpy", form)
    first = package("step", "+ 1", "+ 1 + (Size if x else other.Size)")
    second = package("sizes", "1", "2")
    third = package("nouns/middle", "Number, Size", "Number")
    assert len({first, second, third}) == 3


def test_steps_of_this_package_have_fingerprints_of_their_own():
    steps = ["classifier.train", "bestie.train", "bestie.label", "data.import_dataset"]
    found = [fingerprint(f"wsis_steps.{step}") for step in steps]
    assert len(set(found)) == len(steps) and all(
        text.startswith(f"{RESULTS}-") and len(text.partition("-")[2]) == 16 for text in found
    )


def test_a_digest_is_of_the_modules_that_are_named_and_of_nothing_else():
    one, other = "engine.verdicts", "engine.remedies"
    assert len({digest_of(one), digest_of(other), digest_of(one, other), digest_of(other, one)}) == 4
    assert digest_of(one) == digest_of(one)


def test_no_module_hides_an_import_from_the_fingerprint():
    """Relative imports and importlib would not be followed."""
    for path in (ROOT / "wsis_steps").rglob("*.py"):
        if path.parent.name == "plan":  # no part of any step
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path
            assert not (isinstance(node, ast.Attribute) and node.attr == "import_module"), path


def test_no_module_gives_meaning_to_what_the_fingerprint_leaves_out():
    """Annotations, docstrings and names of variables; loggers have one name; settings come from the workflow."""
    telling = {
        "get_type_hints",
        "signature",
        "singledispatch",
        "singledispatchmethod",
        "__annotations__",
        "import_module",
    }
    for path in (ROOT / "wsis_steps").rglob("*.py"):
        parts = path.relative_to(ROOT / "wsis_steps").parts
        if parts[0] in ("engine", "plan") or path.stem == "settings" or len(parts) == 1:
            continue
        tree = ast.parse(path.read_text())
        nodes = list(ast.walk(tree))
        imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        imported |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        assert "pydantic" not in {name.partition(".")[0] for name in imported}, path
        words = {node.id for node in nodes if isinstance(node, ast.Name)}
        words |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        assert not words & {*telling, "__doc__"}, path
        for node in nodes:
            if isinstance(node, ast.Assign) and "getLogger" in ast.unparse(node.value):
                assert ast.unparse(node.targets[0]) == "log" and node in tree.body, path
        called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and re.fullmatch(r"wsis_steps\.(?!engine)\w+\.settings", node.module):
                names = {alias.name for alias in node.names}
                assert all(name[0].isupper() and not name.isupper() for name in names), path  # classes
                assert parts[0] == "commands" or not names & called, path  # defaults of theirs would not be seen


def test_building_the_workflow_imports_nothing_heavy():
    code = (
        "import sys, wsis_steps.plan.runs, wsis_steps.plan.fingerprint\n"
        "print(sorted({'torch', 'numpy', 'h5py', 'cv2', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
