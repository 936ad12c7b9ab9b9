"""Empty virtual environments, and git repositories of the code, for tests of how others install and use it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from patience import PATIENCE

ROOT = Path(__file__).parents[2]
PACKAGED = ("Snakefile", "workflow", "profiles", "envs", "config", "config.yaml", "wsis_steps", "setup.py",
            "pyproject.toml", "README.md", "LICENSE")  # fmt: skip
UV = str(Path(sys.executable).with_name("uv"))


def copy_repository(folder: Path) -> Path:
    """The files that a package is built of, in a folder of their own: a build leaves files beside its source."""
    folder.mkdir(parents=True)
    for name in PACKAGED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def commit_all(folder: Path, tag: str) -> str:
    """Makes a git repository of a folder, or adds a commit; returns the commit."""
    git = [
        "git",
        "-C",
        str(folder),
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    if not (folder / ".git").exists():
        call([*git, "init", "--quiet"])
    call([*git, "add", "--all"])
    call([*git, "commit", "--quiet", "--message", tag])
    call([*git, "tag", tag])
    return call([*git, "rev-parse", "HEAD"]).strip()


def build(source: Path, to: Path, *kinds: str) -> list[Path]:
    """Builds distributions with the setuptools of this environment, without network. kinds: --sdist, --wheel."""
    call(
        [UV, "build", "--offline", "--no-build-isolation", "--python", sys.executable, *kinds, "--out-dir", to, source]
    )
    return sorted(path for path in to.iterdir() if path.suffix in (".whl", ".gz"))


class Environment:
    """A virtual environment that has this one's packages, but no wsis: an editable install's hook is not followed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        call([UV, "venv", "--quiet", "--offline", "--python", sys.executable, folder])
        own = next(folder.glob("lib/python3*/site-packages"))
        (own / "outer.pth").write_text(sysconfig.get_path("purelib"))

    def install(self, distribution: Path) -> None:
        python = self.folder / "bin/python"
        call([UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation", "--python", python,
              distribution])  # fmt: skip

    def run(self, *command: str | Path, folder: Path, **variables: str) -> tuple[int, str]:
        """Exit status and output of one of its programs, started in a folder as after `source activate`."""
        return attempt(
            [str(self.folder / "bin" / command[0]), *map(str, command[1:])],
            cwd=folder,
            PATH=os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]]),
            **variables,
        )

    def snakemake(self, *options: str, folder: Path, **variables: str) -> tuple[int, str]:
        return self.run("python", "-m", "snakemake", "--cores", "1", *options, folder=folder, **variables)


def attempt(command: list, cwd: Path | None = None, **variables: str) -> tuple[int, str]:
    """Exit status and output of a command, without PYTHONPATH."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**inherited, **variables}, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def call(command: list) -> str:
    """The output of a command that must succeed."""
    status, said = attempt(command)
    assert status == 0, said
    return said
