"""Tells what the trainings and inferences of a configuration take, before anything runs.

Each is counted on tensors without values, with the networks, sizes and batches of the configuration: FLOPs
(multiplications and additions of convolutions and matrix products, of trainings with the backward pass), parameters,
and the memory of all tensors at the peak, in float32. Hours are FLOPs divided by the rate that --gpu or --tflops gives:
a GPU's peak in bfloat16, from its data sheet, which no training reaches, so they are lower limits. `python -m
bench.gpu_check` measures how far from it a GPU stays.

Not counted: the steps on processors (proposals, CRFs, first labels, scores), for which the minutes of the last run are
listed if there are any (`cost.csv`); operations other than convolutions and matrix products; the memory that CUDA and
its libraries take themselves. Mask R-CNN's heads are counted with as many regions and masks as its settings allow, so
with few objects it takes less. Images are taken to have two tags, and the size that --size gives; by default that of
the generated ones, or of most images of VOC (375 x 500) and COCO (480 x 640).

examples:
  wsis plan workflow/presets/voc2012.yaml --gpu "A100 40GB"
  wsis plan my.yaml more.yaml --tflops 20 --memory 12       a GPU that sustains 20 TFLOP/s and has 12 GB
  wsis plan config.yaml --json
"""

import argparse
import json
import math
from pathlib import Path

from wsis_steps.commands.configuration import read_configuration
from wsis_steps.commands.forecast import Forecast, forecast, longest
from wsis_steps.data.shape_looks import CLASS_NAMES
from wsis_steps.engine.documents import read_document
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.time_left import read_costs
from wsis_steps.vision.passes import Pictures

# Data sheets: dense bfloat16 TFLOP/s with sums in float32, and GB of memory.
GPUS = {
    "A100 40GB": (312, 40), "A100 80GB": (312, 80), "H100 80GB": (989, 80), "H200": (989, 141), "L40S": (362, 48),
    "RTX 3060 12GB": (25.5, 12), "RTX 3090": (71, 24), "RTX 4090": (165, 24),
}  # fmt: skip
# Of official archives, if the configuration names them: images of each list, classes, and the size of most images.
LISTS = {"trainaug": 10_582, "train": 1_464, "val": 1_449}
COCO_2017, CLASSES, SIZES = (118_287, 5_000), {"voc": 20, "coco": 80}, {"voc": (375, 500), "coco": (480, 640)}
# of the table
HEADER = ("job", "times", "GFLOP each", "PFLOP", "M parameters", "GB", "hours")


def positive_number(text: str) -> float:
    if not 0 < float(text) < math.inf:
        raise ValueError(text)
    return float(text)


