"""Verdicts, as HTML."""

import json
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

NOTE = (
    "None of this uses ground-truth masks: these are signs that a stage has gone wrong, some with a setting to try. "
    "The worst come first, but start with the earliest stage, since an error there affects all later ones."
)


def verdicts_html(rows: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """A list of the verdicts of `summary.json`, with links to the images; empty if there are none.

    folder: the folder of the page.
    """
    if not rows:
        return ""
    items = "".join(f"<li>{_item(row, folder)}</li>" for row in rows)
    return f'<p class="note">{NOTE}</p><ol>{items}</ol>'


def _item(row: Mapping[str, Any], folder: Path) -> str:
    link = os.path.relpath(Path(row["file"]).with_suffix(".html"), folder) if row["stage"] == "tags" else "#images"
    text = f'<b>{escape(row["run"])}</b>, <a href="{escape(link)}">{escape(row["stage"])}</a>: {escape(row["says"])}'
    if row["setting"] is None:
        return text
    step, key = row["setting"].split(".")
    wanted, now = (escape(json.dumps(row[name])) for name in ("try", "now"))
    return f"{text} Try <code>{escape(step)}: {{{escape(key)}: {wanted}}}</code> (now {now})."
