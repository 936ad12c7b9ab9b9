"""The content and the provenance of a result, as lines of text."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsis_steps.drawing.artifact import EDGES, MOST, surest
from wsis_steps.engine.provenance import Provenance
from wsis_steps.engine.verdicts import verdicts_of
from wsis_steps.evaluation.text_table import supervision_in_words
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.points import Points
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.masks import UNSURE


def made_by(provenance: Provenance) -> list[str]:
    """The provenance of a file: step, supervision, classes, version, commit, inputs and settings."""
    settings = json.loads(provenance.settings)
    inputs = ", ".join(f"{name} {mark[:8]}" for name, mark in provenance.inputs.items()) or "none"
    lines = [
        f"made by      {provenance.step}",
        f"supervision  {supervision_in_words(provenance.supervision)}",
        f"classes      {', '.join(provenance.class_names)}",
        f"version      {provenance.version or 'unknown'}, commit {provenance.commit[:12]}, "
        f"code {provenance.code or 'unknown'}",
        f"inputs       {inputs} (digests)",
        "settings",
    ]
    return lines + [f"  {name}: {json.dumps(value)}" for name, value in settings.items()]


def spread(values: np.ndarray) -> str:
    """'12 to 340, median 50', or the value itself if all are equal."""
    if not len(values):
        return "none"
    least, most = (f"{value:g}" for value in (values.min(), values.max()))
    return least if least == most else f"{least} to {most}, median {np.median(values):g}"


def by_class(counts: Sequence[int], class_names: Sequence[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in zip(class_names, counts, strict=True))


def range_line(ends: tuple[int, int]) -> str:
    return f"range        {ends[0]} to {ends[1]}, black and white of images of more than 8 bits"


def contents(artifact: Artifact) -> list[str]:
    """The content of a file: numbers of images and objects, sizes, classes."""
    count = len(artifact)
    lines = [f"images       {count}, {spread(artifact.widths)} wide, {spread(artifact.heights)} high (pixels)"]
    counts = np.diff(artifact.first)
    if isinstance(artifact, Images):
        splits, numbers = np.unique(artifact.splits, return_counts=True)
        lines += [f"splits       {by_class(numbers.tolist(), splits.tolist())}"]
        lines += [f"tags         {by_class(artifact.tags.sum(axis=0).tolist(), artifact.class_names)}"]
        lines += [f"without tag  {int((~artifact.tags.any(axis=1)).sum())} images"]
        if artifact.picture_range:
            lines += [range_line(artifact.picture_range)]
        return lines + [
            f"points       {sum(map(len, artifact.points))}",
            f"boxes        {sum(map(len, artifact.boxes))}",
        ]
    kind = artifact.attributes["schema"]
    name = "proposals" if kind == "proposals" else kind
    lines += [f"{name:12} {int(counts.sum())}; an image has {spread(counts)}"]
    if isinstance(artifact, Instances):
        found = list(artifact)
        categories = np.concatenate([np.zeros(0, np.int64), *(one.categories for one in found)])
        per_class = np.bincount(categories, minlength=len(artifact.class_names)).tolist()
        lines += [f"of classes   {by_class(per_class, artifact.class_names)}"]
        for title, column in (("scores", "scores"), ("areas", "areas")):
            lines += [f"{title:12} {spread(np.concatenate([np.zeros(0), *(getattr(one, column) for one in found)]))}"]
    if isinstance(artifact, Proposals):
        lines += [f"kind         {artifact.kind}"]
    if isinstance(artifact, Features):
        cells = f"{spread(artifact.map_sizes[:, 1])} wide, {spread(artifact.map_sizes[:, 0])} high"
        lines += [f"channels     {artifact.channels}", f"cells        {cells}"]
    return lines


def doubts(path: Path) -> list[str]:
    """The doubts that were recorded about a file."""
    return [f"doubtful     {verdict.sentence()}" for verdict in verdicts_of(path)]


def of_image(artifact: Artifact, i: int, least_score: float) -> list[str]:
    """The content of image `i`; instances below `least_score` are left out."""
    names = artifact.class_names
    lines = [f"image        {artifact.ids[i]} (number {i}), {artifact.widths[i]}x{artifact.heights[i]} pixels"]
    if isinstance(artifact, Images):
        tags = [names[k] for k in artifact.tags[i].nonzero()[0]]
        split, points, boxes = artifact.splits[i], len(artifact.points[i]), len(artifact.boxes[i])
        return [*lines, f"split {split}, tags {', '.join(tags) or 'none'}, {points} points, {boxes} boxes"]
    if isinstance(artifact, Instances):
        found = surest(artifact.read(i), least_score)
        rows = zip(found.categories, found.scores, found.areas, found.boxes, strict=True)
        lines += [
            f"  {names[category]}, score {score:.3f}, {area:.0f} pixels, box {' '.join(f'{v:g}' for v in box)}"
            for category, score, area, box in rows
        ]
    if isinstance(artifact, Points):
        lines += [f"  {names[int(c)]} at {x:.1f} {y:.1f}, {sure:.3f}" for x, y, c, sure in artifact.read(i).tolist()]
    if isinstance(artifact, Features):
        lines += [f"  {artifact.channels} channels of {w}x{h} cells" for h, w in artifact.map_sizes[artifact.rows(i)]]
    if isinstance(artifact, Maps):
        maps, categories = artifact.read(i)
        if artifact.provenance.step == EDGES:
            lines += [f"  edges, at most {maps.max() / 255:.3f}"]
        elif maps.dtype == np.uint8:
            labels, pixels = np.unique(maps[0], return_counts=True)
            title = {0: "background", UNSURE: "unsure"} | {k + 1: name for k, name in enumerate(names)}
            total = maps[0].size
            lines += [f"  {title[int(v)]}, {n / total:.1%}" for v, n in zip(labels, pixels, strict=True)]
        else:
            lines += [f"  {names[c]}, at most {m.max():.3f}" for c, m in zip(categories, maps, strict=True)]
    if isinstance(artifact, Proposals):
        lines += [f"  {len(artifact.read(i).boxes)} {artifact.kind}, of which a drawing shows the first {MOST}"]
    return lines
