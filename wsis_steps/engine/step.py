"""What all steps share: command line, log, progress, atomic outputs, provenance and errors.

A step module ends like this:

    STEP = Step("classifier_train", ClassifierTrain, inputs=("images",), outputs=("model", "metrics"))

    def main(job: Job) -> None: ...

    if __name__ == "__main__":
        STEP.run(main)

and is run as `python -m wsis_steps.classifier.train --images FILE --model FILE --settings JSON`.
With --ranks n, several processes share the work, each with its own GPU. In a training they share every batch: torchrun
starts them (started under torchrun by hand, a step is one of them), and the files of rank 0 are kept. In inference they
share the images, and their outputs are joined.

Exit status: 0 done, 2 an error the user can fix (one sentence), 1 a bug in this program (traceback), 130 Ctrl-C,
143 SIGTERM, after saving a checkpoint.
"""

import argparse
import json
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from wsis_steps.engine import VERSION
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.ordinary import check_ordinary
from wsis_steps.engine.outcome import guarded, start_log, torchrun_rank
from wsis_steps.engine.progress import duration, progress
from wsis_steps.engine.provenance import Provenance, commit, digest, settings_before
from wsis_steps.engine.settings import Settings, canonical, explain
from wsis_steps.engine.shards import Join, members_of_shard, share_among_processes
from wsis_steps.engine.verdicts import verdicts_of
from wsis_steps.engine.writers import WRITE_ERRORS, one_writer, partial_name, put_in_place, raise_full, remove

log = logging.getLogger("wsis")
Item = TypeVar("Item")


