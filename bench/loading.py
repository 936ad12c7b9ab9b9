"""Whether loading keeps up with training: images per second of a training fed by its loader, compared with the same
training on one batch in memory, for the classifier and the instance network of config.yaml.

Both are timed alternately in one run, on the generated data set, drawn and imported as in the workflow.
"""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn
from torch.utils.data import Dataset

from bench.rows import Row
from wsis_steps.bestie import samples
from wsis_steps.bestie import train as bestie_train
from wsis_steps.bestie.network import build_network
from wsis_steps.classifier import train as classifier_train
from wsis_steps.classifier.network import build_classifier
from wsis_steps.engine.provenance import Provenance
from wsis_steps.engine.settings import canonical
from wsis_steps.plan.config import load
from wsis_steps.plan.runs import Runs
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.loop import Batches, advance, build_loader, to_device
from wsis_steps.vision.masks import paint
from wsis_steps.vision.schedule import build_optimizer
from wsis_steps.vision.settings import Training

ROOT = Path(__file__).parents[1]
IMAGES, TURNS = 96, 11  # pictures; pairs of blocks
BLOCK_SECONDS, LEAST, MOST = 1.0, 4, 50  # length of a block, and its iterations at least and at most
Loss = Callable[[nn.Module, Any, int], dict[str, torch.Tensor]]


def run_step(module: str, settings: dict, *arguments: str) -> None:
    """Calls a step as the workflow does."""
    command = [sys.executable, "-m", f"wsis_steps.{module}", "--settings", canonical(settings), *arguments]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def draw_data(folder: Path, settings: dict) -> None:
    """Draws and imports the data set, and uses its ground truth as semantic maps and pseudo labels."""
    run_step("data.draw_shapes", {**settings, "train": IMAGES, "val": 8}, "--tree", f"{folder}/tree")
    names = ("images", "instances_train", "instances_val", "summary")
    outputs = [text for name in names for text in (f"--{name}", f"{folder}/{name}.h5")]
    run_step("data.import_dataset", {"format": "shapes"}, "--source", f"{folder}/tree", *outputs)
    truth = Instances(folder / "instances_train.h5")
    provenance = Provenance("bench", "{}", "", "", class_names=truth.class_names)
    with create(folder / "semantic.h5", Maps.schema, provenance) as file:
        writer = MapsWriter(file, (int(truth.heights.max()), int(truth.widths.max())), np.uint8)
        for i, instances in enumerate(truth):
            height, width = int(truth.heights[i]), int(truth.widths[i])
            values = np.append(0, instances.categories + 1).astype(np.uint8)
            writer.add(truth.ids[i], height, width, values[paint(instances, height, width)][None])
        writer.close()


def classifier(folder: Path, settings: Training) -> tuple[nn.Module, Dataset, Loss, None]:
    """Network, data set, loss and collation of classifier_train."""
    images = Images(folder / "images.h5")
    model = build_classifier(settings, len(images.class_names))
    return model, classifier_train.TaggedPictures(images, settings), classifier_train.build_loss(settings, 1), None


def bestie(folder: Path, settings: Training) -> tuple[nn.Module, Dataset, Loss, Callable]:
    """Network, data set, loss and collation of bestie_train."""
    images, semantic = Images(folder / "images.h5"), Maps(folder / "semantic.h5")
    labels = Instances(folder / "instances_train.h5")
    dataset = samples.TrainingSamples(images, semantic, labels, settings)
    model = build_network(settings, len(images.class_names))
    return model, dataset, bestie_train.build_loss(settings), samples.collate


def compare(parts: tuple, settings: Training, device: torch.device, threads: int) -> tuple[float, float]:
    """Images per second with the loader and on one batch: medians over alternating blocks."""
    model, dataset, loss, collate = parts
    model.to(device).train()
    optimizer = build_optimizer(settings, [{"params": list(model.parameters())}])
    endless = Batches(len(dataset), settings.batch_size, 0, 0, 10**6)
    loader = build_loader(dataset, endless, threads, device, collate)
    batches: Iterator = iter(loader)
    cached = next(batches)
    ready = (loader.prefetch_factor or 0) * loader.num_workers  # batches that wait while the cached one is in use

    def train(source: Iterator, iterations: int) -> float:
        started = time.perf_counter()
        for number in range(iterations):
            advance(model, optimizer, loss, to_device(next(source), device), number + 1, device)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return iterations * settings.batch_size / (time.perf_counter() - started)

    train(batches, 1)
    rate = train(batches, 2) / settings.batch_size
    block = min(max(round(BLOCK_SECONDS * rate), LEAST), MOST)
    rates = []
    for _ in range(TURNS):
        train(batches, ready)  # what was loaded ahead does not count
        loaded = train(batches, block)
        time.sleep(0.5)  # the workers fill up, so that they rest during the other block
        rates.append((loaded, train(itertools.repeat(cached), block)))
    del batches
    return tuple(np.median(rates, axis=0).tolist())


def measure(folder: Path, device: torch.device) -> list[Row]:
    """All rows of this benchmark; `folder` is for the data."""
    configuration = Runs(load(yaml.safe_load((ROOT / "config.yaml").read_text())))
    draw_data(folder, configuration.values("shared", "data_draw_shapes").model_dump(mode="json"))
    threads = os.cpu_count() or 1
    rows = []
    for step, build in (("classifier_train", classifier), ("bestie_train", bestie)):
        settings = configuration.values("bestie", step).model_copy(update={"weights": "none"})
        loaded, cached = compare(build(folder, settings), settings, device, threads)
        what = f"{step} with its loader ({device.type})"
        rows.append(Row(what, loaded, "images/s", "same, one batch in memory", cached, 0.9, of_ratio=True, least=True))
    return rows
