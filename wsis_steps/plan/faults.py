"""What is wrong with the runs of a configuration, before anything is computed."""

from collections import Counter

from wsis_steps.engine.chain import PRETRAINED
from wsis_steps.engine.errors import InputError
from wsis_steps.plan.graph import Graph, Product
from wsis_steps.plan.listing import pairs, shows, stage_name
from wsis_steps.plan.runs import Runs
from wsis_steps.vision.backbone_table import stride_of_patches


def check(runs: Runs) -> None:
    """InputError where something is wrong with the runs, or with the tables of a folder: were these refused by the
    import only, Snakemake would by then have deleted the last good one, and all that follows would run again."""
    if found := faults(runs):
        text = "; ".join(found)
        raise InputError(f"{text[0].upper()}{text[1:]}.")
    data = runs.values("shared", "data_import_dataset")
    if data.format == "folder" and data.root:
        from wsis_steps.formats.loading import read_dataset  # takes a moment, which only this format should cost

        read_dataset(data, data.root)


def faults(runs: Runs) -> list[str]:
    """A clause for each run that sets what it does not have, or needs annotations or true masks that the data lack."""
    return [fault for name in runs.runs for fault in _of_run(runs, name)] + _scored_twice(runs)


def _scored_twice(runs: Runs) -> list[str]:
    """Stages of a run that two files would have in the table: a fault of a chain."""
    found = Counter(
        (run, stage_name(show, node), show.scored)
        for run in runs.runs
        for node, show in shows(runs, run)
        if show.scored
    )
    return [
        f"run {run} has several files of the stage {stage} of the {split} images"
        for (run, stage, split), count in found.items()
        if count > 1
    ]


def _of_run(runs: Runs, name: str) -> list[str]:
    run, graph = runs.runs[name], runs.graphs[name]
    data = runs.values("shared", "data_import_dataset")
    found = [
        f"run {name} sets {step}, but its steps are {', '.join(sorted(graph.steps))}"
        for step in run.steps
        if step not in graph.steps
    ]
    read = {option for node in graph.nodes for option in graph.reads(node)}
    found += [
        f"run {name} takes {what} of run {other}, but none of its steps reads any"
        for what, other in run.takes.items()
        if what not in read
    ]
    if run.class_maps == "learned" and "classifier_learn_pixels" not in graph.steps:
        found.append(
            f"run {name} has class_maps: learned, but none of its steps reads them; what is made of regions does, as "
            "with semantic: regions"
        )
    folder = data.root if data.format == "folder" and data.root and data.root.is_dir() else None
    table = folder / f"{run.supervision}.csv" if folder else None
    if table and run.supervision != "tags" and not table.is_file():
        found.append(f"run {name} is supervised by {run.supervision}, but {table} does not exist")
    found += _of_corrections(runs, name)
    if run.against is not None and data.truth and not pairs(runs, name, data.truth):
        found.append(
            f"run {name} is compared with {run.against} ('against'), but there is nothing to compare: "
            "they have no stage in common or are equal"
        )
    found += _of_strides(runs, name) + _of_classifiers(runs, name)
    for agreement in graph.chain.agreements:
        if graph.steps.issuperset(agreement.steps):
            found += _different(runs, name, agreement.steps, agreement.keys)
    for stage in map(graph.stage, sorted(graph.steps)):
        if stage.settings_of and stage.step in _read_by(graph, stage.settings_of[0]):
            found += _different(runs, name, (stage.settings_of[0], stage.step), stage.settings_of[1])
    if graph.chain.files and "train" not in data.truth:
        found.append(
            f"run {name} learns from the true masks of the training images, but data_import_dataset.truth is "
            f"[{', '.join(data.truth)}]; set the run to null or, where the data have masks, add train to truth"
        )
    return found


def _read_by(graph: Graph, step: str) -> set[str]:
    """The steps whose results a step reads."""
    sources = (source for node in graph.nodes if node.step == step for source in graph.reads(node).values())
    return {source.node.step for source in sources if isinstance(source, Product)}


def _of_corrections(runs: Runs, name: str) -> list[str]:
    """Corrections of labels that nothing learns from, and files that do not exist."""
    rounds, found = runs.graphs[name].corrected_rounds(), []
    last = f" to {rounds[-1]}" if len(rounds) > 1 else ""
    learnt = (
        f"nothing trains on labels of round {{}}; this run trains on round {rounds[0]}{last}"
        if rounds
        else ("nothing in this run trains on labels that could be corrected")
    )
    for number, path in runs.runs[name].corrections.items():
        if number not in rounds:
            found.append(f"run {name}: corrections: {learnt.format(number)}")
        elif not path.exists():
            found.append(f"run {name}: corrections of round {number}: {path} does not exist")
    return found


def _of_strides(runs: Runs, name: str) -> list[str]:
    """Output strides that a vision transformer cannot have, as its name tells: asking timm would take seconds."""
    found, graph = [], runs.graphs[name]
    for step in sorted(step for step in graph.steps if not graph.stage(step).settings_of):
        values = runs.values(name, step)
        own, stride = stride_of_patches(getattr(values, "backbone", "")), getattr(values, "output_stride", "own")
        if own and stride not in ("own", own):
            found.append(
                f"run {name}: output_stride of {step} is {stride}, which backbone {values.backbone} cannot have; "
                f"set output_stride: own, which is {own}"
            )
    return found


def _of_classifiers(runs: Runs, name: str) -> list[str]:
    """Trainings that start from a classifier with another backbone than theirs. What follows the dot in a name of
    timm's is a set of weights, not another network."""
    found, graph = {}, runs.graphs[name]
    for node in graph.nodes:
        source = graph.reads(node).get(PRETRAINED.option)
        if isinstance(source, Product):
            theirs = runs.values(source.run or name, source.node.step).backbone
            own = runs.values(name, node.step).backbone
            if own.split(".")[0] != theirs.split(".")[0]:
                found[
                    f"run {name}: {node.step} has weights: classifier and backbone {own}, but that of "
                    f"{source.node.step} is {theirs}; set weights: imagenet or the same backbone"
                ] = None
    return list(found)


def _different(runs: Runs, name: str, steps: tuple[str, ...], keys: tuple[str, ...]) -> list[str]:
    """Settings that steps have to share and do not."""
    first, *others = ({key: getattr(runs.values(name, step), key) for key in keys} for step in steps)
    return [
        f"run {name}: {key} is {first[key]} in {steps[0]} and {values[key]} in {step}"
        for step, values in zip(steps[1:], others, strict=True)
        for key in keys
        if values[key] != first[key]
    ]
