"""The Python packages that runs need beyond a minimal install. Imports none of them."""

from importlib.util import find_spec

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.extras import how_to_install
from wsis_steps.plan.listing import proposals
from wsis_steps.plan.runs import Runs
from wsis_steps.vision.backbone_table import entry_of, fault_of


def needed(runs: Runs, name: str) -> dict[str, str]:
    """The modules that a run needs, each with what needs it."""
    found = {}
    for step in sorted(runs.steps(name)):
        values = runs.values(name, step)
        backbone = getattr(values, "backbone", None)
        if step == "postprocess_refine_with_crf" or getattr(values, "crf_iterations", 0):
            found.setdefault("pydensecrf", f"{step} has a dense CRF")
        if backbone and not fault_of(backbone) and entry_of(backbone).source == "timm":
            found.setdefault("timm", f"{step} has backbone {backbone}")
    if read := {"mcg", "imported"} & set(proposals(runs, name)):
        found["higra"] = f"it reads the region proposals {min(read)}.h5"
    return found


def missing_packages(runs: Runs) -> list[str]:
    """One clause for each module that a run needs and that is not installed."""
    needs = {module: (name, why) for name in reversed(runs.runs) for module, why in needed(runs, name).items()}
    return [
        f"run {name}: {why}, but {how_to_install(module)}"
        for module, (name, why) in sorted(needs.items())
        if find_spec(module) is None
    ]


def check_packages(runs: Runs) -> None:
    """InputError if a package is missing."""
    if found := missing_packages(runs):
        text = "; ".join(found)
        raise InputError(f"{text[0].upper()}{text[1:]}")
