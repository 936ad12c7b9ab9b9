"""Checkpoints, from which an interrupted training resumes.

The environment variable WSIS_CHECKPOINT_SECONDS sets the time between checkpoints (60; 0 saves every iteration).
"""

import json
import logging
import os
import time

import torch
from torch import nn

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.provenance import digest
from wsis_steps.engine.settings import canonical
from wsis_steps.engine.step import Job
from wsis_steps.engine.writers import whole
from wsis_steps.vision import ranks
from wsis_steps.vision.metrics import Sums
from wsis_steps.vision.tensor_file import read_tensor_file

log = logging.getLogger("wsis")


def checkpoint_seconds() -> float:
    """Seconds between two checkpoints; InputError if WSIS_CHECKPOINT_SECONDS is not a number."""
    text = os.environ.get("WSIS_CHECKPOINT_SECONDS", "60")
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"WSIS_CHECKPOINT_SECONDS is '{text}', which is not a number of seconds.") from error


class Checkpoint:
    """Model, optimizer, iteration and metrics in `job.work`, with the fingerprint of settings, code and inputs."""

    def __init__(self, job: Job, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self.path = job.work / "checkpoint.pt" if job.work else None
        self.saved, self.interval = time.monotonic(), checkpoint_seconds()
        parts = {name: digest(path) for name, path in job.inputs.items() if path}
        self.fingerprint = canonical(
            {"settings": job.settings.model_dump(mode="json"), "code": job.code, "inputs": parts}
        )

    def resume(self, device: torch.device) -> tuple[int, list[dict], dict[str, torch.Tensor], int]:
        """The iteration to resume after, and the metrics so far; 0 if there is no matching checkpoint."""
        if self.path is None or not self.path.exists():
            return 0, [], {}, 0
        try:
            state = read_tensor_file(self.path, device)
        except InputError as error:
            log.warning("the checkpoint cannot be used: %s The training starts from its beginning.", error)
            return 0, [], {}, 0
        if not isinstance(state, dict) or state.get("fingerprint") != self.fingerprint:
            aside = self.path.with_suffix(".other.pt")
            if ranks.number() == 0:
                self.path.replace(aside)
            log.info("the checkpoint is from other settings, code or inputs; set aside as %s", aside)
            return 0, [], {}, 0
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        log.info("resuming after iteration %d", state["iteration"])
        return state["iteration"], json.loads(state["lines"]), state["terms"], state["count"]

    def due(self) -> bool:
        return self.path is not None and time.monotonic() - self.saved >= self.interval

    def save(self, iteration: int, sums: Sums) -> None:
        if self.path is None or ranks.number() > 0:
            return
        sums.means(iteration)  # raises if the training diverged: such a checkpoint is useless
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "fingerprint": self.fingerprint,
            "iteration": iteration,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lines": json.dumps(sums.lines),
            "terms": sums.terms,
            "count": sums.count,
        }
        with whole(self.path) as part, part.open("wb") as file:  # given a path, torch would not report a full disk
            torch.save(state, file)
        self.saved = time.monotonic()
