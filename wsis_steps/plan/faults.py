"""Mistakes in the runs of a configuration, found before anything is computed."""

from collections import Counter

from wsis_steps.engine.chain import PRETRAINED
from wsis_steps.engine.errors import InputError
from wsis_steps.plan.graph import Graph, Product
from wsis_steps.plan.listing import pairs, shows, stage_name
from wsis_steps.plan.runs import Runs
from wsis_steps.vision.backbone_table import stride_of_patches


def check(runs: Runs) -> None:
    """InputError if something is wrong with the runs, or with the tables of an image folder. Tables are checked here
    because Snakemake deletes a job's outputs before it starts: if only the import refused them, a good import would be
    lost, and everything downstream would run again."""
    if found := faults(runs):
        text = "; ".join(found)
        raise InputError(f"{text[0].upper()}{text[1:]}.")
    data = runs.values("shared", "data_import_dataset")
    if data.format == "folder" and data.root:
        from wsis_steps.formats.loading import read_dataset  # a slow import, needed for this format only

        read_dataset(data, data.root)


def faults(runs: Runs) -> list[str]:
    """One clause for each mistake: settings of steps that a run lacks, missing annotations or ground-truth masks."""
    return [fault for name in runs.runs for fault in _of_run(runs, name)] + _scored_twice(runs)


def _scored_twice(runs: Runs) -> list[str]:
    """Stages for which a run has two files in the table: a mistake in a chain."""
    found = Counter(
        (run, stage_name(show, node), show.scored)
        for run in runs.runs
        for node, show in shows(runs, run)
        if show.scored
    )
    return [
        f"run {run} has several files for stage {stage} of the {split} images"
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
        f"run {name} takes {what} from run {other}, but none of its steps reads it"
        for what, other in run.takes.items()
        if what not in read
    ]
    if run.class_maps == "learned" and "classifier_learn_pixels" not in graph.steps:
        found.append(
            f"run {name} has class_maps: learned, but none of its steps reads these maps; use steps that work on "
            "regions, for instance semantic: regions"
        )
    folder = data.root if data.format == "folder" and data.root and data.root.is_dir() else None
    table = folder / f"{run.supervision}.csv" if folder else None
    if table and run.supervision != "tags" and not table.is_file():
        found.append(f"run {name} is supervised by {run.supervision}, but {table} does not exist")
    found += _of_corrections(runs, name)
    if run.against is not None and data.truth and not pairs(runs, name, data.truth):
        found.append(
            f"run {name} is compared with {run.against} ('against'), but there is nothing to compare: "
            "they share no stage, or are identical"
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
            f"run {name} learns from the ground-truth masks of the training images, but data_import_dataset.truth is "
            f"[{', '.join(data.truth)}]; set the run to null or, if the data have masks, add train to truth"
        )
    return found


def _read_by(graph: Graph, step: str) -> set[str]:
    """The steps that produce what a step reads."""
    sources = (source for node in graph.nodes if node.step == step for source in graph.reads(node).values())
    return {source.node.step for source in sources if isinstance(source, Product)}


def _of_corrections(runs: Runs, name: str) -> list[str]:
    """Corrections of labels that nothing trains on, and correction files that do not exist."""
    rounds, found = runs.graphs[name].corrected_rounds(), []
    last = f" to {rounds[-1]}" if len(rounds) > 1 else ""
    learnt = (
        f"nothing trains on the labels of round {{}}; this run trains on round {rounds[0]}{last}"
        if rounds
        else ("nothing in this run trains on labels that can be corrected")
    )
    for number, path in runs.runs[name].corrections.items():
        if number not in rounds:
            found.append(f"run {name}: corrections: {learnt.format(number)}")
        elif not path.exists():
            found.append(f"run {name}: corrections of round {number}: {path} does not exist")
    return found


def _of_strides(runs: Runs, name: str) -> list[str]:
    """Output strides that a vision transformer cannot have, going by its name: asking timm would take seconds."""
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
    """Trainings that start from a classifier with a different backbone. The part of a timm name after the dot names
    weights, not the network, and is ignored."""
    found, graph = {}, runs.graphs[name]
    for node in graph.nodes:
        source = graph.reads(node).get(PRETRAINED.option)
        if isinstance(source, Product):
            theirs = runs.values(source.run or name, source.node.step).backbone
            own = runs.values(name, node.step).backbone
            if own.split(".")[0] != theirs.split(".")[0]:
                found[
                    f"run {name}: {node.step} has weights: classifier and backbone {own}, but the backbone of "
                    f"{source.node.step} is {theirs}; set weights: imagenet or the same backbone"
                ] = None
    return list(found)


def _different(runs: Runs, name: str, steps: tuple[str, ...], keys: tuple[str, ...]) -> list[str]:
    """Settings that must be equal in several steps but differ."""
    first, *others = ({key: getattr(runs.values(name, step), key) for key in keys} for step in steps)
    return [
        f"run {name}: {key} is {first[key]} in {steps[0]} and {values[key]} in {step}"
        for step, values in zip(steps[1:], others, strict=True)
        for key in keys
        if values[key] != first[key]
    ]
