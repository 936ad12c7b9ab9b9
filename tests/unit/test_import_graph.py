"""Who may import whom: plan -> steps -> nouns of their folder -> vision -> engine, held against the source.

Imports within a function count too, except where it is about circles and about what is heavy.
"""

import ast
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "wsis_steps"
# Folders that are no system's, beside those without settings: stages that systems share.
SHARED = {"engine", "vision", "data", "proposals", "classifier", "maskrcnn", "postprocess", "evaluation", "report"}
HEAVY = {"torch", "numpy", "h5py"}  # what would make every call of Snakemake slow
# Modules below the plan that import it nevertheless.
KNOW_THE_PLAN = {
    "evaluation.list_results": "lists what the runs make and are trained with, which only the plan knows",
    "commands.new": "a project is a copy of a preset, and the plan knows where these lie",
    "commands.configuration": "the command `wsis check` reads the user's configuration and checks its runs",
    "commands.plan": "the command `wsis plan` reads the user's configuration",
    "commands.forecast": "the jobs whose costs it predicts are those of the plan",
    "report.list_costs": "tells from the name of a job of which step it is, for which it needs the names of all steps",
}
MODULE_LINES, STEP_LINES = 300, 200
LONGER: set[str] = set()


@dataclass(frozen=True)
class Module:
    """A module of the package. early: what it imports when it is imported; late: what its functions import."""

    early: frozenset[str]
    late: frozenset[str]
    is_step: bool
    lines: int

    @property
    def imports(self) -> frozenset[str]:
        return self.early | self.late


def names_of(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "a relative import"
        return {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return set()


def read(text: str) -> Module:
    """Names of modules of the package without `wsis_steps.`, others in full; members of modules are among them."""
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    within = {node for function in functions for node in ast.walk(function)}
    early, late = set(), set()
    for node in ast.walk(tree):
        names = {name.removeprefix(f"{PACKAGE.name}.") for name in names_of(node)}
        (late if node in within else early).update(names)
    is_step = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
    return Module(frozenset(early), frozenset(late - early), is_step, len(text.splitlines()))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): read(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
STEPS = {name for name, module in MODULES.items() if module.is_step}
SYSTEMS = {path.parent.name for path in PACKAGE.glob("*/settings.py")} - SHARED


def folder(name: str) -> str:
    return name.split(".")[0]


def arrows(early_only: bool = False) -> set[tuple[str, str]]:
    """Pairs of an importing and an imported module of the package."""
    return {
        (name, other)
        for name, module in MODULES.items()
        for other in (module.early if early_only else module.imports)
        if other in MODULES
    }


def test_the_source_is_read_as_python_reads_it():
    module = read(
        "import numpy as np\nfrom wsis_steps.vision import masks\nif True:\n    import torch.nn\n"
        "class A:\n    import json\n    def f(self):\n        from wsis_steps.engine.errors import InputError\n"
        "def main(job): ...\n"
    )
    assert module.early == {"numpy", "vision", "vision.masks", "torch.nn", "json"}
    assert module.late == {"engine.errors", "engine.errors.InputError"}
    assert module.is_step and module.lines == 9
    assert {"data", "maskrcnn.network", "vision.contracts.artifact"} <= MODULES.keys()
    assert {"bestie.train", "report.render_report"} <= STEPS and {"bestie", "community_learning"} <= SYSTEMS
    assert ("bestie.train", "vision.loop") in arrows() and ("bestie.train", "bestie.network") in arrows()


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: {other for one, other in arrows(early_only=True) if one == name} for name in MODULES}
    circle = ()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert not circle


def test_engine_imports_engine_and_vision_no_more_than_both():
    below = {"engine": {"engine"}, "vision": {"engine", "vision"}}
    assert not {(one, other) for one, other in arrows() if folder(other) not in below.get(folder(one), {folder(other)})}


def test_what_lies_below_the_plan_does_not_know_it():
    found = {one for one, other in arrows() if folder(other) == "plan" != folder(one)}
    assert found == KNOW_THE_PLAN.keys()


def test_nothing_imports_a_step():
    assert not {(one, other) for one, other in arrows() if other in STEPS}


def test_no_system_and_no_shared_stage_imports_a_system():
    assert not {
        (one, other)
        for one, other in arrows()
        if folder(other) in SYSTEMS and folder(one) not in {folder(other), "plan"}
    }


def test_the_plan_loads_nothing_heavy():
    reached, waiting = set(), {name for name in MODULES if folder(name) == "plan"}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= {other for other in MODULES[name].early if other in MODULES} - reached
    assert "engine.settings" in reached
    assert not {(name, other) for name in reached for other in MODULES[name].early if other.split(".")[0] in HEAVY}


def test_modules_are_short():
    assert {name for name, module in MODULES.items() if module.lines >= MODULE_LINES} <= LONGER
    assert not {name for name in STEPS if MODULES[name].lines >= STEP_LINES}
