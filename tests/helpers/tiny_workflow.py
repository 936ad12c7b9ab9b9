"""Runs the workflow as a user does: the snakemake command on a copy of the code, in a separate folder."""

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml
from patience import PATIENCE

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "tests/tiny.yaml"
CODE = ("Snakefile", "workflow", "profiles", "wsis_steps", "envs")
# one thread a job: jobs this small gain nothing from more, and two run side by side
COMMAND = ["snakemake", "--cores", "2", "--max-threads", "1"]


@dataclass
class Tiny:
    """A copy of the code in `code` and a run of it in `run`."""

    folder: Path

    @property
    def code(self) -> Path:
        return self.folder / "code"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def results(self) -> Path:
        return self.run / "results/tiny"

    def start(self, *options: str, configuration: Path = CONFIGURATION) -> subprocess.Popen:
        """Starts snakemake in a separate process group with its output in `said.txt`."""
        paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
        variables = {"PATH": os.pathsep.join(paths), "WSIS_CHECKPOINT_SECONDS": "0", "OMP_NUM_THREADS": "1"}
        command = [*COMMAND, "--directory", str(self.run), "--configfile", str(configuration), *options]
        with (self.folder / "said.txt").open("w") as said:
            return subprocess.Popen(
                command,
                cwd=self.code,
                env={**os.environ, **variables},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def call(self, *options: str, configuration: Path = CONFIGURATION, patience: float = PATIENCE) -> tuple[int, str]:
        """Exit status and output of snakemake; it is killed after the timeout."""
        process = self.start(*options, configuration=configuration)
        try:
            status = process.wait(timeout=patience)
        finally:
            kill_all(process)
        return status, (self.folder / "said.txt").read_text()

    def planned(self, *options: str, configuration: Path = CONFIGURATION) -> set[str]:
        """The jobs that a run would do now: rule and wildcards."""
        status, said = self.call("--dry-run", *options, configuration=configuration)
        assert status == 0, said
        return set(jobs(said))

    @contextmanager
    def edited(self, path: str, before: str, after: str) -> Iterator[None]:
        """Replaces a text in the code, temporarily."""
        file = self.code / path
        text = file.read_text()
        assert before in text, f"{path} no longer holds {before!r}"
        file.write_text(text.replace(before, after, 1))
        try:
            yield
        finally:
            file.write_text(text)

    @contextmanager
    def touched(self, path: str) -> Iterator[None]:
        """Sets the modification time of a result to now, temporarily."""
        file = self.results / path
        before = file.stat()
        os.utime(file)
        try:
            yield
        finally:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    @contextmanager
    def without(self, path: str) -> Iterator[None]:
        """Removes a result, temporarily."""
        file, aside = self.results / path, self.folder / "aside"
        file.rename(aside)
        try:
            yield
        finally:
            aside.rename(file)

    @contextmanager
    def unfinished(self, path: str) -> Iterator[None]:
        """A result that snakemake had not yet recorded when it was killed, temporarily."""
        name = base64.urlsafe_b64encode(f"results/tiny/{path}".encode()).decode()
        mark = self.run / ".snakemake/incomplete" / name
        mark.touch()
        try:
            yield
        finally:
            mark.unlink()

    def configured(self, **changes) -> Path:
        """tests/tiny.yaml with some keys changed; dots separate nested keys."""
        values = yaml.safe_load(CONFIGURATION.read_text())
        for key, value in changes.items():
            *above, last = key.split("__")
            place = values
            for name in above:
                place = place.setdefault(name, {})
            place[last] = value
        path = self.folder / "changed.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return path


def jobs(said: str) -> Iterator[str]:
    """Rule and wildcards of each job that snakemake lists: 'bestie_train bestie 00'."""
    for block in re.split(r"^(?:local)?(?:rule|checkpoint) ", said, flags=re.MULTILINE)[1:]:
        rule = block.split(":", 1)[0]
        found = re.search(r"^    wildcards: (.*)$", block, flags=re.MULTILINE)
        wildcards = dict(pair.split("=") for pair in found.group(1).split(", ")) if found else {}
        yield " ".join([rule, *(value for name, value in wildcards.items() if name != "dataset")])


def kill_all(process: subprocess.Popen) -> None:
    """Kills a process and all its children."""
    try:
        family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        family = []
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def wait_for(process: subprocess.Popen, folder: Path, pattern: str) -> Path:
    """The first file of the pattern, once it exists. Raises AssertionError if the process ends first."""
    while process.poll() is None:
        found = next(folder.glob(pattern), None)
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{pattern} never appeared")


def copy_code(tiny: Tiny) -> None:
    tiny.run.mkdir(parents=True)
    tiny.code.mkdir()
    for name in CODE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tiny.code / name)


def make(folder: Path) -> dict:
    """Runs the workflow, kills it during a training, and runs it again to the end; returns what happened."""
    tiny = Tiny(folder)
    copy_code(tiny)
    process = tiny.start()
    wait_for(process, tiny.run, "work/tiny/bestie/bestie_train_round00/checkpoint.pt")
    kill_all(process)
    story = {
        "locked": any((tiny.run / ".snakemake/locks").iterdir()),
        "first": sorted(jobs((folder / "said.txt").read_text())),
        "model_when_killed": (tiny.results / "bestie/bestie/round00/model.pt").exists(),
        "unlock": tiny.call("--unlock")[0],
    }
    status, said = tiny.call()
    if status:
        raise RuntimeError(f"the workflow failed:\n{said}")
    return {**story, "second": sorted(jobs(said)), "log": training_log(tiny)}


def training_log(tiny: Tiny) -> str:
    return (tiny.run / "logs/tiny/bestie/bestie_train_round00.log").read_text()
