"""Fingerprints: what changes them, and that workflow building imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from wsis_steps.plan import fingerprint as module
from wsis_steps.plan.fingerprint import fingerprint

ROOT = Path(__file__).parents[3]
CODE = {
    "step": '''"""Makes something."""\nfrom toy_steps.nouns.middle import double\nimport numpy\n\n
def main(x):
    """Doubles."""
    return double(x) + 1
''',
    "nouns/middle": """from toy_steps import config
from toy_steps.nouns import deep
from toy_steps.settings.base import DEPTH
from toy_steps.settings_extra import HEIGHT

def double(x):
    return deep.TWO * x
""",
    "nouns/deep": "TWO = 2\n",
    "nouns/__init__": "",
    "__init__": "",
    "config": "WIDTH = 1\n",
    "settings/__init__": "",
    "settings/base": "DEPTH = 1\n",
    "settings_extra": "HEIGHT = 1\n",
    "other": "ONE = 1\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of its own; gives a function that edits a module and returns the step's fingerprint."""
    folder = tmp_path / "toy_steps"
    for name, text in CODE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "PACKAGE", "toy_steps")
    monkeypatch.setattr(module, "LEFT_OUT", ("toy_steps.config", "toy_steps.settings"))

    def edit(name="step", before="", after=""):
        path = folder / f"{name}.py"
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after, 1))
        module._parse.cache_clear()
        return fingerprint("toy_steps.step")

    yield edit
    module._parse.cache_clear()
    sys.modules.pop("toy_steps", None)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("step", "return", "# a comment\n    return"),
        ("step", "Doubles.", "Doubles and more."),
        ("step", '    """Doubles."""\n', ""),
        ("step", "Makes something.", "Makes it."),
        ("step", "double(x) + 1", "(double(x)\n            + 1)"),
        ("nouns/deep", "TWO = 2", "# two\nTWO    = 2"),
        ("config", "1", "2"),  # its values are parameters
        ("settings/base", "1", "2"),
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


def test_steps_of_this_package_have_fingerprints_of_their_own():
    steps = ["classifier.train", "bestie.train", "bestie.label", "data.import_dataset"]
    found = [fingerprint(f"wsis_steps.{step}") for step in steps]
    assert len(set(found)) == len(steps) and all(len(text) == 16 for text in found)


def test_no_module_hides_an_import_from_the_fingerprint():
    """Relative imports and importlib would not be followed."""
    for path in (ROOT / "wsis_steps").rglob("*.py"):
        if path.parent.name == "plan":  # no part of any step
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path
            assert not (isinstance(node, ast.Attribute) and node.attr == "import_module"), path


def test_building_the_workflow_imports_nothing_heavy():
    code = (
        "import sys, wsis_steps.plan.runs, wsis_steps.plan.fingerprint\n"
        "print(sorted({'torch', 'numpy', 'h5py', 'cv2', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
