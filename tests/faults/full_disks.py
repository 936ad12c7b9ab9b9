"""Disks that are full at the n-th byte: per file, by a process limit, and in total, by a small file system."""

import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.faults.cases import FULL, Case
from tests.faults.outcomes import Outcome

LEAST = 64  # bytes: a semaphore of Python in /dev/shm is a file of 32, which is no output
PAGE = 4096  # bytes by which a file system in memory grows


def limit_files(case: Case, times: int, chance: random.Random) -> Outcome:
    """Runs a case with several limits on the size of a file, from few bytes up to the size of the largest."""
    outcome = Outcome("no file larger than n bytes", case.name)
    largest = max(path.stat().st_size for path in _files(case))
    for limit in [LEAST, *(chance.randrange(LEAST, max(largest, LEAST + 1)) for _ in range(times - 1))]:
        case.clear()
        _count(outcome, case, *case.run(limit), what=f"{limit} bytes")
    _end(outcome, case)
    return outcome


def fill_file_systems(case: Case, times: int, chance: random.Random) -> Outcome:
    """Runs a case with its outputs and checkpoints on file systems that are too small for the outputs."""
    outcome = Outcome("a file system of n bytes", case.name)
    pages = sum(path.stat().st_size for path in _files(case)) // PAGE
    for _ in range(times if pages > 1 else 0):
        size = PAGE * chance.randrange(1, pages)
        with tempfile.TemporaryDirectory() as folder, file_system(Path(folder), size):
            moved = move(case, Path(folder))
            _count(outcome, moved, *moved.run(), what=f"{size} bytes")
    return outcome


@contextmanager
def file_system(folder: Path, size: int) -> Iterator[None]:
    """A file system of `size` bytes in a folder. Raises CalledProcessError if this user may not mount."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def can_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            with file_system(Path(folder), PAGE):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def move(case: Case, folder: Path) -> Case:
    """The case with its outputs and its work folder moved to another folder."""
    places = {output: str(folder / f"{k}_{Path(output).name}") for k, output in enumerate(case.outputs)}
    if "--work" in case.words:
        places[case.words[case.words.index("--work") + 1]] = str(folder / "work")
    words = [places.get(word, word) for word in case.words]
    return replace(case, words=words, outputs=[places[output] for output in case.outputs])


def _files(case: Case) -> list[Path]:
    return [file for path in case.paths() for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]


def _count(outcome: Outcome, case: Case, status: int, said: str, what: str) -> None:
    if status == 0:
        outcome.count([f"{what}: {fault}" for fault in case.faults()])
        return
    told = status == 2 and FULL in said and "Traceback" not in said
    wrong = [] if told else [f"exit status {status}: {said[-300:]}"]
    wrong += [*case.wrong(), *(f"{path} is left" for path in case.leftovers())]
    outcome.count([f"{what}: {fault}" for fault in wrong], sentence=True)


def _end(outcome: Outcome, case: Case) -> None:
    """Checks that the case ends as if undisturbed once there is space again."""
    status, said = case.run()
    if status or case.faults():
        outcome.count([f"with room again: exit status {status}: {said[-300:]}", *case.faults()])
