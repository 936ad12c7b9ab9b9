"""Results made by an earlier version, which are all recomputed once."""

import json
from pathlib import Path

from wsis_steps.engine import RESULTS


def made_anew(summary: Path) -> str | None:
    """A sentence saying why everything is recomputed, if another version made the results; otherwise None.

    summary: results/<dataset>/shared/data/summary.json, which may not exist. Its fingerprint is empty if the data set
    was imported by hand.
    """
    try:
        found = json.loads(summary.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # the version is unknown; Snakemake handles the missing or damaged file
    code = found.get("code") if isinstance(found, dict) else ""
    if code == "" or str(code).startswith(f"{RESULTS}-"):
        return None
    version, dash, _ = str(code).partition("-")
    made = f"with results version {version}" if dash else "by a version without results versions"
    return f"{summary.parents[2]} was made {made} (now results version {RESULTS}), so everything is recomputed once."