def positive_count(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("configuration", type=Path, nargs="+", metavar="CONFIG", help="each overrides those before it")
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--gpu", metavar="NAME", help=", ".join(GPUS))
    rate.add_argument("--tflops", type=positive_number, metavar="N", help="TFLOP/s that a GPU sustains")
    parser.add_argument(
        "--memory", type=positive_number, metavar="GB", help="memory of a GPU; by default that of --gpu"
    )
    parser.add_argument("--gpus", type=positive_count, default=1, metavar="N", help="GPUs that work side by side")
    parser.add_argument("--images", type=positive_count, nargs=2, metavar=("TRAIN", "VAL"), help="numbers of images")
    parser.add_argument(
        "--size", type=positive_count, nargs=2, metavar=("HEIGHT", "WIDTH"), help="of an image, in pixels"
    )
    parser.add_argument("--proposals", type=positive_count, default=2000, help="proposals of an image (2000)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def find_pictures(runs: Runs, options: argparse.Namespace) -> tuple[dict[str, int], Pictures]:
    """Numbers of images of each split, and what passes need to know: as told, imported, generated, or published."""
    settings, summary = runs.values("shared", "data_import_dataset"), Path(runs.folder, "shared/data/summary.json")
    official = settings.format in runs.values("shared", "data_download_archives").archives
    lists = [LISTS.get(settings.train_list), LISTS.get(settings.val_list)]
    numbers, classes, size = None, None, None
    if settings.format == "shapes":
        drawn = runs.values("shared", "data_draw_shapes")
        numbers, classes, size = (drawn.train, drawn.val), len(CLASS_NAMES), (drawn.image_size, drawn.image_size)
    elif official:
        classes, size = CLASSES[settings.format], SIZES[settings.format]
        numbers = COCO_2017 if settings.format == "coco" else lists if all(lists) else None
    if summary.exists():
        imported = read_document(summary)
        numbers, classes = (imported["train"]["images"], imported["val"]["images"]), len(imported["class_names"])
    numbers, size = options.images or numbers, options.size or size
    if numbers is None or classes is None:
        raise InputError(
            f"The data are not imported yet, so their classes and images are not known: run `snakemake {summary}`."
        )
    if size is None:
        raise InputError("The size of the images is not known; give --size HEIGHT WIDTH.")
    return dict(zip(("train", "val"), numbers, strict=True)), Pictures(classes, *size, options.proposals)


def find_gpu(options: argparse.Namespace) -> tuple[float | None, float | None]:
    """TFLOP/s and GB of a GPU, None where not told. Raises InputError for an unknown GPU."""
    if options.gpu and options.gpu not in GPUS:
        raise InputError(
            f"--gpu: there is no '{options.gpu}' in the list, {nearest(options.gpu, GPUS)}; or give --tflops."
        )
    rate, memory = GPUS[options.gpu] if options.gpu else (options.tflops, None)
    return rate, options.memory or memory


def row(job: Forecast, rate: float | None) -> list[str]:
    """A line of the table."""
    if job.taken is None:
        return [job.name, "", "not counted", "", "", "", ""]
    return [
        job.name,
        f"{job.times:,}",
        f"{job.taken.flops / 1e9:,.3g}",
        f"{job.flops / 1e15:.3g}",
        f"{job.taken.parameters / 1e6:.3g}",
        f"{job.memory / 1e9:.3g}",
        f"{hours_of(job, rate):.3g}" if rate else "",
    ]


def excess(job: Forecast, memory: float) -> str:
    """A sentence on a job that does not fit, with the settings to change."""
    settings = " or ".join(f"{job.step}.{name}" for name in job.settings[:2])
    remedy = f"lower {settings}" if settings else "take a GPU with more memory"
    return f"{job.name} needs {job.memory / 1e9:.3g} GB, more than {memory:g}: {remedy}."


def hours_of(job: Forecast, rate: float) -> float:
    """Hours of a job on one GPU that sustains `rate` TFLOP/s."""
    return job.flops / (rate * 1e12) / 3600


def document(job: Forecast, rate: float | None, memory: float | None) -> dict:
    """A job as JSON values."""
    taken = job.taken
    return {
        "job": job.name, "step": job.step, "counted": taken is not None, "times": job.times,
        "flops_each": taken and taken.flops, "flops": taken and job.flops, "parameters": taken and taken.parameters,
        "memory_bytes": taken and job.memory, "hours": hours_of(job, rate) if taken and rate else None,
        "fits": job.memory <= memory * 1e9 if taken and memory else None,
        "waits_for": [other.name for other in job.before],
    }  # fmt: skip


def table(rows: list[list[str]]) -> str:
    """The rows in columns."""
    lines = [list(HEADER), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))])
        for name, *cells in lines
    )


def main(options: argparse.Namespace) -> None:
    rate, memory = find_gpu(options)
    runs = Runs(read_configuration(options.configuration))
    images, pictures = find_pictures(runs, options)
    jobs = forecast(runs, images, pictures)
    counted = [job for job in jobs if job.taken]
    costs = {step: seconds / 60 for step, seconds in read_costs(Path(runs.folder, "cost.csv")).items()}
    costs = {step: minutes for step, minutes in costs.items() if step not in {job.step for job in counted}}
    whole, chain = longest(jobs, lambda job: hours_of(job, rate) if rate else job.flops)
    total = sum(hours_of(job, rate) for job in counted) if rate else None
    least = max(whole, total / options.gpus) if rate else None
    if options.json:
        found = {
            "images": images, "tflops": rate, "memory_gb": memory, "gpus": options.gpus,
            "jobs": [document(job, rate, memory) for job in jobs], "gpu_hours": total, "least_hours": least,
            "longest_chain": [job.name for job in chain if job.taken], "minutes_of_last_run": costs,
        }  # fmt: skip
        print(json.dumps(found, indent=1))
        return
    print(table([row(job, rate) for job in jobs]))
    for job in counted:
        if memory and job.memory > memory * 1e9:
            print(excess(job, memory))
    print(f"\n{len(counted)} of {len(jobs)} jobs are counted, {sum(job.flops for job in counted) / 1e15:.3g} PFLOP.")
    print(f"The longest chain of jobs that wait for each other: {', '.join(job.name for job in chain if job.taken)}.")
    if rate:
        print(
            f"At {rate:g} TFLOP/s at least {total:.3g} hours of a GPU; with {options.gpus}, at least {least:.3g} hours."
        )
    if costs:
        print("\nMinutes of a job in the last run, on this or another machine:")
        print("\n".join(f"  {step:40} {minutes:8.2f}" for step, minutes in sorted(costs.items())))
