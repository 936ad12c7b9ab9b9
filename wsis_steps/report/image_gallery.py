"""Images of a gallery, their possible orders, and the files of their cards."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from wsis_steps.drawing.colors import class_colors
from wsis_steps.engine.pool import fork_map
from wsis_steps.report.columns import split_of
from wsis_steps.report.gallery import Column, Subject, card, card_file, class_chips, run_chips
from wsis_steps.report.image_values import agreement, sureness
from wsis_steps.report.page import tools
from wsis_steps.report.texts import SPLITS
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.images import Pictures

CARDS = 12  # cards per page


def starting_threshold(predictions: list[Instances]) -> float:
    """The score below which predictions are initially hidden: 0.3, or less if a run would show nothing on half of the
    images on which it has any."""
    best = [[instances.scores.max() for instances in run if len(instances)] for run in predictions]
    return min(0.3, math.floor(20 * min((float(np.median(scores)) for scores in best if scores), default=1)) / 20)


def choose(images: Images, split: str, count: int) -> np.ndarray:
    """Up to `count` images of a split, evenly spaced over its list."""
    members = images.members(split)
    return members[np.unique(np.linspace(0, len(members) - 1, min(count, len(members))).astype(int))]


def subject_of(images: Images, pictures: Pictures, i: int, key: str = "picture") -> Subject:
    """Image i, whose key begins with `key`."""
    return Subject(f"{key}{i}", images.ids[i], pictures.read(i), tuple(images.tags[i].nonzero()[0].tolist()))


def write_cards(
    folder: Path, images: Images, members: np.ndarray, columns: list[Column], threshold: float, threads: int
) -> Iterator[list[int]]:
    """Writes the card of each image into the folder; returns the classes on it."""
    pictures = Pictures(images)

    def write(i: int) -> list[int]:
        text, classes = card(subject_of(images, pictures, i), columns, images.class_names, threshold)
        (folder / f"{i}.js").write_text(card_file(str(i), text), encoding="utf-8")
        return classes

    return fork_map(write, members.tolist(), threads)


def orders(
    images: Images,
    members: np.ndarray,
    results: dict[str, Instances],
    truth: Instances | None,
    threshold: float,
) -> tuple[list[tuple[str, str, str]], list[list[float | None]]]:
    """The orders in which the gallery of a split can be sorted, and the values of each image.

    results: the last labels or predictions of each run. An order is a run with the words for most and least: how well
    it agrees with the ground truth or, without any, how confident it is.
    """
    words = ("best", "worst") if truth else ("most confident", "least confident")
    columns = []
    for found in results.values():
        values: list[float | None] = []
        for i in members.tolist():
            identity = images.ids[i]
            here = found.read(found.index[identity]) if identity in found.index else None
            if here is None or (truth and identity not in truth.index):
                values.append(None)
            elif truth:
                values.append(agreement(here, truth.read(truth.index[identity]), threshold))
            else:
                values.append(sureness(here))
        columns.append([None if value is None else round(value, 4) for value in values])
    rows = [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in members]
    return [(run, *words) for run in results], rows


def last_instances(
    rows: Sequence[tuple[str, str, Path]], artifacts: dict[Path, Artifact], images: Images
) -> dict[str, dict[str, Instances]]:
    """The last file of instances of each run, by split and run."""
    found: dict[str, dict[str, Instances]] = {"train": {}, "val": {}}
    for run, _, path in rows:
        artifact = artifacts[path]
        if isinstance(artifact, Instances) and len(artifact):
            found[split_of(artifact, images)][run] = artifact
    return found


def gallery_html(
    folder: Path,
    address: str,
    *,
    images: Images,
    columns: dict[str, list[Column]],
    results: dict[str, dict[str, Instances]],
    truth: dict[str, Instances],
    runs: Sequence[str],
    count: int,
    threads: int,
    progress: Callable[[Iterator, int], Iterable],
    first: str = "val",
) -> tuple[str, dict]:
    """The tools above the gallery (HTML) and the script's data on its images; writes the cards into a new folder.

    address: of the folder, for the page. columns: by split; missing splits are not shown. count: maximum number of
    images per split. progress: yields each item and reports progress, like `Job.progress`. first: the split that is
    shown first.
    """
    threshold = starting_threshold(list(results["val"].values()))
    folder.mkdir()
    index: dict = {"folder": address, "size": CARDS, "splits": {}, "orders": {}}
    buttons = ""
    for split, word in sorted(SPLITS.items(), key=lambda item: item[0] != first):
        members = choose(images, split, count) if split in columns else []
        if not len(members):
            continue
        written = write_cards(folder, images, members, columns[split], threshold, threads)
        classes = list(progress(written, len(members)))
        lowest = threshold if split == "val" else 0.0
        names, values = orders(images, members, results[split], truth.get(split), lowest)
        index["orders"][split] = names
        index["splits"][split] = [
            {"key": str(i), "number": k, "classes": on, "values": row}
            for k, (i, on, row) in enumerate(zip(members.tolist(), classes, values, strict=True))
        ]
        pressed = "false" if buttons else "true"
        whole = len(images.members(split))
        note = f"{whole:,}" if whole == len(members) else f"{len(members):,} of {whole:,}"
        buttons += f'<button class="chip" data-split="{split}" aria-pressed="{pressed}">{word} ({note})</button>'
    colors = class_colors(len(images.class_names))
    chips = [("images", buttons), ("class", class_chips(images.class_names, colors)), ("run", run_chips(runs))]
    return tools(chips, threshold), index
