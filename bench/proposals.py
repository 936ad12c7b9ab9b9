"""Time and memory of region proposals, edges included, and the speedup by a second worker."""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from bench.neighbourhood import draw_picture
from bench.rows import Row
from wsis_steps.engine.pool import fork_map
from wsis_steps.proposals.edge_models import load_edge_finder
from wsis_steps.proposals.mcg.rankers import load_ranker
from wsis_steps.proposals.region_proposals import propose
from wsis_steps.proposals.search_selectively import search
from wsis_steps.proposals.settings import ProposalsGroupRegions

PHOTOS = Path(__file__).parents[2] / "shared/data/photos/JPEGImages"
COUNT, WORKERS = 16, 2


def pictures() -> list[np.ndarray]:
    """Photographs of about 500 x 375 pixels; without them generated ones."""
    files = sorted(PHOTOS.glob("*.jpg"))[:COUNT]
    if files:
        return [_resized(cv2.imread(str(file))[..., ::-1]) for file in files]
    print(f"no photographs in {PHOTOS}: proposals are measured on generated pictures")
    return [draw_picture(np.random.default_rng(number), 500)[:375] for number in range(COUNT)]


def _resized(picture: np.ndarray) -> np.ndarray:
    scale = (500 * 375 / picture[..., 0].size) ** 0.5
    return cv2.resize(np.ascontiguousarray(picture), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def proposer(mode: str) -> Callable[[np.ndarray], int]:
    """A function that makes the proposals of an image and returns their number."""
    torch.set_num_threads(1)
    settings = ProposalsGroupRegions(mode=mode)
    find_edges, _ = load_edge_finder(settings.edges, settings.edge_model)
    ranker, _ = load_ranker(settings.ranker, settings.ranker_model, settings.edges, mode)
    return lambda picture: len(propose(picture, settings, find_edges, ranker))


def _seconds(function: Callable[[np.ndarray], object], seen: list[np.ndarray]) -> float:
    function(seen[0])  # compiles
    started = time.perf_counter()
    for picture in seen:
        function(picture)
    return (time.perf_counter() - started) / len(seen)


def peak_megabytes(mode: str) -> float:
    """Peak resident memory of this process after four images, including imports."""
    make = proposer(mode)
    for picture in pictures()[:4]:
        make(picture)
    # what getrusage says holds the largest size of the process that started this one, too
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def _peak_of_a_process(mode: str) -> float:
    """As `peak_megabytes`, of a fresh process."""
    code = f"from bench.proposals import peak_megabytes; print(peak_megabytes({mode!r}))"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return float(said.split()[-1])


def _speedup(function: Callable[[np.ndarray], object], seen: list[np.ndarray]) -> tuple[float, float]:
    """Time of one worker over time of two on the same images, and the same ratio for processes without a pool."""

    def pool(workers: int) -> float:
        started = time.perf_counter()
        list(fork_map(function, WORKERS * seen, workers, chunk=1))
        return time.perf_counter() - started

    def apart(count: int) -> float:
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=_seconds, args=(function, seen)) for _ in range(count)]
        started = time.perf_counter()
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        return time.perf_counter() - started

    return pool(1) / pool(WORKERS), WORKERS * apart(1) / apart(WORKERS)


def measure() -> list[Row]:
    """Rows of both modes against OpenCV's Selective Search."""
    threads = torch.get_num_threads()
    seen = pictures()
    against = "selective search, quality"
    baseline = _seconds(lambda picture: search(picture, "quality", 0), seen[:4])
    accurate, fast = proposer("accurate"), proposer("fast")
    workers, processes = _speedup(accurate, seen)
    rows = [
        Row("region proposals, accurate, one core", _seconds(accurate, seen), "s", against, baseline, 2.0),
        Row("region proposals, fast, one core", _seconds(fast, seen), "s", against, baseline, 0.5),
        Row("memory of region proposals", _peak_of_a_process("accurate"), "MB", "limit", 1000, 1000),
        Row("two workers over one", workers, "x", "two processes, no pool", processes, 1.8, least=True),
    ]
    torch.set_num_threads(threads)
    return rows
