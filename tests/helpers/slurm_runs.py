"""Runs the workflow on the SLURM started by `slurm.sh up`, and reads the states of its jobs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).parents[2]
STATE = Path("/tmp/wsis-slurm")  # of slurm.sh
# what the tests abuse: one job, whose inputs the finished run has
STEP, MODEL = "learning_to_segment_train", "results/tiny/learning_to_segment/learning_to_segment/model.pt"


def slurm(*command: str) -> str:
    """The output of a SLURM command; retried, because it may time out on a busy machine."""
    for _ in range(5):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0 and "timed out" not in done.stderr:
            break
    return done.stdout


@dataclass
class Queued:
    """A line of squeue."""

    number: str
    state: str
    node: str
    rule: str
    reason: str
    memory: str
    limit: str
    folder: str


@dataclass
class Run:
    """The workflow in a separate folder, with the profile as a user would edit it."""

    folder: Path
    changed: dict = field(default_factory=dict)  # settings of STEP
    resources: dict = field(default_factory=dict)  # of STEP

    @property
    def results(self) -> Path:
        return self.folder / "results/tiny"

    @property
    def said(self) -> str:
        return (self.folder / "said.txt").read_text()

    @property
    def log(self) -> str:
        return (self.folder / f"logs/tiny/learning_to_segment/{STEP}.log").read_text()

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"work/tiny/learning_to_segment/{STEP}/checkpoint.pt"

    def start(self, *options: str, slurm: bool = True) -> subprocess.Popen:
        """Starts snakemake with its output in `said.txt`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        values = yaml.safe_load((ROOT / "tests/tiny.yaml").read_text())
        values["runs"] = {name: values["runs"][name] for name in ("bestie", "supervised", "learning_to_segment")}
        values["steps"][STEP].update(self.changed)
        (self.folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        how = ["--profile", str(self._profile())] if slurm else ["--cores", "2", "--max-threads", "1"]
        # --configfile last: it takes all words that follow
        command = ["snakemake", *how, *options, "--directory", self.folder, "--configfile", self.folder / "config.yaml"]
        paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        variables = {**os.environ, "PATH": paths, "WSIS_CHECKPOINT_SECONDS": "0", "OMP_NUM_THREADS": "1"}
        with (self.folder / "said.txt").open("w") as said:
            return subprocess.Popen(
                list(map(str, command)), cwd=ROOT, env=variables, stdout=said, stderr=said, start_new_session=True
            )

    def call(self, *options: str) -> int:
        """The exit status of snakemake once it has ended."""
        return self.start(*options).wait(timeout=1200)

    def queue(self) -> list[Queued]:
        """The current and past SLURM jobs of this folder, oldest first. rule: Snakemake's comment on the job."""
        lines = slurm("squeue", "--states=all", "--noheader", "--format=%i|%T|%N|%k|%r|%m|%l|%Z").splitlines()
        jobs = [Queued(*line.split("|")) for line in lines]
        return sorted((job for job in jobs if job.folder == str(self.folder)), key=lambda job: int(job.number))

    def states(self, number: str) -> list[str]:
        """The state of a job; none if SLURM has forgotten it."""
        return [job.state for job in self.queue() if job.number == number]

    def _profile(self) -> Path:
        """The project's profile with this cluster's partition and shorter waiting times."""
        values = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
        values["default-resources"]["slurm_partition"] = "lab"
        for resources in values["set-resources"].values():
            resources["runtime"] = "20 * attempt"  # what a test that fails may keep waiting
        values["set-resources"][STEP].update(self.resources)
        values.update({"max-threads": 1, "latency-wait": 5, "slurm-init-seconds-before-status-checks": 2})
        (self.folder / "profile").mkdir(exist_ok=True)
        (self.folder / "profile/config.yaml").write_text(yaml.safe_dump(values))
        return self.folder / "profile"

    def process(self) -> psutil.Process | None:
        """The training itself, where it runs."""
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = process.info["cmdline"] or []
            if words[1:3] == ["-m", "wsis_steps.learning_to_segment.train"] and process.info["cwd"] == str(self.folder):
                return process
        return None

    @contextmanager
    def caught_training(self, *options: str) -> Iterator[tuple[subprocess.Popen, Queued, psutil.Process]]:
        """Snakemake, its job and the training, which pauses after saving a checkpoint."""
        snakemake = self.start(*options, MODEL)
        try:
            wait(lambda: self.checkpoint.exists() or snakemake.poll() is not None, 600)
            assert snakemake.poll() is None, self.said
            training = self.process()
            training.suspend()
            (job,) = [job for job in self.queue() if job.state == "RUNNING"]
            yield snakemake, job, training
        finally:
            if snakemake.poll() is None:
                os.killpg(snakemake.pid, 9)
            snakemake.wait()
            for job in self.queue():
                if job.state in ("PENDING", "RUNNING"):
                    slurm("scancel", job.number)


def wait(for_what: Callable[[], object], seconds: float) -> None:
    ended = time.monotonic() + seconds
    while not for_what():
        assert time.monotonic() < ended, "it never happened"
        time.sleep(0.1)
