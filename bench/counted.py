"""Calls a step and records what it takes: python -m bench.counted RECORD wsis_steps.bestie.train --images FILE ...

RECORD is JSON: seconds and processor seconds of the step's own function, without imports; the FLOPs that torch's
counter saw (multiplications and additions of convolutions and matrix products, forward and backward); and the ids of
the images in its outputs, or else in its inputs.
"""

import functools
import json
import runpy
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

import h5py

from wsis_steps.engine.step import Job, Step


class NoModules(nullcontext):
    """Stops torch's counter from tracking each module, which would need a tenth more memory."""

    parents = frozenset({"Global"})


def image_ids(paths: Iterable[Path]) -> list[str] | None:
    """The image ids in these artifacts, sorted; None if no file lists images."""
    lists = []
    for path in paths:
        if path.is_file() and h5py.is_hdf5(path):
            with h5py.File(path) as file:
                if "image/id" in file:
                    lists.append(file["image/id"].asstr()[:])
    return sorted({name for names in lists for name in names}) if lists else None


def job_images(job: Job) -> list[str]:
    """The image ids of a job: those in its outputs, even if empty; if these list no images, those in its inputs."""
    written = image_ids(job.outputs.values())
    if written is not None:
        return written
    inputs = (path for given in job.inputs.values() for path in (given if isinstance(given, list) else [given]))
    return image_ids(path for path in inputs if path) or []


def counted(main: Callable[[Job], None], record: Path) -> Callable[[Job], None]:
    """A step's function that also writes `record`. FLOPs are counted only if the step uses torch."""

    @functools.wraps(main)
    def call(job: Job) -> None:
        counter = nullcontext()
        if "torch" in sys.modules:
            from torch.utils.flop_counter import FlopCounterMode

            counter = FlopCounterMode(display=False)
            counter.mod_tracker = NoModules()
        started = time.perf_counter(), time.process_time()
        with counter:
            main(job)
        seconds, processor = time.perf_counter() - started[0], time.process_time() - started[1]
        flops = counter.get_total_flops() if hasattr(counter, "get_total_flops") else 0
        document = {"seconds": seconds, "processor": processor, "flops": flops, "images": job_images(job)}
        record.write_text(json.dumps(document))

    return call


def count_runs(record: Path) -> None:
    """Makes every step that runs in this process write `record`."""
    run = Step.run

    def counted_run(step: Step, main: Callable[[Job], None], *arguments) -> None:
        run(step, counted(main, record), *arguments)

    Step.run = counted_run


if __name__ == "__main__":
    record = Path(sys.argv[1])
    del sys.argv[:2]
    count_runs(record)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
