# The only functions that rules use; chain.py in each folder declares what the steps read and write. A result that several
# runs share is in the folder of the first run that computes it.
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod

from wsis_steps.data.watched import watched_files, watched_lists
from wsis_steps.engine.errors import InputError
from wsis_steps.plan.config import load
from wsis_steps.plan.earlier_results import made_anew
from wsis_steps.plan.faults import check
from wsis_steps.plan.fingerprint import digest_of, fingerprint
from wsis_steps.plan.last_lines import say_last_lines
from wsis_steps.plan.listing import digest, figures, first, judged, models, recommended, shown
from wsis_steps.plan.packages import check_packages
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.steps import STEPS, module_of
from wsis_steps.plan.systems import stage_of

try:
    CONFIGURATION = load(config)
    RUNS = Runs(CONFIGURATION)
    check(RUNS)
    if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
        check_packages(RUNS)
except InputError as error:
    raise WorkflowError(str(error)) from None
DATASET = CONFIGURATION.dataset
RESULTS = f"results/{DATASET}"
DATA = f"{RESULTS}/shared/data"
IMAGES = f"{DATA}/images.h5"
SOURCE = RUNS.values("shared", "data_import_dataset")
TRUTH = SOURCE.truth
FIGURES = sorted({path for *_, path in figures(RUNS, TRUTH)})  # only of splits with ground truth
SHOWN = list(dict.fromkeys(path for *_, path in shown(RUNS)))  # made with and without ground truth
JUDGED = [path for *_, path in judged(RUNS)]  # results that verdicts judge
RECOMMENDED = list(dict.fromkeys(path for *_, path in recommended(RUNS)))  # beside the models, for `wsis predict`
MODELS = models(RUNS)  # folder and name of those that `wsis predict` takes
FIRST = [path for *_, path in first(RUNS)]  # results that exist before the long trainings start
ENVIRONMENT = str(HOME / "envs/environment.yaml")
# Snakemake adds the `prefix:` of a module to the paths of rules; these lines add it to the others.
PREFIX = workflow.modifier.path_modifier.replace_prefix("results").removesuffix("results")
SHARDS = CONFIGURATION.shards
# Suffix of logs and benchmarks of jobs that share a step's images; empty for a single job.
SHARD = "_{shard}_of_{shards}" if SHARDS > 1 else ""

if workflow.is_main_process and (sentence := made_anew(Path(f"{PREFIX}{DATA}/summary.json"))):
    logger.info(sentence)


wildcard_constraints:
    dataset=DATASET,
    run="[a-z0-9_]+",
    round=r"\d\d",
    shard=r"\d+",
    shards=r"\d+",


def outside(paths):
    """Paths of files that the workflow does not make; the `prefix:` of a module does not apply to them."""
    return [str(path) if str(path).startswith(f"{RESULTS}/") else local(str(path)) for path in paths]


def reads(step, name):
    """An input of a step, for the run and round of the wildcards; [] if the run does not have it."""

    def path(wildcards):
        number = int(wildcards.round) if hasattr(wildcards, "round") else None
        try:
            found = RUNS.reads(wildcards.run, step, name, number)
        except InputError as error:
            raise WorkflowError(str(error)) from None
        return f"{RESULTS}/{found}" if found else []

    return path


def located(folder):
    """The path of <name>.h5 in a folder of the wildcards' run, resolved to the run that owns it."""
    return lambda wildcards: f"{RESULTS}/{RUNS.located(wildcards.run, f'{folder}/{wildcards.name}.h5')}"


def writes(step, role, split=""):
    """An output of a step, or its part if `shards` jobs share the images. Parts are temporary, unless the step has two
    outputs: asking for the second one later would then rerun the job. `split`: for steps with one job per split, the
    split in this role's path, which becomes a wildcard."""
    stage = stage_of(step)
    if stage is None or role not in stage.writes:
        raise WorkflowError(
            f"No chain declares that {step} writes {role}; it writes {', '.join(stage.writes) if stage else 'nothing'}."
        )
    path = f"results/{{dataset}}/{'shared' if stage.shared else '{run}'}/{stage.writes[role]}"
    if split:
        path = path.removesuffix(f"{split}.h5") + "{split}.h5"
    if not (stage.divides and SHARD):
        return path
    part = f"{path.removesuffix('.h5')}/{SHARD[1:]}.h5"
    return part if len(stage.writes) > 1 and not split else temp(part)


def parts(path):
    """The parts written by the jobs that share a step's images, in order."""
    return [f"{path}/{number}_of_{SHARDS}.h5" for number in range(1, SHARDS + 1)]


def where(step):
    """Constraints on the wildcards of a step: the runs that own its results, and its rounds."""
    rounds = RUNS.numbers(step)
    return {"run": RUNS.owners(step)} | ({"round": "|".join(rounds)} if rounds else {})


def record(kind, step, suffix, more=""):
    """Path of a step's log, benchmark or checkpoints, in the folder of the run or `shared`."""
    stage = stage_of(step)
    folder = "{run}" if stage and not stage.shared else "shared"
    number = "_round{round}" if stage and stage.numbered else ""
    return f"{kind}/{{dataset}}/{folder}/{step}{number}{more}{SHARD if stage and stage.divides else ''}{suffix}"


def gpus(step):
    """The number of GPUs that a job requests."""
    return lambda wildcards: RUNS.gpus(getattr(wildcards, "run", "shared"), step)


def learns_labels(step):
    """True if a step trains on labels, and so must check that there are enough."""
    stage = stage_of(step)
    return STEPS[step].trains and stage and any(read.option == "labels" for read in stage.reads)


def common(step, **more):
    """The parameters of every step: settings as canonical JSON, the fingerprint of its code, and those that `command`
    needs."""

    def optional(wildcards, input):
        names = dict.fromkeys(read.option for read in stage.reads if read.optional)
        return " ".join(f"--{name} {input[name]}" for name in names if input.get(name))

    def shard(wildcards):
        return f"{wildcards.shard}/{wildcards.shards}" if SHARD else "1/1"

    def verdict(wildcards, input):
        """Takes `input` so that Snakemake does not compare it: a changed `verdict` must not rerun jobs."""
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
        parameters["work"] = PREFIX + parameters.get("work", record("work", step, ""))
    return parameters


def command(step, files, ranks=False):
    """The shell command of a step: its files, then the common options. ranks: inference that may use several GPUs."""
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


def last_lines():
    """Says what is doubtful and where the results are; also for Snakefiles that use this workflow as a module."""
    say_last_lines(Runs(CONFIGURATION, PREFIX), logger.info)
