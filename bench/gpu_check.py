"""Checks the project on a GPU in at most eight minutes: `make gpu-check`, or

    python -m bench.gpu_check --prepare     what needs no GPU, on any machine with the full environment; half an hour
    python -m bench.gpu_check               the check; prepares first if that has not been done
    python -m bench.gpu_check --dry         all of it with tiny networks on a CPU, in two minutes

To prepare, it writes benchmarks/gpu_check; copy that folder, with the repository, to the machine with the GPU. There is
no need for a network, and packages that are missing are listed. The parts, in this order, all but the last two with the
networks, sizes and batches of the preset voc2012:

    a  losses and gradients of an iteration of every training: float32 against the CPU's, then bfloat16 against float32
    b  images per second, share of waiting for them, peak memory; then the largest batch
    c  what refinement and the neighborhood loss add; memory of 2,000 proposals
    d  inference of every system
    e  a small training that is killed and resumed
    f  the demo's BESTIE with 300 iterations: its AP50 against the CPU's

Each task has a time limit. A table is printed, and benchmarks/gpu_check.json is written after each task.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.gpu_packages import NEEDED, PREPARING, advice, missing

ROOT = Path(__file__).parents[1]
SECONDS = 8 * 60
PATIENCE = 10  # factor on the limits of a dry run, which may share its machine
STARTING = 40  # seconds that a process may take to import torch and reach the GPU
TRAININGS = (
    "classifier_train", "bestie_train", "maskrcnn_train", "learning_to_segment_train", "community_learning_train",
    "annotation_consistency_initialise", "annotation_consistency_train_prediction",
    "annotation_consistency_train_conditional",
)  # fmt: skip
INFERENCES = (
    "bestie_infer", "maskrcnn_infer", "classifier_infer", "learning_to_segment_infer", "community_learning_infer",
    "annotation_consistency_sample", "proposals_find_edges",
)  # fmt: skip
TASKS = [  # part, task, argument, seconds that it may take
    ("", "networks", "", 90),
    *(("a", "against_cpu", step, 20) for step in TRAININGS),
    *(("a", "mixed", step, 20) for step in TRAININGS),
    *(("b", "speed", step, 25) for step in TRAININGS),
    ("c", "refinement", "bestie_train", 20),
    ("c", "neighbours", "learning_to_segment_train", 20),
    ("c", "proposals", "community_learning_train", 20),
    ("c", "label_sets", "annotation_consistency_train_conditional", 30),
    *(("d", "inference", step, 25) for step in INFERENCES),
    ("e", "resumed", "", 60),
    ("f", "same_score", "", 60),
    *(("b", "largest", step, 30) for step in TRAININGS),
]


@dataclass
class Worker:
    """A process that does tasks (`bench.gpu_tasks`); it is started anew after one that failed or took too long."""

    folder: Path
    said: Path
    dry: bool
    process: subprocess.Popen | None = field(default=None, init=False)

    def do(self, task: str, argument: str, seconds: float) -> dict:
        """The answer to a task: figures, or a fault."""
        if self.process is None:
            seconds += STARTING
            with self.said.open("a") as said:
                command = [sys.executable, "-m", "bench.gpu_tasks", str(self.folder)]
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": said, "text": True}
                self.process = subprocess.Popen(command, cwd=ROOT, env=variables(self.dry), **pipes)
        try:
            self.process.stdin.write(json.dumps([task, argument]) + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], seconds)
            line = self.process.stdout.readline() if ready else ""
        except BrokenPipeError:
            ready, line = True, ""
        if line:
            answer = json.loads(line)
        elif ready:
            answer = {"fault": f"the process ended with {self.process.wait()}"}
        else:
            answer = {"fault": f"no result in {seconds:.0f} s"}
        if "fault" in answer:  # an error of CUDA may break all that follows in the same process
            self.stop()
        return answer

    def stop(self) -> None:
        """Ends the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def row(part: str, found: dict) -> str:
    """A line of the table."""
    if "fault" in found:
        return f"{part:1}  {found['what']:105}  FAILED: {found['fault']}"
    value = f"{found['value']:.3g} {found['unit']}".strip()
    wanted = "" if found["most"] is None else f"<= {found['most']:.3g}: {'yes' if found['met'] else 'NO'}"
    return f"{part:1}  {found['what']:105}  {value:>15}  {wanted}".rstrip()


def variables(cpu: bool) -> dict[str, str]:
    """The environment of a process; cpu: one without a GPU."""
    return {**os.environ, "PYTHONPATH": str(ROOT)} | ({"CUDA_VISIBLE_DEVICES": ""} if cpu else {})


def check(folder: Path, output: Path, dry: bool) -> list[dict]:
    """Does all tasks for which there is time, writes `output`, and returns the figures and faults."""
    found: list[dict] = []
    from bench.machine import machine

    document = {"machine": machine(), "prepared": json.loads((folder / "plan.json").read_text())["torch"]}
    worker = Worker(folder, output.with_suffix(".log"), dry)
    worker.said.unlink(missing_ok=True)
    patience = PATIENCE if dry else 1
    ends, before = time.monotonic() + patience * SECONDS, ""
    try:
        for part, task, argument, limit in TASKS:
            left, started = ends - time.monotonic(), time.monotonic()
            if task == "inference" and (before != task or not dry):
                worker.stop()  # it forks, which may hang in a process that has computed with several threads
            before, limit = task, min(patience * limit, left)
            answer = worker.do(task, argument, limit) if left > 0 else {"fault": "not tried: time is up"}
            took = time.monotonic() - started
            what = f"{task} {argument}".strip()
            rows = [{"what": what, "fault": answer["fault"]}] if "fault" in answer else answer["figures"]
            found += [{"part": part, "task": what, "seconds": took, **one} for one in rows]
            for one in rows:
                print(row(part, one), flush=True)
            output.write_text(json.dumps({**document, "figures": found}, indent=1) + "\n")
    finally:
        worker.stop()
    return found


def prepare(folder: Path, dry: bool) -> None:
    """Prepares the folder, if that has not been done, on the CPU; exits if that fails."""
    if (folder / "plan.json").exists():
        return
    if packages := missing(PREPARING):
        sys.exit(f"To prepare takes more packages. {advice(packages)}")
    command = [sys.executable, "-m", "bench.gpu_prepare", str(folder), *(["--dry"] if dry else [])]
    log = Path(f"{folder}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as said:
        status = subprocess.run(command, cwd=ROOT, env=variables(cpu=True), stdout=said, stderr=said).returncode
    if status:
        sys.exit(f"The preparation failed: {log.read_text()[-2000:]}")


def gpu_found() -> bool:
    """Whether torch can use a GPU."""
    import torch  # after the check for missing packages

    return torch.cuda.is_available()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "benchmarks/gpu_check", help="what is prepared")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/gpu_check.json", help="the figures")
    parser.add_argument("--prepare", action="store_true", help="only prepare")
    parser.add_argument("--dry", action="store_true", help="try everything on the CPU, with tiny networks")
    options = parser.parse_args()
    if packages := missing(NEEDED):
        sys.exit(advice(packages))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "dry" if options.dry else options.folder.resolve()
        prepare(folder, options.dry)
        if options.prepare:
            return
        if not options.dry and not gpu_found():
            sys.exit("torch finds no GPU here; --dry tries everything on a CPU.")
        options.out.parent.mkdir(parents=True, exist_ok=True)
        found = check(folder, options.out, options.dry)
    wrong = [one for one in found if "fault" in one or not one["met"]]
    print(f"{options.out}: {len(found)} figures, {len(wrong)} of them failed or not as wanted")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
