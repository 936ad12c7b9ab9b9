# The only functions that rules use. A path of a run's result lies in the folder of the first run that computes it.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# The package is used where it lies, from any working directory.
sys.path.insert(0, str(workflow.basedir))
os.environ.update(PYTHONPATH=str(workflow.basedir))

from wsis_steps.plan.config import load
from wsis_steps.plan.earlier_results import made_anew
from wsis_steps.engine.errors import InputError
from wsis_steps.plan.fingerprint import fingerprint
from wsis_steps.plan.runs import Runs

try:
    CONFIGURATION = load(config)
    RUNS = Runs(CONFIGURATION)
    RUNS.check()
except InputError as error:
    raise WorkflowError(str(error)) from None
DATASET = CONFIGURATION.dataset
DATA = f"results/{DATASET}/shared/data"
TRUTH = RUNS.values("shared", "data_import_dataset").truth

if workflow.is_main_process and (sentence := made_anew(Path(f"{DATA}/summary.json"))):
    logger.info(sentence)


wildcard_constraints:
    dataset=DATASET,
    run="[a-z0-9_]+",
    round=r"\d\d",
    shard=r"\d+",
    shards=r"\d+",


def settings(step):
    """The settings of a step in the run of the wildcards, as canonical JSON."""
    return lambda wildcards: RUNS.settings(getattr(wildcards, "run", "shared"), step)


def code(module):
    """Fingerprint of the code of a step."""
    return fingerprint(f"wsis_steps.{module}")


def gpus(step):
    """How many GPUs a job asks for."""
    return lambda wildcards: RUNS.gpus(getattr(wildcards, "run", "shared"), step)


def result(step, path):
    """A result of a step of the run of the wildcards, wherever it lies."""
    return lambda wildcards: f"results/{DATASET}/{RUNS.owner(wildcards.run, step)}/{path}"


# What jobs that share a step's images add to names of logs and benchmarks; alone, a job adds nothing.
SHARD = "_{shard}_of_{shards}" if CONFIGURATION.shards > 1 else ""


def share(path, kept=False):
    """What a job writes of `path`.h5: all of it or, where `shards` jobs share the images, a part to be joined. Of two
    outputs both are `kept`, also the one that nothing asks for yet, which would later make the other anew, too."""
    part = f"{path}/{SHARD[1:]}.h5" if SHARD else f"{path}.h5"
    return temp(part) if SHARD and not kept else part


def shard(wildcards):
    """Which part of the images a job takes."""
    return f"{wildcards.shard}/{wildcards.shards}" if SHARD else "1/1"


def shards(path):
    """What the jobs that share a step's images write, in order."""
    return [f"{path}/{number}_of_{CONFIGURATION.shards}.h5" for number in range(1, CONFIGURATION.shards + 1)]


def semantic(wildcards):
    """The semantic maps of a run's training images."""
    return result(RUNS.semantic_step(wildcards.run), "semantic/train.h5")(wildcards)


def semantic_truth(wildcards):
    """The true masks, for the upper bound of the semantic network only."""
    return f"{DATA}/instances_train.h5" if RUNS.runs[wildcards.run].system == "supervised_semantic" else []


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


def of_round(what):
    """A result that `Runs` finds for a round, from 0: the labels that are `learnt` in it, or the network `trained` in the
    round before, whose outputs are its labels."""
    return lambda wildcards: f"results/{DATASET}/{getattr(RUNS, what)(wildcards.run, int(wildcards.round))}"


def of_run(what):
    """A result that `Runs` finds for a run: the `last_labels`, which its Mask R-CNN trains on, or its `detector`."""
    return lambda wildcards: f"results/{DATASET}/{getattr(RUNS, what)(wildcards.run)}"


def proposals(step):
    """The proposals that a step takes: its setting of that name says which."""
    return lambda wildcards: f"results/{DATASET}/shared/proposals/{RUNS.values(wildcards.run, step).proposals}.h5"


def edge_maps(step):
    """The edges of the pairwise term of annotation_consistency, where a run has one."""
    path = [f"results/{DATASET}/shared/proposals/edges.h5"]
    return lambda wildcards: path * RUNS.values(wildcards.run, step).pairwise


def round_file(name, before=0):
    """What annotation_consistency makes in the round of the wildcards or `before` it; nothing before the first."""

    def path(wildcards):
        number = int(wildcards.round) - before
        return [] if number < 0 else f"results/{DATASET}/{RUNS.round_file(wildcards.run, number, name)}"

    return path


def unreplaced(wildcards):
    """Predictions whose masks are replaced: a network's own may lie with another run, which computed the same."""
    if wildcards.name == "direct":
        return result("community_learning_infer", "predictions/direct.h5")(wildcards)
    return f"results/{DATASET}/{wildcards.run}/predictions/{wildcards.name}.h5"


def figures(wildcards):
    """The evaluation files of all runs, as many as there is truth for."""
    return sorted({path for *_, path in RUNS.figures(TRUTH)})


def results(wildcards):
    """What the report shows: what a run without truth still makes, too."""
    return list(dict.fromkeys(path for *_, path in RUNS.shown()))
