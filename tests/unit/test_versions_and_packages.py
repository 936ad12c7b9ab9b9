"""One version everywhere, and pyproject.toml, the lock files, the conda environment and pre-commit agree."""

import ast
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from wsis_steps.engine import VERSION
from wsis_steps.engine.extras import EXTRAS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINUX = {"python_version": "3.11", "python_full_version": "3.11.7", "sys_platform": "linux", "extra": ""}


def locked(name: str = "requirements.txt") -> dict[str, str]:
    """The versions of a lock file for Python 3.11 on Linux."""
    found = {}
    for line in (ROOT / "envs" / name).read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            one = Requirement(line.removesuffix("\\").strip())
            if one.marker is None or one.marker.evaluate(LINUX):
                found[canonicalize_name(one.name)] = str(one.specifier).removeprefix("==")
    return found


def named(*extras: str) -> list[Requirement]:
    """The packages of pyproject.toml, with those of extras; an extra may name others of its own."""
    texts = list(PROJECT["dependencies"]) if not extras else []
    found = [Requirement(text) for text in texts]
    for extra in extras:
        for one in map(Requirement, PROJECT["optional-dependencies"][extra]):
            found += named(*sorted(one.extras)) if one.name == "wsis" else [one]
    return found


def run_time() -> list[Requirement]:
    return [*named(), *named("all")]


def test_the_version_is_the_same_everywhere():
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?", VERSION)  # semver.org
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == VERSION
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1] == VERSION
    assert PROJECT["dynamic"] == ["version"]  # of wsis_steps.engine; test_installed.py looks at the wheel


def test_locked_versions_are_those_that_the_package_asks_for():
    versions = locked() | locked("slurm.txt")
    for one in [*run_time(), *named("dev"), *named("slurm")]:
        assert versions[canonicalize_name(one.name)] in one.specifier, one
    every = {extra for extra in PROJECT["optional-dependencies"] if extra not in ("all", "dev", "slurm")}
    assert {str(one) for one in named("all")} >= {str(one) for extra in every for one in named(extra)}


def test_the_package_asks_for_what_it_imports():
    """Extras are imported only where `EXTRAS` says what is missing."""
    providers, needed, extra = packages_distributions(), {}, {}
    for path in (ROOT / "wsis_steps").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for module in {name.partition(".")[0] for name in modules} - {"wsis_steps", *sys.stdlib_module_names}:
                needed[module] = path
    needed.pop("snakemake_interface_logger_plugins")  # a part of snakemake
    core = {canonicalize_name(one.name) for one in named()}
    extra = {canonicalize_name(one.name) for one in run_time()} - core
    for module, path in needed.items():
        owners = {canonicalize_name(name) for name in providers[module]}
        assert owners & (extra if module in EXTRAS else core), f"{path} imports {module}"
    for module, name in EXTRAS.items():
        owners = {canonicalize_name(owner) for owner in providers[module]}
        assert owners & {canonicalize_name(one.name) for one in named(name)}


def test_the_conda_environment_has_the_locked_versions_of_all_that_a_run_needs():
    """It stands alone: Snakemake copies only this file."""
    document = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    plain = [one for one in document["dependencies"] if isinstance(one, str)]
    (lines,) = (one["pip"] for one in document["dependencies"] if isinstance(one, dict))
    assert "python=3.11" in plain and "pip" in plain
    assert document["channels"] == ["conda-forge"] and not any("-r" in line.split() for line in lines)
    found = dict(line.split("==") for line in lines)
    versions = locked()
    assert found == {name: versions[name] for name in found}
    waiting, seen = [one.name for one in run_time()], set()
    while waiting:  # everything that those packages need in turn, as far as they are installed here
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        assert name in found, name
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        waiting += [one.name for one in map(Requirement, requires) if one.marker is None or one.marker.evaluate(LINUX)]
    development = {canonicalize_name(one.name) for one in named("dev")}
    assert not development & set(found)


def test_pre_commit_formats_as_make_lint_does():
    versions, hooks = locked(), yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    revisions = {repo["repo"].rpartition("/")[2]: Version(repo["rev"]) for repo in hooks}
    assert revisions == {"ruff-pre-commit": Version(versions["ruff"]), "snakefmt": Version(versions["snakefmt"])}


def test_the_catalog_finds_the_standard_layout():
    """A link would break in wheels and zip files, so the configuration is copied."""
    assert (ROOT / "config/config.yaml").read_bytes() == (ROOT / "config.yaml").read_bytes()
    assert not (ROOT / "config/config.yaml").is_symlink()
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] and usage["report"]
    assert (ROOT / "config/README.md").is_file() and (ROOT / "workflow/Snakefile").is_file()
