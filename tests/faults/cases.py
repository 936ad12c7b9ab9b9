"""Every step of the four systems, and the writing commands, each ready to run alone.

`prepare` runs the tests' tiny workflows to their ends. Snakemake records how each result was made. A case is such a
command line, run in the folder of the finished run; it must reproduce the existing results.
"""

import base64
import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tiny_workflow import ROOT, Tiny, copy_code

CONFIGURATIONS = (ROOT / "tests/tiny.yaml", ROOT / "tests/proposal_systems.yaml")
OF_TIMES = ("report_list_costs",)  # what it reads changes whenever another step runs
STAMP = ".snakemake_timestamp"  # which Snakemake adds to folders
TAKEN = "is being written by"  # what the second of two writers is told
FULL = "The disk is full: "


@dataclass
class Case:
    """A command line that makes `outputs`: files or folders below the run's folder, or with absolute paths."""

    name: str
    words: list[str]
    outputs: list[str]
    tiny: Tiny
    configuration: Path
    shared: bool = False  # its output is a folder to which it adds files one by one
    wanted: dict[str, str] = field(default_factory=dict)
    times: dict[Path, int] = field(default_factory=dict)  # nanoseconds, of the outputs before anything was disturbed
    seconds: float = 0.0  # from taking the lock to the end

    def paths(self) -> list[Path]:
        return [self.tiny.run / output for output in self.outputs]

    def contents(self) -> dict[str, str]:
        """Digests of the output files, by index of the output and path inside it."""
        found = {}
        for place, path in enumerate(self.paths()):
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file() and not is_leftover(file) and file.name != STAMP:
                    found[f"{place}/{file.relative_to(path)}"] = hashlib.sha256(file.read_bytes()).hexdigest()
        return found

    def wrong(self) -> list[str]:
        """Existing files with wrong content, and folders that are neither complete nor absent."""
        found, wanted = self.contents(), self.wanted
        wrong = [f"{name} differs" for name in found if found[name] != wanted.get(name)]
        for place, path in enumerate(self.paths()):
            whole = {name for name in wanted if name.startswith(f"{place}/")} <= set(found)
            wrong += [f"{path} is not whole"] if path.is_dir() and not whole and not self.shared else []
        return wrong

    def leftovers(self) -> list[str]:
        folders = {*(path.parent for path in self.paths()), *self.paths(), self.tiny.results, self.tiny.run / "work"}
        return sorted({str(path) for folder in folders for path in folder.rglob(".*") if is_leftover(path)})

    def faults(self) -> list[str]:
        """The differences from an undisturbed run."""
        missing = [f"{name} is missing" for name in self.wanted.keys() - self.contents().keys()]
        return [*self.wrong(), *missing, *(f"{path} is left" for path in self.leftovers())]

    def clear(self) -> None:
        for path in self.paths():
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def start(self, limit: int | None = None, said: int = subprocess.PIPE) -> subprocess.Popen:
        """Starts the case as a separate process group. limit: maximum bytes of a file."""
        more = {"PYTHONPATH": str(self.tiny.code), "WSIS_CHECKPOINT_SECONDS": "0", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, *self.words], cwd=self.tiny.run, env={**os.environ, **more}, text=True, stderr=said,
            stdout=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )  # fmt: skip

    def run(self, limit: int | None = None) -> tuple[int, str]:
        """Exit status and output of the process."""
        process = self.start(limit)
        said = process.communicate()[1]
        return process.returncode, said

    def begun(self, ended) -> bool:
        """Waits until the case has taken its locks; False if ended() becomes true first."""
        locks = [path / ".wsis.lock" if self.shared else path.with_name(f".{path.name}.lock") for path in self.paths()]
        while not any(lock.exists() for lock in locks):
            if ended():
                return False
            time.sleep(0.001)
        return True

    def measure(self) -> None:
        """Runs the case undisturbed: records its time, and checks that it reproduces the workflow's results, if any."""
        made = {} if self.name in OF_TIMES else self.contents()
        self.times = {path: path.stat().st_mtime_ns for path in self.paths() if made}
        self.clear()
        process = self.start(said=subprocess.DEVNULL)
        self.begun(lambda: process.poll() is not None)
        started = time.monotonic()
        status, self.seconds = process.wait(), time.monotonic() - started
        self.wanted = made or self.contents()
        assert status == 0 and not self.faults(), f"{self.name}: {status}, {self.faults()}"

    def put_back_times(self) -> None:
        """Restores the outputs' modification times, so that no later job is out of date."""
        for path, time_ns in self.times.items():
            if path.exists():
                os.utime(path, ns=(time_ns, time_ns))


def is_leftover(path: Path) -> bool:
    return re.fullmatch(r"\..*(\.partial(\.ranks)?|\.lock)", path.name) is not None


def prepare(folder: Path) -> list[Tiny]:
    """The finished workflows of the four systems, each in a separate folder; existing runs are reused."""
    found = []
    for configuration in CONFIGURATIONS:
        tiny = Tiny(folder / configuration.stem)
        if not tiny.folder.exists():
            copy_code(tiny)
        status, said = tiny.call(configuration=configuration)
        assert status == 0, said
        found.append(tiny)
    return found


def steps_of(tiny: Tiny, configuration: Path) -> Iterator[Case]:
    """A case for each rule of a finished run: the first of its jobs."""
    made: dict[str, tuple[str, list[str]]] = {}
    for path in sorted((tiny.run / ".snakemake/metadata").iterdir()):
        about = json.loads(path.read_text())
        output = base64.urlsafe_b64decode(path.name.rsplit("@")[-1]).decode()
        rule, outputs = made.setdefault(about["shellcmd"], (about["rule"], []))
        outputs.append(output)
    named = {rule: (command, outputs) for command, (rule, outputs) in sorted(made.items(), reverse=True) if command}
    for rule, (command, outputs) in sorted(named.items()):
        yield Case(rule, shlex.split(command)[1:], sorted(outputs), tiny, configuration)


def commands_of(tiny: Tiny, configuration: Path) -> Iterator[Case]:
    """Cases of commands that people run by hand, on the results of a finished run."""
    results = tiny.results.relative_to(tiny.run)
    model, labels = results / "bestie/maskrcnn/model.pt", results / "bestie/labels/round00.h5"
    calls = {f"export {kind}": ["export", str(labels), "--format", kind] for kind in ("coco", "voc", "yolo", "cvat")}
    calls["predict"] = ["predict", str(results / "shared/source/JPEGImages"), "--model", str(model), "--threads", "1"]
    calls["export torchscript"] = ["export", str(model), "--format", "torchscript"]
    for name, words in calls.items():
        out = f"{results}/by_hand/{name.replace(' ', '_')}"
        words = ["-m", "wsis_steps", *words, "--out", out]
        yield Case(f"wsis {name}", words, [out], tiny, configuration, shared="torchscript" not in name)
