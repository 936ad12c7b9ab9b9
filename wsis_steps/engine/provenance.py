"""What made an artifact: step, settings, code, commit, version, and digests of its inputs."""

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Provenance:
    """What made an artifact; stored in its root attributes.

    `supervision` lists the annotations used: `tags`, `points`, `boxes`, `masks` (ground truth), `masks_seen` (by a
    part trained elsewhere on masks or drawn boundaries). `inputs` maps input names to digests; `before` maps the
    earlier steps that contributed to their settings as JSON, the nearest first. `version` is that
    of the program; results that differ in nothing else are equal.
    """

    step: str
    settings: str
    code: str
    commit: str
    inputs: dict[str, str] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    supervision: tuple[str, ...] = ()
    before: dict[str, str] = field(default_factory=dict)
    version: str = field(default="", compare=False)


def digest(path: Path | Sequence[Path]) -> str:
    """BLAKE2 digest of a file's size and content; of a file over 64 MB, only 64 evenly spaced blocks are read.

    Of a folder, it covers the names of its files; hidden ones, such as Snakemake's time stamp, are not content.
    """
    if not isinstance(path, Path):
        return hashlib.blake2b("".join(map(digest, path)).encode(), digest_size=16).hexdigest()
    if path.is_dir():
        names = sorted(found.name for found in path.iterdir() if not found.name.startswith("."))
        return hashlib.blake2b(str(names).encode(), digest_size=16).hexdigest()
    size, block = path.stat().st_size, 1 << 20
    state = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as file:
        if size <= 64 * block:
            state.update(file.read())
        else:
            for k in range(64):
                file.seek((size - block) * k // 63)
                state.update(file.read(block))
    return state.hexdigest()


def settings_before(made: Sequence[Provenance]) -> dict[str, str]:
    """Settings by step: first the steps that made the inputs, then those before them."""
    found: dict[str, str] = {}
    for steps in ({one.step: one.settings for one in made}, *(one.before for one in made)):
        found = {**found, **{step: text for step, text in steps.items() if step not in found}}
    return found


def commit() -> str:
    """The commit of the repository that holds the package; unknown if it is installed elsewhere, such as in a virtual
    environment inside another project's repository."""
    if not (PACKAGE.parent / ".git").exists():
        return "unknown"
    command = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
