"""The texts of the report page."""

from collections.abc import Container, Sequence
from html import escape

from wsis_steps.vision.contracts.images import Images

SPLITS = {"val": "evaluation", "train": "training"}
UNKNOWN = {
    "val": "The evaluation images have no ground-truth masks: predictions cannot be scored, only inspected.",
    "train": "The training images have no ground-truth masks: pseudo labels cannot be scored, only inspected.",
}
MARKS = (
    "Marks: the color of a class fills its activation maps (brighter is stronger), its regions of a semantic map and "
    "its instances; a disc is a cue or a point; gray with a dashed border is unsure or ignored. Predictions are "
    "labeled with their class and score. Click a picture to enlarge it."
)
KEYS = (
    "Keys: left and right move between images or, in an enlarged picture, between the pictures of an image; up and "
    "down move to the same stage of another image; n and p turn the page."
)

PAIRS = (
    "Paired differences: above zero the first run has the higher figure. If it lacks a part of the other run, a value "
    "below zero is the gain from that part. Stages that both share are left out."
)


def lead(images: Images, runs: Sequence[str], truth: Container[str]) -> str:
    """The introduction of the page, in a few sentences of HTML."""
    counts = " and ".join(f"{len(images.members(split)):,} {word}" for split, word in SPLITS.items())
    names = ", ".join(map(escape, images.class_names))
    text = f"<p>{counts} images of {len(images.class_names)} classes: {names}.</p>"
    text += f"<p>Runs: {', '.join(map(escape, runs))}.</p>"
    return text + "".join(f"<p><b>{UNKNOWN[split]}</b></p>" for split in SPLITS if split not in truth)


def legend(stages: Sequence[tuple[str, str, str]], pairs: Sequence[Sequence[str]] = ()) -> str:
    """HTML that describes the stages of the tables, one after another, with the systems if they differ.

    stages: stage, description, and the systems it applies to. pairs: the comparisons; if there are any, it explains how
    to read differences.
    """
    meanings: dict[str, list[tuple[str, str]]] = {}
    for stage, about, systems in stages:
        meanings.setdefault(stage, []).append((about, systems))
    parts = []
    for stage, found in meanings.items():
        words = [about if len(found) == 1 else f"{about} ({systems})" for about, systems in found]
        parts.append(f"<b>{escape(stage)}</b>, {escape(', or '.join(words))}")
    return f"Stages: {'; '.join(parts)}." + (f" {PAIRS}" if pairs else "")
