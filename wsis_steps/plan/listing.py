"""The files that the table and the report show, of all runs, in the order in which they are made. Imports no torch."""

import hashlib
import json
from pathlib import PurePath
from typing import Any

from wsis_steps.engine.chain import Show
from wsis_steps.engine.settings import canonical
from wsis_steps.plan.graph import Node, Product
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.systems import published

Row = tuple[str, ...]


def listing(runs: Runs) -> dict[str, Any]:
    """The document of evaluation_list_results."""
    dataset = runs.configuration.dataset
    truth = runs.values("shared", "data_import_dataset").truth
    return {
        "dataset": dataset,
        "figures": figures(runs, truth),
        "results": shown(runs),
        "judged": judged(runs),
        "first": first(runs),
        "trainings": trainings(runs),
        "stages": stages(runs),
        "pairs": [row for name in runs.runs for row in pairs(runs, name, truth)],
        "recommended": recommended(runs),
        "published": [
            [*key, dict(found.values), {metric: list(classes.items()) for metric, classes in found.per_class.items()}]
            for key, found in published(dataset).items()
        ],
    }


def digest(runs: Runs) -> str:
    """A digest that changes whenever `listing` does."""
    return hashlib.blake2b(json.dumps(listing(runs)).encode(), digest_size=8).hexdigest()


def figures(runs: Runs, truth: tuple[str, ...]) -> list[Row]:
    """Rows (run, system, stage, evaluation file) of the table. truth: the splits that have ground-truth masks."""
    rows = []
    for name, run in runs.runs.items():
        for one in proposals(runs, name) if truth else ():
            path = f"{runs.folder}/shared/evaluation/proposals_{one}.json"
            rows.append((name, run.system, f"proposals/{one}", path))
        scored = _scored(runs, name, truth).items()
        rows += [(name, run.system, stage, f"{runs.folder}/{path}") for (stage, _), path in scored]
    return rows


def pairs(runs: Runs, name: str, truth: tuple[str, ...]) -> list[Row]:
    """Rows (run, run it is compared with, stage, split) for stages that both runs computed, each its own."""
    other = runs.runs[name].against
    if other is None:
        return []
    theirs, own = _scored(runs, other, truth), _scored(runs, name, truth)
    return [(name, other, *key) for key, path in own.items() if theirs.get(key, path) != path]


def _scored(runs: Runs, name: str, truth: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """The evaluation files of a run, by stage and split."""
    return {
        (stage_name(show, node), show.scored): _evaluation(runs.path(name, Product(node, show.role)))
        for node, show in shows(runs, name)
        if show.scored in truth
    }


def shown(runs: Runs, early: bool = False) -> list[Row]:
    """Rows (run, stage, file) of everything the report shows; with `early`, only what `first` lists."""
    rows = []
    for name, run in runs.runs.items():
        if run.supervision == "points":
            rows.append((name, "points", f"{runs.folder}/shared/data/images.h5"))
        for node, show in shows(runs, name):
            if not early or _is_early(runs, name, node):
                path = runs.path(name, Product(node, show.role))
                rows.append((name, stage_name(show, node), f"{runs.folder}/{path}"))
    return rows


def judged(runs: Runs) -> list[Row]:
    """Rows (run, stage, file) of everything that may get verdicts, each file once."""
    audits = [(name, "tags", f"{runs.folder}/{path}") for name, path in runs.audits()]
    rows = [*audits, *(row for row in shown(runs) if row[2].endswith(".h5"))]
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(row[2], row)
    return list(found.values())


def first(runs: Runs) -> list[Row]:
    """Rows (run, stage, file) of what exists before anything but the classifier is trained: activation maps, cues,
    semantic maps and the labels made from these."""
    return [row for row in shown(runs, early=True) if row[2].endswith(".h5")]


def _is_early(runs: Runs, name: str, node: Node) -> bool:
    """Whether a node needs no training except the classifier's."""
    stage, made = runs.graphs[name].stage(node.step), runs.graphs[name].reads(node).values()
    trained = runs.values(name, node.step).trains and "classifier" not in stage.writes
    return not trained and all(_is_early(runs, s.run or name, s.node) for s in made if isinstance(s, Product))


def stages(runs: Runs) -> list[Row]:
    """Rows (stage, description, systems it applies to) for the report's legend."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for name, run in runs.runs.items():
        for node, show in shows(runs, name):
            if show.about:
                found.setdefault((stage_name(show, node), show.about), {})[run.system] = None
    return [(stage, about, ", ".join(systems)) for (stage, about), systems in found.items()]


def recommended(runs: Runs) -> list[Row]:
    """Rows (run, stage, file) of the recommended scores of the runs whose model `wsis predict` takes: in the folder of
    the run that predicts, under the name of its model."""
    rows = []
    for name, graph in runs.graphs.items():
        if graph.predicts:
            ((node, show),) = (one for one in shows(runs, name) if one[0].step == graph.end)
            path = PurePath(runs.folder, runs.owner(name, graph.end), model_of(runs, name)).with_suffix(".json")
            rows.append((name, stage_name(show, node), str(path)))
    return rows


def models(runs: Runs) -> list[tuple[str, str]]:
    """Folder below that of a run, and name without suffix, of the models of `recommended`."""
    paths = (PurePath(model_of(runs, name)) for name, graph in runs.graphs.items() if graph.predicts)
    return sorted({(str(path.parent), path.stem) for path in paths})


def model_of(runs: Runs, name: str) -> str:
    """The model that a run predicts with, below the folder of the run that trained it."""
    return runs.reads(name, runs.graphs[name].end, "model").split("/", 1)[1]


def proposals(runs: Runs, name: str) -> list[str]:
    """Names of the proposals that a run reads, in the order of its steps."""
    graph = runs.graphs[name]
    found = [graph.reads(node).get("proposals") for node in graph.nodes]
    return list(dict.fromkeys(PurePath(path).stem for path in found if isinstance(path, str)))


def trainings(runs: Runs) -> list[Row]:
    """Rows (run, stage, step, settings) of every training step; settings as JSON, only those that differ from the
    defaults. A training that several runs share is listed with the first of them."""
    rows = []
    for name in runs.runs:
        own = (step for step in runs.steps(name) if runs.values(name, step).trains)
        for step in sorted(step for step in own if runs.owner(name, step) == name):
            changed = runs.values(name, step).model_dump(mode="json", exclude_defaults=True)
            rows.append((name, step.removesuffix("_train"), step, canonical(changed)))
    return rows


def shows(runs: Runs, name: str) -> list[tuple[Node, Show]]:
    """What the report shows of a run, node by node."""
    graph, run = runs.graphs[name], runs.runs[name]
    truth = runs.values("shared", "data_import_dataset").truth
    return [
        (node, show)
        for node in graph.nodes
        for show in graph.stage(node.step).shows
        if show.when(run, runs.values(name, node.step))
        and (not show.last or node.round == graph.rounds(node.step)[-1])
        and not (show.spare and truth and show.scored not in truth)
    ]


def stage_name(show: Show, node: Node) -> str:
    return show.stage if node.round is None else show.stage.format(round=f"{node.round:02d}")


def _evaluation(path: str) -> str:
    """The evaluation file of a result: <run>/labels/round00.h5 -> <run>/evaluation/labels_round00.json."""
    run, folder, file = path.split("/")
    return f"{run}/evaluation/{folder}_{file.removesuffix('.h5')}.json"
