"""Kills at random moments: of a single step, and in a workflow of the job, Snakemake or both."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

import psutil
from tiny_workflow import kill_all

from tests.faults.cases import TAKEN, Case
from tests.faults.outcomes import Outcome


def kill_step(case: Case, times: int, chance: random.Random) -> Outcome:
    """Kills a step repeatedly, each time in the state the last kill left, then lets it end; each kill is a run."""
    outcome, killed, wrong = Outcome("a step is killed", case.name), 0, []
    case.clear()
    for _ in range(3 * times):  # some end before they are killed
        if killed == times:
            break
        process = case.start(said=subprocess.DEVNULL)
        if case.begun(lambda process=process: process.poll() is not None):
            time.sleep(chance.uniform(0, case.seconds))
        (os.killpg if killed % 2 else os.kill)(process.pid, signal.SIGKILL)  # with its workers, and alone
        if process.wait() == -signal.SIGKILL:
            killed += 1
            wrong += case.wrong()
        elif process.returncode or case.faults():
            wrong += [f"ended with {process.returncode}", *case.faults()]
        else:
            case.clear()
    status, said = case.run()
    wrong += [f"exit status {status}: {said[-300:]}"] if status else []
    wrong += case.faults()
    outcome.count(wrong)
    outcome.same *= killed
    return outcome


def kill_in_workflow(case: Case, who: str, chance: random.Random) -> Outcome:
    """Kills the `job`, `snakemake` or `both` while Snakemake remakes the outputs; then runs it again to the end."""
    outcome = Outcome(f"in a workflow, killed: {who}", case.name)
    case.clear()
    snakemake = case.tiny.start("--", *case.outputs, configuration=case.configuration)
    if case.begun(lambda: snakemake.poll() is not None):
        time.sleep(chance.uniform(0, case.seconds))
    jobs = [one for one in psutil.Process(snakemake.pid).children(recursive=True) if _is_step(one)]
    if who == "both":
        kill_all(snakemake)
    else:
        for one in [snakemake] if who == "snakemake" else jobs:
            one.kill()
    snakemake.wait()
    wrong = case.wrong()
    case.tiny.call("--unlock", configuration=case.configuration)
    status, said = case.tiny.call("--", *case.outputs, configuration=case.configuration)
    sentence = status != 0 and TAKEN in said
    if sentence:  # the orphan goes on: when it has ended, the same call makes what is missing
        _wait(lambda: not any(map(psutil.Process.is_running, jobs)))
        status, said = case.tiny.call("--", *case.outputs, configuration=case.configuration)
    wrong += [f"exit status {status}: {said[-300:]}"] if status else []
    outcome.count([*wrong, *case.faults()], sentence)
    return outcome


def _is_step(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    return "-m" in words and words[words.index("-m") + 1].startswith("wsis_steps.")


def _wait(until: Callable[[], bool]) -> None:
    while not until():
        time.sleep(0.05)
