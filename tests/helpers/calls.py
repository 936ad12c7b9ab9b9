"""Calls a step in this process, as its command line does."""

import importlib
import json
import logging
import signal
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass
class Outcome:
    """How a step ended: exit status, what it logged as errors, and whether any had a traceback."""

    status: int
    errors: list[str]
    traceback: bool
    log: list[str]


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def call(step: str, settings: dict | str | None = None, **arguments) -> Outcome:
    """Runs `python -m wsis_steps.<step>` with the arguments; lists are several files."""
    module = importlib.import_module(f"wsis_steps.{step}")
    words = [] if settings is None else ["--settings", settings if isinstance(settings, str) else json.dumps(settings)]
    for name, value in {"threads": 1, **arguments}.items():
        words += [f"--{name}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    records, log = _Records(), logging.getLogger("wsis")
    terminated, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    log.addHandler(records)
    try:
        module.STEP.run(module.main, words)
    except SystemExit as ended:
        status = ended.code
    finally:
        log.removeHandler(records)
        signal.signal(signal.SIGTERM, terminated)
        torch.set_num_threads(threads)
    errors = [record for record in records.records if record.levelno >= logging.ERROR]
    return Outcome(
        status,
        [record.getMessage() for record in errors],
        any(record.exc_info for record in errors),
        [record.getMessage() for record in records.records],
    )


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
