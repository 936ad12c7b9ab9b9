"""Runs the benchmarks against the project's limits, each with a baseline in the same run (make bench).

    python -m bench.run                       all; some minutes on two cores
    python -m bench.run labels evaluation     only these

Prints a table and writes benchmarks/bench.json. Other work on the machine can distort loading, workflow,
semantic_training and community_learning.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from bench import (
    annotation_consistency,
    checksums,
    community_learning,
    dataset_import,
    dense_crf,
    evaluation,
    growth,
    labels,
    loading,
    memory,
    neighbourhood,
    peaks,
    proposals,
    replacement,
    semantic_training,
    throughput,
    workflow,
)
from bench.machine import machine
from bench.rows import Row, table
from wsis_steps.engine.errors import nearest
from wsis_steps.vision.device import choose_device

ROOT = Path(__file__).parents[1]
PARTS: dict[str, Callable[[Path, torch.device], list[Row]]] = {
    "labels": lambda folder, device: labels.measure(),
    "evaluation": lambda folder, device: evaluation.measure(folder),
    "neighbourhood": lambda folder, device: neighbourhood.measure(),
    "semantic_training": lambda folder, device: semantic_training.measure(device),
    "community_learning": lambda folder, device: community_learning.measure(device),
    "annotation_consistency": lambda folder, device: annotation_consistency.measure(),
    "peaks": lambda folder, device: peaks.measure(),
    "dense_crf": lambda folder, device: dense_crf.measure(),
    "dataset_import": lambda folder, device: dataset_import.measure(folder),
    "growth": lambda folder, device: growth.measure(folder),
    "replacement": lambda folder, device: replacement.measure(folder),
    "proposals": lambda folder, device: proposals.measure(),
    "memory": lambda folder, device: memory.measure(folder),
    "checksums": lambda folder, device: checksums.measure(folder),
    "workflow": lambda folder, device: workflow.measure(folder),
    "loading": loading.measure,
    "throughput": throughput.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    chosen = parser.parse_args().parts or list(PARTS)
    if unknown := sorted(set(chosen) - set(PARTS)):
        parser.error(f"there is no part '{unknown[0]}', {nearest(unknown[0], PARTS)}")
    device = choose_device(os.cpu_count() or 1, fixed_sizes=True)  # once: a GPU is leased until the process ends
    output = ROOT / "benchmarks/bench.json"
    output.parent.mkdir(exist_ok=True)
    rows: list[Row] = []
    failed = []
    for part in chosen:
        print(f"{part} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows += PARTS[part](Path(folder), device)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:  # costs the others nothing
                print(f"{part} failed: {error}", file=sys.stderr)
                failed.append(part)
        document = {"machine": machine(), "failed": failed, "rows": [row.document() for row in rows]}
        output.write_text(json.dumps(document, indent=1) + "\n")
    print(table(rows))
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
