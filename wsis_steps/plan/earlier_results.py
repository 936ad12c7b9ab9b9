"""Results that were made under other fingerprints: why everything runs again once."""

import json
from pathlib import Path

from wsis_steps.engine import RESULTS


def made_anew(summary: Path) -> str | None:
    """One sentence where results were made under fingerprints of another version, else None.

    summary: results/<dataset>/shared/data/summary.json, which may not exist; the fingerprint in it is empty where the
    data set was imported by hand.
    """
    try:
        found = json.loads(summary.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # nothing is known, and the file is an output that the workflow looks after
    code = found.get("code") if isinstance(found, dict) else ""
    if code == "" or str(code).startswith(f"{RESULTS}-"):
        return None
    version, dash, _ = str(code).partition("-")
    made = f"under results version {version}" if dash else "before fingerprints left out what cannot change a figure"
    return f"{summary.parents[2]} was made {made} (now results version {RESULTS}), so everything is made anew once."
