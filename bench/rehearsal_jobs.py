"""Runs the jobs of a rehearsal one after another and records the cost of each."""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.jobs import ROOT, PlannedJob
from bench.rehearsal_boxes import fill_boxes
from bench.rehearsal_plan import with_batch
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.settings import canonical
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.samples import check_instances

FAULT_LINES = 3  # of what a job that failed said, its last
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Taken:
    """The cost of a job.

    settings: those it ran with. clock, job_processor: seconds of the whole job, including Python's start; seconds,
    processor: of the step's own function. memory: peak MB; expected: peak MB for the preset's batch, if a smaller one
    ran. flops: from torch's counter. images: the images whose results it wrote. fault: why it has no result, or ''.
    """

    name: str
    step: str
    settings: dict
    on_gpu: bool
    clock: float = 0
    job_processor: float = 0
    seconds: float = 0
    processor: float = 0
    memory: float = 0
    expected: float = 0
    flops: float = 0
    images: list[str] = field(default_factory=list)
    fault: str = ""


def run_all(
    jobs: list[PlannedJob],
    folder: Path,
    limit: float,
    smaller: dict[str, tuple[int, int]],
    stand_ins: dict[str, str] | None = None,
) -> list[Taken]:
    """Runs jobs in `folder`, each in a separate process. A recorded job is not run again while its command line
    (including settings and code fingerprint) and its input files match the record. Boxes are filled up (`fill_boxes`).

    limit: MB of memory; a job that exceeds it is killed. smaller: two batch sizes for each training whose own batch
    needs more. stand_ins: the file to use in place of one that no job makes.
    """
    (folder / "rehearsal").mkdir(exist_ok=True)
    truth = next((path for job in jobs for path in job.outputs if path.endswith("/instances_train.h5")), None)
    found = []
    for number, job in enumerate(jobs, start=1):
        provide(job, folder, stand_ins or {})
        job = with_instances(job, folder, truth)
        record = folder / "rehearsal" / f"{job.option('log').replace('/', '-')}.json"
        taken = recorded(record, job, folder)
        if taken:
            fill(job, folder)
            found.append(taken)
            continue
        record.unlink(missing_ok=True)
        batches = smaller.get(job.step)
        whole = not batches or json.loads(job.option("settings"))["batch_size"] <= batches[1]
        taken = run(job, folder, limit) if whole else run_smaller(job, folder, limit, batches)
        found.append(taken)
        print(f"{number} of {len(jobs)}: {describe(taken)}", flush=True)
        if not taken.fault:
            fill(job, folder)
            record.write_text(json.dumps({"made_by": made_by(job, folder), "taken": asdict(taken)}))
    return found


def fill(job: PlannedJob, folder: Path) -> None:
    """Adds random boxes to those that the job found, if it looks for boxes."""
    if job.step == "proposals_search_selectively":
        fill_boxes(folder / job.outputs[0])


def provide(job: PlannedJob, folder: Path, stand_ins: dict[str, str]) -> None:
    """Links inputs from jobs that do not run to the outputs of jobs of the same kind."""
    for path in job.inputs:
        source = folder / stand_ins.get(path, path)
        if path in stand_ins and source.exists():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).unlink(missing_ok=True)
            (folder / path).symlink_to(source)


def with_instances(job: PlannedJob, folder: Path, truth: str | None) -> PlannedJob:
    """The job, with the ground truth in place of labels that a training refuses: random networks may find too few."""
    if "batch_size" not in job.option("settings") or "--labels" not in job.command:
        return job
    labels = folder / job.option("labels")
    if not labels.exists():
        return job
    try:
        check_instances(Instances(labels))
    except InputError:
        return job.with_option("labels", truth)
    return job


def made_by(job: PlannedJob, folder: Path) -> list:
    """What the result of a job depends on: its command line and the modification times of its inputs."""
    inputs = [folder / path for path in job.inputs]
    return [list(job.command), [path.stat().st_mtime_ns if path.exists() else 0 for path in inputs]]


def recorded(record: Path, job: PlannedJob, folder: Path) -> Taken | None:
    """The recorded cost of a job; None if there is no record, or settings, code or inputs have changed."""
    if not record.is_file() or not all((folder / path).exists() for path in job.outputs):
        return None
    document = json.loads(record.read_text())
    return Taken(**document["taken"]) if document.get("made_by") == made_by(job, folder) else None


def describe(taken: Taken) -> str:
    """A line on a job."""
    if taken.fault:
        return f"{taken.name}: {taken.fault}"
    return f"{taken.name}: {taken.clock:.1f} s, {taken.memory:,.0f} MB, {taken.flops / 1e12:.3g} TFLOP"


def run_smaller(job: PlannedJob, folder: Path, limit: float, batches: tuple[int, int]) -> Taken:
    """Runs a training with two small batches, the larger one last, and extrapolates the memory of its own batch."""
    settings = json.loads(job.option("settings"))
    less, taken = (
        run(job.with_option("settings", canonical(with_batch(settings, batch))), folder, limit) for batch in batches
    )
    if not less.fault and not taken.fault:
        slope = (taken.memory - less.memory) / (batches[1] - batches[0])
        taken.expected = taken.memory + slope * (settings["batch_size"] - batches[1])
    return taken


def run(job: PlannedJob, folder: Path, limit: float) -> Taken:
    """Runs a job under `bench.counted`."""
    taken = Taken(job.name, job.step, json.loads(job.option("settings")), job.on_gpu)
    missing = [path for path in job.inputs if not (folder / path).exists()]
    if missing:
        taken.fault = f"not run, for lack of {missing[0]}"
        return taken
    record = folder / "rehearsal/record.json"
    record.unlink(missing_ok=True)
    # what Snakemake would have made
    log = job.option("log")
    for path in (*job.outputs, log, log.replace("logs", "benchmarks", 1)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bench.counted", str(record), *job.command[2:]]
    started = time.monotonic()
    status, usage, said = watch(command, folder, limit)
    taken.clock, taken.job_processor = time.monotonic() - started, usage.ru_utime + usage.ru_stime
    taken.memory = usage.ru_maxrss / 1e3
    if status:
        end = " ".join(said.strip().splitlines()[-FAULT_LINES:])
        taken.fault = f"ended with {status} at {taken.memory:,.0f} MB: {end}"
        return taken
    for name, value in json.loads(record.read_text()).items():
        setattr(taken, name, value)
    return taken


def watch(command: list[str], folder: Path, limit: float) -> tuple[int, resource.struct_rusage, str]:
    """Exit status of a process, its resource use, and its output; it is killed beyond `limit` MB."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "rehearsal/said.txt").open("w+") as said:
        with subprocess.Popen(command, cwd=folder, env=variables, stdout=said, stderr=said) as process:
            ended, status, usage = 0, 0, None
            while not ended:
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
                if not ended and _resident(process.pid) > limit:
                    process.kill()
                time.sleep(0 if ended else 0.05)
            process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return process.returncode, usage, said.read()


def _resident(process: int) -> float:
    """MB of memory that a process has now."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE / 1e6
    except OSError:
        return 0