@dataclass
class Job:
    """One call of a step: its inputs, outputs and settings.

    `outputs` are temporary paths beside the final ones; they are renamed when `main` returns.
    """

    name: str
    settings: Any
    inputs: dict[str, Path | None]
    outputs: dict[str, Path]
    threads: int = 1
    code: str = ""
    work: Path | None = None
    values: dict[str, str] = field(default_factory=dict)
    shard: str = "1/1"
    verdict: str = "stop"
    terminated: bool = field(default=False, init=False)

    def provenance(
        self,
        class_names: Sequence[str] = (),
        supervision: Iterable[str] = (),
        before: Sequence[Provenance] = (),
        **settings: Any,
    ) -> Provenance:
        """Root attributes of an artifact made by this job. before: provenance of the inputs whose settings verdicts on
        the artifact may suggest."""
        return Provenance(
            step=self.name,
            settings=canonical({**self.settings.model_dump(mode="json"), **settings}),
            code=self.code,
            commit=commit(),
            inputs={name: digest(path) for name, path in self.inputs.items() if path},
            class_names=tuple(class_names),
            supervision=tuple(sorted(set(supervision))),
            before=settings_before(before),
            version=VERSION,
        )

    def share(self, members: np.ndarray) -> np.ndarray:
        """This job's part of `members` (image indices in order), if several jobs share the step; InputError if
        `shard` is not a fraction."""
        return members[members_of_shard(len(members), self.shard)]

    def progress(
        self,
        items: Iterable[Item],
        total: int | None = None,
        unit: str = "image",
        size: Callable[[Item], int] = lambda item: 1,
    ) -> Iterator[Item]:
        """`progress` with the name of the step; `total` defaults to the length of `items`."""
        return progress(items, len(items) if total is None else total, self.name, unit, size)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Step:
    """The interface of a step: rule name, settings model, names of inputs and outputs.

    Inputs in `optional` may be omitted on the command line and are then None.
    """

    name: str
    settings: type[Settings]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    several: tuple[str, ...] = ()  # inputs that take any number of files
    values: tuple[str, ...] = ()  # arguments that are text, not files
    join: Join | None = None  # joins outputs, if several jobs or processes may share the images

    @property
    def trains_on_labels(self) -> bool:
        """Whether the step may refuse labels because most images have none."""
        return self.settings.trains and "labels" in self.inputs

    def run(self, main: Callable[[Job], None], arguments: Sequence[str] | None = None) -> None:
        """Parses the command line, calls `main` and exits with its status."""
        words = sys.argv[1:] if arguments is None else list(arguments)
        options = self._parser(main).parse_args(words, argparse.Namespace(words=words))
        if getattr(options, "ranks", 1) > 1 and not self.join and "RANK" not in os.environ:
            _become_torchrun(options.ranks)
        start_log(options.log)
        sys.exit(guarded(lambda: self._execute(main, options)))

    def _parser(self, main: Callable[[Job], None]) -> argparse.ArgumentParser:
        module = sys.modules[main.__module__]
        parser = argparse.ArgumentParser(
            description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        for name in self.inputs + self.optional:
            several = {"nargs": "*", "default": []} if name in self.several else {}
            parser.add_argument(
                f"--{name}",
                type=Path,
                metavar="FILE",
                required=name in self.inputs,
                help="input" if name in self.inputs else "input, optional",
                **several,
            )
        for name in self.values:
            parser.add_argument(f"--{name}", metavar="TEXT", required=True)
        for name in self.outputs:
            parser.add_argument(f"--{name}", type=Path, metavar="FILE", required=True, help="output")
        if self.join:
            parser.add_argument("--shard", default="1/1", metavar="K/N", help="part of the images to process")
        parser.add_argument("--settings", default="{}", metavar="JSON", help="settings that differ from the defaults")
        parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads to use")
        if self.join or self.settings.shares_batches:
            parser.add_argument("--ranks", type=int, default=1, help="processes that share the work, one GPU each")
        if self.trains_on_labels:
            parser.add_argument("--verdict", choices=("stop", "warn"), default="stop", help="on unlabeled images")
        parser.add_argument("--code", default="", help="fingerprint of the code, stored with the result")
        parser.add_argument("--work", type=Path, metavar="FOLDER", help="folder for checkpoints")
        parser.add_argument("--log", type=Path, metavar="FILE", help="also write the log to this file")
        return parser

    def _execute(self, main: Callable[[Job], None], options: argparse.Namespace) -> None:
        settings = self._read_settings(options.settings)
        if options.threads < 1:
            raise InputError(f"--threads is {options.threads}; it must be at least 1.")
        if getattr(options, "ranks", 1) < 0:
            raise InputError(f"--ranks is {options.ranks}; it must be at least 0, which means 1.")
        inputs = {name: getattr(options, name) for name in self.inputs + self.optional}
        for path in inputs.values():
            for one in path if isinstance(path, list) else [path]:
                if one is not None and not one.exists():
                    raise InputError(f"{one} does not exist.")
                if one is not None and not one.is_dir():
                    check_ordinary(one)
        final = {name: getattr(options, name) for name in self.outputs}
        rank, ranks = torchrun_rank()
        partial = {name: partial_name(path) for name, path in final.items()}
        values = {name: getattr(options, name) for name in self.values}
        threads = max(options.threads // ranks, 1)
        shard = getattr(options, "shard", "1/1")
        job = Job(self.name, settings, inputs, partial, threads, options.code, options.work, values, shard)
        job.verdict = getattr(options, "verdict", job.verdict)
        signal.signal(signal.SIGTERM, lambda *_: _terminate(job))
        started = time.monotonic()
        log.info("%s, settings %s", self.name, canonical(settings.model_dump(mode="json")))
        for path in final.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        if rank:
            self._make(main, job, options, {})  # rank 0 keeps the outputs
            return
        with one_writer(*final.values(), *filter(None, [job.work])):
            self._make(main, job, options, final)
            if job.work is not None:
                shutil.rmtree(job.work, ignore_errors=True)  # checkpoints of a finished job
        if job.shard == "1/1":  # a part says nothing about the whole
            for verdict in (verdict for path in final.values() for verdict in verdicts_of(path)):
                log.warning("doubtful: %s", verdict.sentence())
        size = sum(_size(path) for path in final.values())
        made = ", ".join(map(str, final.values()))
        took = duration(time.monotonic() - started)
        log.info("wrote %s (%.1f MB) in %s%s", made, size / 1e6, took, _gpu_memory())

    def _make(self, main: Callable[[Job], None], job: Job, options: argparse.Namespace, final: dict[str, Path]) -> None:
        """Calls `main` and puts the outputs named in `final` in place."""
        try:
            self._compute(main, job, options)
            for name, path in final.items():
                put_in_place(job.outputs[name], path)
        except WRITE_ERRORS as error:
            raise_full(error, *final.values())
            raise
        finally:
            for path in job.outputs.values():
                remove(path)

    def _compute(self, main: Callable[[Job], None], job: Job, options: argparse.Namespace) -> None:
        """Calls `main` here, or in several processes that share the images."""
        if not self.join or options.ranks <= 1:
            main(job)
            return
        threads = max(job.threads // options.ranks, 1)
        command = [sys.modules[main.__module__].__spec__.name, *options.words, "--threads", str(threads)]
        status = share_among_processes(command, job.shard, job.outputs, options.ranks, self.join)
        if status:
            log.error("One of %d processes failed, and the others were ended.", options.ranks)
            sys.exit(status if status > 0 else 1)

    def _read_settings(self, text: str) -> Settings:
        try:
            json.loads(text)
        except ValueError as error:
            raise InputError(f"--settings is not JSON: {error}.") from error
        try:
            return self.settings.model_validate_json(text)
        except ValidationError as error:
            raise InputError(explain(error, self.settings, self.name)) from error


def _become_torchrun(ranks: int) -> None:
    """Replaces this process by torchrun, which runs this command line `ranks` times and ends all when one fails."""
    module = sys.modules["__main__"].__spec__.name
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), "--module", module]
    os.execv(sys.executable, [sys.executable, *torchrun, *sys.argv[1:]])


def _gpu_memory() -> str:
    """The peak GPU memory of this process, as a clause; empty if it used no GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return ""
    return f", at most {torch.cuda.max_memory_reserved() / 1e6:.0f} MB of GPU memory"


def _terminate(job: Job) -> None:
    """Ends the process, except in a training: its loop sees `terminated` and saves a checkpoint first."""
    if job.terminated or job.work is None:
        sys.exit(143)
    job.terminated = True


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in path.rglob("*")) if path.is_dir() else path.stat().st_size
