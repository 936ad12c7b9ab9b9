"""Rows of pictures: the results of each run on an image, side by side."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from wsis_steps.report.curves import swatch
from wsis_steps.report.pictures import Overlay, jpeg_address

SIDE = 480  # longer side in pixels of an embedded picture
BACKGROUND_SIDE = 240  # and of one used as background of a single overlay
NAMED = 8  # number of things listed for screen readers


@dataclass(frozen=True)
class Column:
    """One picture per image.

    runs: (place, name) of those whose result it is, empty if it belongs to the data; caption: what it shows; draw: the
    overlay for the image of this id and its picture, None if there is nothing for this image; scored: whether a score
    threshold hides parts of it.
    """

    runs: tuple[tuple[int, str], ...]
    caption: str
    draw: Callable[[str, np.ndarray], Overlay | None]
    scored: bool = False


@dataclass(frozen=True)
class Subject:
    """An image of the gallery: a key that is unique on the page, its id, picture uint8 RGB, and its tags."""

    key: str
    identity: str
    picture: np.ndarray
    tags: tuple[int, ...]


def class_chips(class_names: Sequence[str], colors: Sequence[str]) -> str:
    """Buttons to choose a class, in the color in which it is drawn."""
    chips = ['<button class="chip" data-class="" aria-pressed="true">all classes</button>']
    for category, (name, color) in enumerate(zip(class_names, colors, strict=True)):
        chips.append(
            f'<button class="chip" data-class="{category}" aria-pressed="false">'
            f'<i style="background:{color}"></i>{escape(name)}</button>'
        )
    return "".join(chips)


def run_chips(runs: Sequence[str]) -> str:
    """Buttons to show or hide a run, in the color of its curves."""
    return "".join(
        f'<button class="chip" data-run="{place}" aria-pressed="true">{swatch(place)}{escape(name)}</button>'
        for place, name in enumerate(runs)
    )


def card(
    subject: Subject, columns: Sequence[Column], class_names: Sequence[str], threshold: float
) -> tuple[str, list[int]]:
    """All pictures of one image as HTML, and the classes on them.

    Those of the data come first, then one group per run, in the order of `columns`. Results shared by several runs are
    drawn with the first of them; the others say so. Predictions of a score below `threshold` are initially hidden.
    """
    data, groups, seen = [_plain(subject)], {}, set(subject.tags)
    for column in columns:
        overlay = column.draw(subject.identity, subject.picture)
        if overlay is None:
            continue
        seen |= {category for category, _ in overlay.found}
        panel = _panel(subject, column, overlay, class_names, threshold)
        first, *others = [groups.setdefault(run, ([], [])) for run in column.runs] or [(data, [])]
        first[0].append(panel)
        for _, shared in others:
            shared.append(f"{column.caption} as {column.runs[0][1]}")
    body = _group("", "data", data, []) + "".join(
        _group(str(place), f"{swatch(place)}{escape(name)}", *groups[place, name]) for place, name in sorted(groups)
    )
    tags = ", ".join(escape(class_names[tag]) for tag in subject.tags) or "none"
    text = (
        f'<article class="card"><h4>{escape(subject.identity)} <small>tags: {tags}</small></h4>'
        f'<div class="groups">{body}</div></article>'
    )
    return text, sorted(seen)


def sample(subject: Subject, column: Column, class_names: Sequence[str], threshold: float) -> str:
    """One picture of a column with its own copy of the image, as HTML; empty if there is nothing for this image."""
    overlay = column.draw(subject.identity, subject.picture)
    if overlay is None:
        return ""
    height, width = subject.picture.shape[:2]
    address = jpeg_address(subject.picture, SIDE)
    below = f'<image href="{address}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
    return _panel(subject, column, overlay, class_names, threshold, below)


def card_file(key: str, text: str) -> str:
    """The script that passes a card to the page: a file that a browser can load on demand, also from a disk."""
    return f"addCard({json.dumps(key)}, {json.dumps(text)});\n"


def _group(place: str, heading: str, panels: list[str], shared: list[str]) -> str:
    note = f" <small>{escape(', '.join(shared))}</small>" if shared else ""
    body = f'<h5>{heading}{note}</h5><div class="panels">{"".join(panels)}</div>'
    return f'<div class="group" data-place="{place}" style="--count:{max(len(panels), 1)}">{body}</div>'


def _plain(subject: Subject) -> str:
    height, width = subject.picture.shape[:2]
    image = (
        f'<image id="{subject.key}" href="{jpeg_address(subject.picture, SIDE)}" width="{width}" height="{height}" '
        'preserveAspectRatio="none"/>'
    )
    return _figure(subject, image, "image", subject.identity, "image", "", ' class="panel"')


def _panel(
    subject: Subject,
    column: Column,
    overlay: Overlay,
    class_names: Sequence[str],
    threshold: float,
    below: str = "",
) -> str:
    """below: the image as SVG; by default that of the card."""
    height, width = subject.picture.shape[:2]
    below = below or f'<use href="#{subject.key}"/>'
    if overlay.background is not None:
        address = jpeg_address(overlay.background, BACKGROUND_SIDE)
        below = f'<image href="{address}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
    seen = [(c, score) for c, score in overlay.found if not column.scored or score >= threshold]
    things = [class_names[c] + (f" {score:.2f}" if column.scored else "") for c, score in seen[:NAMED]]
    things += [f"{len(seen) - NAMED} more"] if len(seen) > NAMED else []
    owner = " of " + " and ".join(name for _, name in column.runs) if column.runs else ""
    name = f"{column.caption}{owner} on image {subject.identity}"
    note = f'<span class="count">{len(seen)} of {len(overlay.found)}</span>' if column.scored else ""
    places = " ".join(str(place) for place, _ in column.runs)
    marks = f' data-runs="{places}"' if places else ""
    marks += ' class="panel scored"' if column.scored else ' class="panel"'
    return _figure(subject, below + overlay.svg, name, ", ".join(things) or "nothing", column.caption, note, marks)


def _figure(subject: Subject, content: str, name: str, things: str, caption: str, note: str, marks: str) -> str:
    height, width = subject.picture.shape[:2]
    text = f"{name}: {things}"
    return (
        f'<figure{marks}><button class="look"><svg viewBox="0 0 {width} {height}" role="img" '
        f'style="--unit:{width / 100:.2f}px" data-name="{escape(name)}" aria-label="{escape(text)}">'
        f"{content}</svg></button><figcaption><span>{escape(caption)}</span>{note}</figcaption></figure>"
    )
