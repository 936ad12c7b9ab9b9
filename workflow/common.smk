# The only functions that rules use; what a step reads and writes is in the chain.py of its folder. A path of a run's result
# lies in the folder of the first run that computes it.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# The package is used where it lies, from any working directory.
sys.path.insert(0, str(workflow.basedir))
os.environ.update(PYTHONPATH=str(workflow.basedir))

from wsis_steps.data.watched import watched_files, watched_lists
from wsis_steps.engine.errors import InputError
from wsis_steps.plan.config import load
from wsis_steps.plan.earlier_results import made_anew
from wsis_steps.plan.faults import check
from wsis_steps.plan.fingerprint import digest_of, fingerprint
from wsis_steps.plan.last_lines import say_last_lines
from wsis_steps.plan.listing import digest, figures, first, judged, shown
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.steps import STEPS, module_of
from wsis_steps.plan.systems import stage_of

try:
    CONFIGURATION = load(config)
    RUNS = Runs(CONFIGURATION)
    check(RUNS)
except InputError as error:
    raise WorkflowError(str(error)) from None
DATASET = CONFIGURATION.dataset
RESULTS = f"results/{DATASET}"
DATA = f"{RESULTS}/shared/data"
IMAGES = f"{DATA}/images.h5"
SOURCE = RUNS.values("shared", "data_import_dataset")
TRUTH = SOURCE.truth
FIGURES = sorted({path for *_, path in figures(RUNS, TRUTH)})  # as many as there is truth for
SHOWN = list(dict.fromkeys(path for *_, path in shown(RUNS)))  # what a run without truth still makes, too
JUDGED = [path for *_, path in judged(RUNS)]  # what verdicts are on
FIRST = [path for *_, path in first(RUNS)]  # what there is to see before the long trainings start
ENVIRONMENT = str(Path(workflow.basedir, "envs/environment.yaml"))
SHARDS = CONFIGURATION.shards
# What jobs that share a step's images add to names of logs and benchmarks; alone, a job adds nothing.
SHARD = "_{shard}_of_{shards}" if SHARDS > 1 else ""

if workflow.is_main_process and (sentence := made_anew(Path(f"{DATA}/summary.json"))):
    logger.info(sentence)


wildcard_constraints:
    dataset=DATASET,
    run="[a-z0-9_]+",
    round=r"\d\d",
    shard=r"\d+",
    shards=r"\d+",


def reads(step, name):
    """An input of a step in the run, and the round, of the wildcards; nothing where that run lacks it."""

    def path(wildcards):
        number = int(wildcards.round) if hasattr(wildcards, "round") else None
        try:
            found = RUNS.reads(wildcards.run, step, name, number)
        except InputError as error:
            raise WorkflowError(str(error)) from None
        return f"{RESULTS}/{found}" if found else []

    return path


def located(folder):
    """A file <name>.h5 below a folder of the run of the wildcards, wherever it lies."""
    return lambda wildcards: f"{RESULTS}/{RUNS.located(wildcards.run, f'{folder}/{wildcards.name}.h5')}"


def writes(step, role, split=""):
    """An output of a step: all of it or, where `shards` jobs share its images, a part to be joined. Of two outputs both
    parts are kept, also the one that nothing asks for yet, which would later make the other anew, too. Where each split
    has a job of its own, `split` is the one of this role, which becomes a wildcard."""
    stage = stage_of(step)
    if stage is None or role not in stage.writes:
        raise WorkflowError(
            f"No chain says that {step} writes {role}; it writes {', '.join(stage.writes) if stage else 'nothing'}."
        )
    path = f"results/{{dataset}}/{'shared' if stage.shared else '{run}'}/{stage.writes[role]}"
    if split:
        path = path.removesuffix(f"{split}.h5") + "{split}.h5"
    if not (stage.divides and SHARD):
        return path
    part = f"{path.removesuffix('.h5')}/{SHARD[1:]}.h5"
    return part if len(stage.writes) > 1 and not split else temp(part)


def parts(path):
    """What the jobs that share a step's images write, in order."""
    return [f"{path}/{number}_of_{SHARDS}.h5" for number in range(1, SHARDS + 1)]


def where(step):
    """Constraints on the wildcards of a step: the runs in whose folders its results lie, and its rounds."""
    rounds = RUNS.numbers(step)
    return {"run": RUNS.owners(step)} | ({"round": "|".join(rounds)} if rounds else {})


def record(kind, step, suffix, more=""):
    """Path of the log, the benchmark or the checkpoints of a step: of a run or, where it has none, of all."""
    stage = stage_of(step)
    folder = "{run}" if stage and not stage.shared else "shared"
    number = "_round{round}" if stage and stage.numbered else ""
    return f"{kind}/{{dataset}}/{folder}/{step}{number}{more}{SHARD if stage and stage.divides else ''}{suffix}"


def gpus(step):
    """How many GPUs a job asks for."""
    return lambda wildcards: RUNS.gpus(getattr(wildcards, "run", "shared"), step)


def learns_labels(step):
    """Whether a step is a training on labels, which may be too few."""
    stage = stage_of(step)
    return STEPS[step].shares_batches and stage and any(read.option == "labels" for read in stage.reads)


def common(step, **more):
    """The parameters that every step has: its settings as canonical JSON, the fingerprint of its code, and what
    `command` says of it."""

    def optional(wildcards, input):
        names = dict.fromkeys(read.option for read in stage.reads if read.optional)
        return " ".join(f"--{name} {input[name]}" for name in names if input.get(name))

    def shard(wildcards):
        return f"{wildcards.shard}/{wildcards.shards}" if SHARD else "1/1"

    def verdict(wildcards, input):
        """Takes `input` since Snakemake compares no parameter that is made of inputs: another verdict changes no job."""
        return CONFIGURATION.verdict

    stage, parameters = stage_of(step), dict(more)
    parameters["settings"] = lambda wildcards: RUNS.settings(getattr(wildcards, "run", "shared"), step)
    parameters["code"] = fingerprint(f"wsis_steps.{module_of(step)}")
    if stage and stage.optional:
        parameters["optional"] = optional
    if learns_labels(step):
        parameters["verdict"] = verdict
    if stage and stage.divides:
        parameters["shard"] = shard
    if STEPS[step].shares_batches:
        parameters.setdefault("work", record("work", step, ""))
    return parameters


def command(step, files, ranks=False):
    """The shell command of a step: its files, then what all steps share; ranks: inference that may use several GPUs."""
    stage, trains = stage_of(step), STEPS[step].shares_batches
    words = [
        f"python -m wsis_steps.{module_of(step)} {files}",
        "{params.optional}" if stage and stage.optional else "",
        "--shard {params.shard}" if stage and stage.divides else "",
        "--work {params.work}" if trains else "",
        "--settings {params.settings:q} --code {params.code} --threads {threads}",
        "--ranks {resources.gpu}" if trains or ranks else "",
        "--verdict {params.verdict}" if learns_labels(step) else "",
        "--log {log}",
    ]
    return " ".join(filter(None, words))
