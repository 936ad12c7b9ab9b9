"""The tasks of the check on a GPU, each a function of the prepared plan that returns figures.

python -m bench.gpu_tasks FOLDER does tasks that it reads, one a line as JSON, and answers each with a line of JSON.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import gpu_gradients, gpu_speed
from bench.gpu_prepare import IMAGES, REGIONS, build_networks, score, small, with_settings
from bench.gpu_steps import Training, capture
from bench.jobs import ROOT, PlannedJob
from wsis_steps.engine.documents import read_lines

# What is wanted. Where no paper or page of this project says it, it is what rounding should leave, with a margin.
SAME_GRADIENTS, SAME_LOSSES = 1e-2, 1e-3  # float32 against the CPU
MIXED_LOSSES = 5e-2  # bfloat16 against float32
MOST_REFINEMENT, MOST_NEIGHBOURS = 10, 25  # percent of an iteration
MOST_PROPOSALS_GB = 12
SECONDS = 6.0  # that a speed is measured for
TURNS = 5
KILLED_AFTER, LENGTH = 20, 60  # iterations of a training that is killed and resumed
SAME_RESUMED = 5e-2  # relative difference of the mean loss


def figure(what: str, value: float, unit: str = "", most: float | None = None, **more: Any) -> dict:
    """A measured value, and whether it is at most what is wanted, if something is."""
    return {"what": what, "value": value, "unit": unit, "most": most, "met": most is None or value <= most, **more}


class Tasks:
    """The tasks on a prepared folder. device: where its trainings run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.plan = folder, json.loads((folder / "plan.json").read_text())
        self.dry = self.plan["dry"]
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.seconds = 0.1 if self.dry else SECONDS
        self.temporary = Path(tempfile.mkdtemp())

    def jobs(self, group: str) -> dict[str, PlannedJob]:
        """The jobs of a group of the plan by step; with all cores of this machine, unless the run is dry."""
        found = [job_from(document) for document in self.plan[group]]
        threads = "1" if self.dry else str(os.cpu_count() or 1)
        return {job.step: job.with_option("threads", threads) for job in found}

    def training(self, step: str, changes: dict | None = None) -> Training:
        """A training, ready for its first iteration."""
        return capture(with_settings(self.jobs("trainings")[step], changes or {}))

    def networks(self, _: str) -> list[dict]:
        """Writes the initial weights of all networks."""
        build_networks([job_from(document) for document in self.plan["networks"] + self.plan["trainings"]])
        return []

    def against_cpu(self, step: str) -> list[dict]:
        """An iteration in float32, compared with the CPU."""
        reference = gpu_gradients.Step.read(Path(f"{step}.npz"))
        training = capture(small(self.jobs("trainings")[step]))
        own = gpu_gradients.step(training, training.samples(IMAGES))
        error, parameter = gpu_gradients.gradient_error(own, reference)
        what = f"{step}, float32 against the CPU, {IMAGES} images"
        return [
            figure(f"{what}: losses", gpu_gradients.loss_error(own, reference), "", SAME_LOSSES, terms=own.terms),
            figure(f"{what}: gradients", error, "", SAME_GRADIENTS, parameter=parameter),
        ]

    def mixed(self, step: str) -> list[dict]:
        """An iteration with the paper's batch in bfloat16, compared with float32."""
        training = self.training(step)
        samples = training.samples(training.job.settings.batch_size)
        single = gpu_gradients.step(training, samples)
        mixed = gpu_gradients.step(training, samples, torch.bfloat16)
        error, parameter = gpu_gradients.gradient_error(mixed, single)
        what = f"{step}, bfloat16 against float32, {len(samples)} images"
        return [
            figure(f"{what}: losses", gpu_gradients.loss_error(mixed, single), "", MIXED_LOSSES, terms=mixed.terms),
            figure(f"{what}: gradients", error, parameter=parameter),
        ]

    def speed(self, step: str) -> list[dict]:
        """Speed and memory with the paper's batch."""
        training = self.training(step)
        rate, waiting = gpu_speed.train(training, self.temporary, self.seconds)
        batch = training.job.settings.batch_size
        return [
            figure(f"{step}, batch of {batch}", rate, "images/s"),
            figure(f"{step}, share of waiting for images", waiting, "%", None if self.dry else 10),
            figure(f"{step}, peak memory", gpu_speed.peak_memory(self.device), "GB"),
        ]

    def largest(self, step: str) -> list[dict]:
        """The largest batch that fits."""
        training = self.training(step)
        batch = training.job.settings.batch_size
        take = gpu_speed.enlarged(training, training.samples(batch))
        largest, full = gpu_speed.largest_batch(take, batch, self.seconds / 3)
        return [figure(f"{step}, largest batch{'' if full else ' tried'}", largest, "images")]

    def refinement(self, step: str) -> list[dict]:
        """What refinement adds to an iteration of BESTIE."""
        from wsis_steps.bestie.train import build_loss

        training = self.training(step)
        both = [training.job.settings.model_copy(update={"refinement": on}) for on in (True, False)]
        return [self._added(f"{step}: refinement adds", training, *map(build_loss, both), MOST_REFINEMENT)]

    def neighbours(self, step: str) -> list[dict]:
        """What the neighborhood loss adds to an iteration of learning to segment."""
        from wsis_steps.learning_to_segment.train import build_loss

        training = self.training(step)
        settings, tags = training.job.settings, int(training.dataset.images.tags.sum(axis=1).max())
        without = settings.model_copy(update={"neighbourhood_weight": 0.0})
        losses = build_loss(settings, tags), build_loss(without, tags)
        return [self._added(f"{step}: the neighborhood loss adds", training, *losses, MOST_NEIGHBOURS)]

    def _added(self, what: str, training: Training, longer: Callable, shorter: Callable, most: float) -> dict:
        samples = training.samples(training.job.settings.batch_size)

        def seconds(loss: Callable) -> float:
            training.loss = loss
            return gpu_speed.iterate(training, samples)

        times = [[seconds(longer), seconds(shorter)] for _ in range(1 + TURNS)]  # the first is a warm-up
        with_it, without = np.median(times[1:], axis=0)
        return figure(what, 100 * float(with_it / without - 1), "%", None if self.dry else most)

    def proposals(self, step: str) -> list[dict]:
        """Memory of Deep Community Learning with one image of short side 600 and all its proposals."""
        side = 64 if self.dry else 600
        training = self.training(step, {"short_sides": [side], "batch_size": 1, "accumulation": 1})
        samples = training.samples(1)
        what = f"{step}, {len(samples[0]['boxes'])} proposals at {side} px"
        gpu_speed.release(self.device)
        seconds = min(gpu_speed.iterate(training, samples) for _ in range(2))
        memory = gpu_speed.peak_memory(self.device)
        return [figure(f"{what}: memory", memory, "GB", MOST_PROPOSALS_GB), figure(f"{what}: iteration", seconds, "s")]

    def label_sets(self, step: str) -> list[dict]:
        """Ten samples of many proposals for each image of a batch of the conditional network."""
        job = self.jobs("trainings")[step].with_option("proposals", REGIONS)
        training = capture(with_settings(job, {"samples": 10}))
        samples = training.samples(training.job.settings.batch_size)
        count = len(samples[0]["graph"]["boxes"])
        gpu_speed.release(self.device)
        seconds = min(gpu_speed.iterate(training, samples) for _ in range(2))
        what = f"{step}, K = 10, {count} proposals, batch of {len(samples)}"
        memory = gpu_speed.peak_memory(self.device)
        return [figure(f"{what}: memory", memory, "GB"), figure(f"{what}: iteration", seconds, "s")]

    def inference(self, step: str) -> list[dict]:
        """Speed and memory of an inference."""
        gpu_speed.release(self.device)
        rate = gpu_speed.infer(self.jobs("inferences")[step], self.seconds)
        memory = gpu_speed.peak_memory(self.device)
        return [figure(step, rate, "images/s"), figure(f"{step}, peak memory", memory, "GB")]

    def resumed(self, _: str) -> list[dict]:
        """A small training that is killed and resumed, compared with one that is not."""
        with chdir(self.folder / "demo"):
            job = with_settings(job_from(self.plan["demo"][0]), {"iterations": LENGTH})
            whole, killed = (self._trained(job, name, kill) for name, kill in (("whole", False), ("killed", True)))
        difference = abs(whole[0] - killed[0]) / abs(whole[0])
        what = f"{job.step}, killed after iteration {killed[1]} of {LENGTH} and resumed"
        return [figure(f"{what}: mean loss against one that was not", difference, "", SAME_RESUMED)]

    def _trained(self, job: PlannedJob, name: str, kill: bool) -> tuple[float, int]:
        """The mean loss of a training in processes of its own, and the iteration from which it resumed."""
        work = self.temporary / name
        for role in ("model", "metrics", "log"):
            job = job.with_option(role, str(self.temporary / f"{name}.{role}"))
        command = [sys.executable, *job.with_option("work", str(work)).command[1:]]
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "WSIS_CHECKPOINT_SECONDS": "0"}
        if kill:
            with subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL) as process:
                while process.poll() is None and iteration_of(work / "checkpoint.pt") < KILLED_AFTER:
                    time.sleep(0.02)
                process.send_signal(signal.SIGKILL)
        before = iteration_of(work / "checkpoint.pt")
        if kill and not KILLED_AFTER <= before < LENGTH:
            raise RuntimeError(f"the training was to be killed after {KILLED_AFTER} iterations, not {before}")
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
        if done.returncode or (kill and f"resuming after iteration {before}" not in done.stderr):
            raise RuntimeError(f"the training did not resume: {done.stderr[-1000:]}")
        lines = read_lines(Path(job.option("metrics")))
        return float(np.mean([line["total"] for line in lines])), before

    def same_score(self, _: str) -> list[dict]:
        """The demo's BESTIE, compared with the CPU's scores of several seeds."""
        with chdir(self.folder / "demo"):
            value = score([job_from(document) for document in self.plan["demo"]], 0)
        scores = self.plan["scores"]
        spread = max(scores) - min(scores)
        away = max(min(scores) - value, value - max(scores), 0)
        what = f"bestie, mask AP50; on the CPU {', '.join(f'{one:.1f}' for one in scores)}"
        return [
            figure(what, value, "%"), figure("bestie, mask AP50 outside the CPU's range by", away, "points", spread)
        ]  # fmt: skip


def job_from(document: dict) -> PlannedJob:
    """A job from the plan."""
    return PlannedJob(**{name: tuple(value) if isinstance(value, list) else value for name, value in document.items()})


def iteration_of(checkpoint: Path) -> int:
    """The iteration of a checkpoint; 0 if there is none."""
    return torch.load(checkpoint, weights_only=True)["iteration"] if checkpoint.exists() else 0


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # so that each step takes this one and leases none
    tasks = Tasks(Path(sys.argv[1]).resolve())
    with chdir(tasks.folder / "papers"):
        for line in sys.stdin:
            name, argument = json.loads(line)
            try:
                answer = {"figures": getattr(tasks, name)(argument)}
            except (Exception, SystemExit) as error:
                traceback.print_exc()
                answer = {"fault": f"{type(error).__name__}: {error}"}
            gpu_speed.release(tasks.device)
            print(json.dumps(answer), file=answers, flush=True)
    shutil.rmtree(tasks.temporary, ignore_errors=True)


if __name__ == "__main__":
    main()
