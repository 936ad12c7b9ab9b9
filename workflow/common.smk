# The only functions that rules use. A path of a run's result lies in the folder of the first run that computes it.
import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The package is used where it lies, from any working directory.
sys.path.insert(0, str(workflow.basedir))
os.environ.update(PYTHONPATH=str(workflow.basedir))

from wsis_steps.config import load
from wsis_steps.core.errors import InputError
from wsis_steps.core.fingerprint import fingerprint
from wsis_steps.runs import SEMANTIC_STEPS, Runs

try:
    CONFIGURATION = load(config)
except InputError as error:
    raise WorkflowError(str(error)) from None
RUNS = Runs(CONFIGURATION)
DATASET = CONFIGURATION.dataset
DATA = f"results/{DATASET}/shared/data"
TRUTH = RUNS.values("shared", "data_import_dataset").truth


wildcard_constraints:
    dataset=DATASET,
    run="[a-z0-9_]+",
    round=r"\d\d",


def settings(step):
    """The settings of a step in the run of the wildcards, as canonical JSON."""
    return lambda wildcards: RUNS.settings(getattr(wildcards, "run", "shared"), step)


def code(module):
    """Fingerprint of the code of a step."""
    return fingerprint(f"wsis_steps.{module}")


def result(step, path):
    """A result of a step of the run of the wildcards, wherever it lies."""
    return lambda wildcards: f"results/{DATASET}/{RUNS.owner(wildcards.run, step)}/{path}"


def semantic(wildcards):
    """The semantic maps of a run's training images."""
    step = SEMANTIC_STEPS[RUNS.runs[wildcards.run].semantic]
    return result(step, "semantic/train.h5")(wildcards)


def own_classifier(step):
    """The run's classifier where a step starts from it (`weights: classifier`), else nothing."""

    def pretrained(wildcards):
        wanted = RUNS.values(wildcards.run, step).weights == "classifier"
        return result("classifier_train", "classifier/model.pt")(wildcards) if wanted else []

    return pretrained


def cues(wildcards):
    """Peaks of the classifier; under point supervision the points of the data set take their place."""
    points = RUNS.runs[wildcards.run].supervision == "points"
    return [] if points else result("classifier_find_peaks", "classifier/peaks.h5")(wildcards)


def round_labels(wildcards):
    """The labels that a round trains on."""
    return f"results/{DATASET}/{RUNS.labels(wildcards.run, int(wildcards.round))}"


def trained_in_round(wildcards):
    """The network whose outputs are the labels of a round: trained in the round before, counted from 0."""
    number = int(wildcards.round)
    owner = RUNS.owner(wildcards.run, "bestie_train", number)
    return f"results/{DATASET}/{owner}/bestie/round{number - 1:02d}/model.pt"


def last_labels(wildcards):
    """What Mask R-CNN trains on: the labels of the last round, or the true masks."""
    chosen = RUNS.runs[wildcards.run]
    if chosen.system == "supervised":
        return f"{DATA}/instances_train.h5"
    return f"results/{DATASET}/{RUNS.labels(wildcards.run, chosen.rounds)}"


def source(wildcards):
    """What the import reads that Snakemake can watch: the drawn tree, or the lists that name the images."""
    chosen = RUNS.values("shared", "data_import_dataset")
    if chosen.format == "shapes":
        return f"results/{DATASET}/shared/source"
    root = chosen.root or Path()
    lists = [root / f"ImageSets/Segmentation/{name}.txt" for name in (chosen.train_list, chosen.val_list)]
    lists += [Path(chosen.train_list), Path(chosen.val_list)]
    lists += [root / "tags.csv", root / "points.csv", *root.glob("annotations/instances_*.json")]
    return [str(path) for path in lists if path.is_file()]


def figures(wildcards):
    """The evaluation files of all runs, as many as there is truth for: `summaries()` says what each is."""
    return sorted({path for *_, path in summaries()})


def summaries():
    """Rows of run, system, stage, evaluation file for the table."""
    rows = []
    for name, run in RUNS.runs.items():
        steps = RUNS.steps(name)
        if "train" in TRUTH and run.system != "supervised":
            owner = RUNS.owner(name, SEMANTIC_STEPS[run.semantic])
            rows.append((name, run.system, "semantic", f"{owner}/evaluation/semantic.json"))
            for number in range(run.rounds + 1):
                path = RUNS.labels(name, number).replace("labels/", "evaluation/labels_").replace(".h5", ".json")
                rows.append((name, run.system, f"labels/round{number:02d}", path))
        if "val" in TRUTH and "bestie_infer" in steps:
            owner = RUNS.owner(name, "bestie_infer", run.rounds)
            path = f"{owner}/evaluation/predictions_round{run.rounds:02d}.json"
            rows.append((name, run.system, "predictions_direct", path))
        if "val" in TRUTH and "maskrcnn_infer" in steps:
            path = f"{RUNS.owner(name, 'maskrcnn_infer')}/evaluation/predictions_val.json"
            rows.append((name, run.system, "predictions", path))
    return [(*row, f"results/{DATASET}/{path}") for *row, path in rows]


def shown():
    """Rows of run, stage, file of all that the report shows, those of a run in the order in which it makes them."""
    rows = []
    for name, run in RUNS.runs.items():

        def made(stage, step, path, rounds=0):
            if step in RUNS.steps(name):
                rows.append((name, stage, f"results/{DATASET}/{RUNS.owner(name, step, rounds)}/{path}"))

        made("classifier", "classifier_train", "classifier/metrics.jsonl")
        made("activation maps", "classifier_infer", "classifier/train.h5")
        made("cues", "classifier_find_peaks", "classifier/peaks.h5")
        if run.supervision == "points" and "bestie_label" in RUNS.steps(name):
            rows.append((name, "points", f"{DATA}/images.h5"))
        made("semantic", SEMANTIC_STEPS[run.semantic], "semantic/train.h5")
        made("labels/round00", "bestie_label", "labels/round00.h5")
        for number in range(1, run.rounds + 1):
            made(f"bestie/round{number - 1:02d}", "bestie_train", f"bestie/round{number - 1:02d}/metrics.jsonl", number)
            made(f"labels/round{number:02d}", "bestie_infer", f"labels/round{number:02d}.h5", number)
        made("predictions_direct", "bestie_infer", f"predictions/round{run.rounds:02d}.h5", run.rounds)
        made("maskrcnn", "maskrcnn_train", "maskrcnn/metrics.jsonl")
        made("predictions", "maskrcnn_infer", "predictions/val.h5")
    return rows


def results(wildcards):
    """The files of `shown()`: what a run without truth still makes, too."""
    return list(dict.fromkeys(path for *_, path in shown()))
