# The only functions that rules use. A path of a run's result lies in the folder of the first run that computes it.
import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The package is used where it lies, from any working directory.
sys.path.insert(0, str(workflow.basedir))
os.environ["PYTHONPATH"] = os.pathsep.join([str(workflow.basedir), os.environ.get("PYTHONPATH", "")])

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
# What every step's command line ends in.
COMMON = "--settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


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
    lists += [root / "tags.csv", *root.glob("annotations/instances_*.json")]
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


def results(wildcards):
    """What a run without truth still makes: its last labels and predictions."""
    paths = []
    for name, run in RUNS.runs.items():
        if "maskrcnn_infer" in RUNS.steps(name):
            paths.append(f"{RUNS.owner(name, 'maskrcnn_infer')}/predictions/val.h5")
        if run.system != "supervised":
            owner = RUNS.owner(name, "bestie_infer", run.rounds)
            paths += [RUNS.labels(name, run.rounds), f"{owner}/predictions/round{run.rounds:02d}.h5"]
    return [f"results/{DATASET}/{path}" for path in dict.fromkeys(paths)]


def metrics(wildcards):
    """The loss curves of all training steps."""
    paths = []
    for name, run in RUNS.runs.items():
        for step in sorted(RUNS.steps(name) & {"classifier_train", "maskrcnn_train"}):
            paths.append(f"{RUNS.owner(name, step)}/{step.removesuffix('_train')}/metrics.jsonl")
        if "bestie_train" in RUNS.steps(name):
            for number in range(run.rounds):
                owner = RUNS.owner(name, "bestie_train", number + 1)
                paths.append(f"{owner}/bestie/round{number:02d}/metrics.jsonl")
    return [f"results/{DATASET}/{path}" for path in dict.fromkeys(paths)]
