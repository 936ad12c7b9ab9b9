"""Tables in Markdown that also read well in a terminal, and names of runs in them."""

import re
from collections.abc import Iterable

SEED = re.compile(r"(.+)_seed\d+")


def base_name(run: str) -> str:
    """The name of a run without its seed: `bestie` of `bestie_seed0`."""
    found = SEED.fullmatch(run)
    return found[1] if found else run


WORDS = {
    "tags": "tags", "points": "points", "boxes": "boxes", "masks": "ground-truth masks",
    "masks_seen: boundaries": "edges learned from drawn boundaries",
    "masks_seen: segments": "proposals ranked by drawn segments",
    "masks_seen": "parts that have seen masks or drawn boundaries",
}  # fmt: skip


def supervision_in_words(supervision: Iterable[str]) -> str:
    """What went in, for people: `tags; edges learned from drawn boundaries`. supervision: as in an artifact."""
    given = list(supervision)
    own = [WORDS.get(one, one) for one in given if not one.startswith("masks_seen")]
    parts = [WORDS.get(one, WORDS["masks_seen"]) for one in given if one.startswith("masks_seen")]
    return "; ".join(filter(None, [" and ".join(own), ", ".join(dict.fromkeys(parts))])) or "nothing"


def aligned(header: list[str], lines: list[list[str]], text_columns: int) -> str:
    """Markdown with padded cells: the first columns are text, the others right-aligned numbers."""
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    rules = ["-" * width if k < text_columns else "-" * (width - 1) + ":" for k, width in enumerate(widths)]

    def padded(row: list[str]) -> list[str]:
        text = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        return text[:text_columns] + numbers[text_columns:]

    rows = (padded(header), rules, *map(padded, lines))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
