"""Curves of how well proposals cover the true instances, as a standalone SVG file, readable on light and dark."""

from collections.abc import Sequence
from html import escape

import numpy as np

from wsis_steps.evaluation.axes import Axis, log_ticks, ticks
from wsis_steps.evaluation.published_proposals import ProposalCurve

PANELS = {
    "j_instances": "J_i: mean best mask IoU",
    "j_classes": "J_c: the same by pixels of a class",
    "recall50": "recall, mask IoU above 0.5",
    "recall70": "recall, mask IoU above 0.7",
    "box_abo": "mean best box IoU",
    "box_recall50": "recall, box IoU above 0.5",
    "box_recall70": "recall, box IoU above 0.7",
}
COLUMNS = 4
WIDTH, HEIGHT = 300, 220  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 40, 14, 30, 30  # margins of its plotted area
TITLE, LINE = 34, 18  # heights of the title and of a line of the legend
OWN, OTHERS = "#3b82f6", ("#f07b16", "#1fa36a", "#d946a6", "#b08f00")
STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-size:15px;font-weight:bold}.head{font-weight:bold}"
    ".axis path{stroke:#ddd}.back{fill:#fff}polyline{fill:none;stroke-width:1.5}.own{stroke-width:2.5}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.axis path{stroke:#444}.back{fill:#181818}}"
)


def proposal_chart(title: str, own: ProposalCurve, published: Sequence[ProposalCurve]) -> str:
    """A panel for each figure in `own`: its curve solid, the published ones dashed.

    x: mean number of proposals per image, logarithmic; y: the figure, 0 to 1. Numbers below 1 are drawn as 1.
    """
    curves = [own, *(curve for curve in published if curve.values.keys() & own.values.keys())]
    panels = [name for name in PANELS if name in own.values]
    numbers = np.maximum(np.concatenate([curve.numbers for curve in curves]), 1)
    across = Axis(float(numbers.min()), float(numbers.max()), LEFT, WIDTH - RIGHT, logarithmic=True)
    top = TITLE + LINE * len(curves)
    drawn = [
        f'<g transform="translate({WIDTH * (k % COLUMNS)} {top + HEIGHT * (k // COLUMNS)})">'
        f"{_panel(name, curves, across)}</g>"
        for k, name in enumerate(panels)
    ]
    width, height = WIDTH * min(len(panels), COLUMNS), top + HEIGHT * -(-len(panels) // COLUMNS)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}"><style>{STYLE}</style>'
        f'<rect class="back" width="{width}" height="{height}"/>'
        f'<text class="title" x="10" y="22">{escape(title)}</text>{_legend(curves)}{"".join(drawn)}</svg>\n'
    )


def _look(place: int) -> str:
    """Attributes of the line of the curve at `place`; the first is our own."""
    if place == 0:
        return f'class="own" stroke="{OWN}"'
    return f'stroke="{OTHERS[(place - 1) % len(OTHERS)]}" stroke-dasharray="6 4"'


def _legend(curves: Sequence[ProposalCurve]) -> str:
    lines = []
    for place, curve in enumerate(curves):
        y = TITLE + LINE * place
        lines.append(
            f'<g><path d="M10 {y + 4}H44" {_look(place)}/>'
            f'<text x="52" y="{y + 8}">{escape(curve.name)}{", published" if place else ""}</text></g>'
        )
    return "".join(lines)


def _panel(name: str, curves: Sequence[ProposalCurve], across: Axis) -> str:
    up = Axis(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    parts = [f'<text class="head" x="{LEFT}" y="{TOP - 12}">{escape(PANELS[name])}</text>', _axes(across, up)]
    for place, curve in enumerate(curves):
        if name not in curve.values:
            continue
        kept = np.isfinite(curve.values[name])
        x, y = across(np.maximum(curve.numbers[kept], 1)), up(curve.values[name][kept])
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
        said = ", ".join(
            f"{value:.3f} at {number:,.0f}"
            for number, value in zip(curve.numbers[kept], curve.values[name][kept], strict=True)
        )
        title = escape(f"{curve.name}: {said}")
        parts.append(f'<polyline points="{points}" {_look(place)}><title>{title}</title></polyline>')
    return "".join(parts)


def _axes(across: Axis, up: Axis) -> str:
    parts = []
    for value in ticks(up.low, up.high, most=6):
        y = float(up(value))
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}</text>')
    for value in log_ticks(across.low, across.high):
        x = float(across(value))
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:,.0f}</text>')
    return f'<g class="axis">{"".join(parts)}</g>'
