"""Which images to look at, or to correct, next: those whose labels are least sure or disagree between rounds."""

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

from wsis_steps.report.image_values import agreement, sureness
from wsis_steps.report.rounds import Row, round_of
from wsis_steps.report.tables import html_table
from wsis_steps.vision.contracts.agreement import places
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances

MOST = 20  # images listed per run
WHAT = (
    "The training images whose labels are most doubtful, first: tagged images without an instance, labels unlike those "
    "of the round before (mean overlap of each instance with the best one of its class in the other round), or of low "
    "score. <code>wsis export --order doubtful</code> writes all images in this order, to correct the first of them."
)


@dataclass(frozen=True)
class Doubt:
    """How doubtful the labels of an image are: its place in their file, 0 (sure) to 1, and why."""

    place: int
    value: float
    why: str


def doubts(labels: Instances, before: Instances | None, images: Images) -> list[Doubt]:
    """All images of a file of labels, the most doubtful first. before: labels of the round before, if there is one."""
    tagged = images.tags[places(images, labels)].any(axis=1)
    found = [_doubt(labels, before, k, bool(tagged[k])) for k in range(len(labels))]
    return sorted(found, key=lambda doubt: -doubt.value)


def _doubt(labels: Instances, before: Instances | None, k: int, is_tagged: bool) -> Doubt:
    own, identity = labels.read(k), labels.ids[k]
    if is_tagged and not len(own):
        return Doubt(k, 1.0, "tagged, but no instance")
    parts = []
    if before and identity in before.index:
        same = agreement(own, before.read(before.index[identity]), 0.0)
        parts += [] if same is None else [(1 - same, f"overlap with the round before {100 * same:.0f} %")]
    sure = sureness(own)
    parts += [] if sure is None else [(1 - sure, f"mean score {sure:.2f}")]
    return Doubt(k, *max(parts, default=(0.0, "no instance, and no tag"), key=lambda part: part[0]))


def round_before(path: Path) -> Path | None:
    """The file of the round before a file of labels, such as labels/round00.h5 for labels/round01.h5; None if there is
    none."""
    number = re.fullmatch(r"round(\d\d)\.h5", path.name)
    before = path.with_name(f"round{int(number[1]) - 1:02d}.h5") if number and int(number[1]) else None
    return before if before and before.is_file() else None


def next_html(made: list[Row], artifacts: dict[Path, Artifact], images: Images) -> str:
    """The section: for the last labels of each run, the images to look at; empty if there are no labels."""
    rounds: dict[str, dict[int, Path]] = {}
    for run, stage, path in made:
        number = round_of(stage.removesuffix("_corrected"))  # corrected labels follow those that they replace
        if number is not None and isinstance(artifacts[path], Instances) and len(artifacts[path]):
            rounds.setdefault(run, {})[number] = path
    rows, told = [], set()
    for run, found in rounds.items():
        last = max(found)
        if found[last] in told:  # of a run that shares its labels
            continue
        told.add(found[last])
        labels, before = artifacts[found[last]], artifacts.get(found.get(last - 1))
        where = places(images, labels)
        for doubt in doubts(labels, before, images)[:MOST]:
            i = where[doubt.place]
            tags = ", ".join(images.class_names[k] for k in images.tags[i].nonzero()[0]) or "none"
            cells = [run, images.names[i], tags, doubt.why]
            rows.append([*map(escape, cells), f"{doubt.value:.2f}"])
    if not rows:
        return ""
    table = html_table(["run", "image", "tags", "why", "doubt"], rows, 4, "images to look at next")
    return f'<p class="note">{WHAT}</p><details><summary>The first {MOST} of each run</summary>{table}</details>'
