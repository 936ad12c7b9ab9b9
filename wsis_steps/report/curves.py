"""Loss curves as SVG, drawn in the colors of the page, so they are readable on light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from wsis_steps.engine.documents import read_lines
from wsis_steps.engine.errors import InputError
from wsis_steps.evaluation.axes import Axis, log_ticks, ticks

WIDTH, HEIGHT = 320, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 22  # margins of the plotted area
RUN_COLORS = ("#3b82f6", "#f07b16", "#1fa36a", "#d946a6", "#b08f00", "#8b5cf6", "#12a3b8", "#ef4444")
DASHES = ("", "6 3", "2 3", "8 3 2 3")  # for runs beyond the number of colors
DOTTED = 12  # lines of up to this many points have a dot at each
WIDE = 30.0  # ratio of the largest to the smallest value from which the scale is logarithmic


@dataclass(frozen=True)
class Series:
    """The metrics of one training: its run, and per loss term the values at `iterations` (n,)."""

    name: str
    place: int
    iterations: np.ndarray
    terms: dict[str, np.ndarray]


def read_series(path: Path, name: str, place: int) -> Series:
    """Reads a file of JSON lines, each with `iteration` and the means of the loss terms; keeps the losses.

    `place` is the run's place among all runs, which determines its color. Raises InputError if the file is missing or a
    line is broken.
    """
    lines = read_lines(path, "metrics")
    try:
        iterations = np.array([line.pop("iteration") for line in lines], dtype=np.int64)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a metrics file; delete it and run again.") from error
    names = dict.fromkeys(term for line in lines for term in line if term != "learning_rate")
    try:
        terms = {term: np.array([line.get(term, math.nan) for line in lines], dtype=np.float64) for term in names}
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} is not a metrics file; delete it and run again.") from error
    return Series(name, place, iterations, terms)


def run_style(place: int) -> tuple[str, str]:
    """Color and dash pattern of the run at `place`."""
    count = len(RUN_COLORS)
    return RUN_COLORS[place % count], DASHES[place // count % len(DASHES)]


def swatch(place: int) -> str:
    """A line in the color and dashes of the run at `place`."""
    color, dash = run_style(place)
    return (
        f'<svg class="swatch" viewBox="0 0 20 6" aria-hidden="true">'
        f'<path d="M1 3H19" stroke="{color}" stroke-dasharray="{dash}"/></svg>'
    )


def value_scale(values: np.ndarray, linear: bool = False) -> Axis:
    """Vertical scale of all values of a chart: from zero, or logarithmic if they differ `WIDE`ly and may be."""
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if low > 0 and high / low > WIDE and not linear:
        return Axis(low, high, HEIGHT - BOTTOM, TOP, True)
    return Axis(min(low, 0.0), high if high > min(low, 0.0) else 1.0, HEIGHT - BOTTOM, TOP)


def line_chart(term: str, all_series: Sequence[Series], linear: bool = False) -> str:
    """A chart of one loss term over the iterations, one line per run: an SVG element with text for screen readers."""
    series = [s for s in all_series if term in s.terms and len(s.iterations)]
    across = Axis(0, max((float(s.iterations.max()) for s in series), default=1.0), LEFT, WIDTH - RIGHT)
    up = value_scale(np.concatenate([s.terms[term] for s in series]) if series else np.zeros(0), linear)
    parts = [f'<g class="axis">{_axes(across, up)}</g>']
    said = []
    for s in series:
        kept = np.isfinite(s.terms[term])
        x, y = across(s.iterations[kept]), up(s.terms[term][kept])
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
        color, dash = run_style(s.place)
        first, last = (f"{s.terms[term][kept][end]:.3g}" if kept.any() else "nothing" for end in (0, -1))
        said.append(f"{s.name} from {first} to {last}")
        parts.append(
            f'<polyline points="{points}" stroke="{color}" stroke-dasharray="{dash}">'
            f"<title>{escape(said[-1])}</title></polyline>"
        )
        if len(x) <= DOTTED:
            dots = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x.tolist(), y.tolist(), strict=True))
            parts.append(f'<path class="dot" d="{dots}" stroke="{color}"/>')
    label = escape(f"{term}: {'; '.join(said)}")
    logarithmic = "logarithmic" if up.logarithmic else ""
    return (
        f'<figure class="chart"><figcaption>{escape(term)}<small>{logarithmic}</small></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg></figure>'
    )


def _axes(across: Axis, up: Axis) -> str:
    parts = []
    for value in log_ticks(up.low, up.high) if up.logarithmic else ticks(up.low, up.high):
        y = float(up(value))
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{value:.3g}</text>')
    for value in filter(float.is_integer, map(float, ticks(across.low, across.high))):  # iterations and rounds
        anchor = "end" if value >= across.high else "middle"
        parts.append(
            f'<text x="{float(across(value)):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{value:,.0f}</text>'
        )
    return "".join(parts)


def training_charts(title: str, series: Sequence[Series], linear: bool = False) -> str:
    """The charts of one training step with their legend: `total` first, then its terms. linear: never on a
    logarithmic scale."""
    terms = dict.fromkeys(term for s in series for term in s.terms)
    ordered = sorted(terms, key=lambda term: term != "total")
    charts = "".join(line_chart(term, series, linear) for term in ordered)
    names = "".join(f"<span>{swatch(s.place)}{escape(s.name)}</span>" for s in series)
    return f'<h3>{escape(title)}</h3><div class="legend">{names}</div><div class="charts">{charts}</div>'
