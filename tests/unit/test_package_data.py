"""What an installed package brings beside its modules, as setuptools understands pyproject.toml and setup.py."""

import runpy
from pathlib import Path

import setuptools

ROOT = Path(__file__).parents[2]
BESIDE = ("Snakefile", "config.yaml", "envs/environment.yaml")  # and everything in workflow/ and profiles/


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"}


def test_an_installed_package_has_all_files_of_the_source_and_the_workflow(monkeypatch):
    monkeypatch.chdir(ROOT)
    said = {}
    monkeypatch.setattr(setuptools, "setup", said.update)
    runpy.run_path("setup.py")
    distribution = setuptools.Distribution({**said, "script_name": "none"})
    distribution.parse_config_files(["pyproject.toml"])
    distribution.include_package_data = False  # which would ask git, and write a list beside the source
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    modules = {Path(path).resolve() for path in build.get_source_files()}
    data = {Path(folder, name).resolve() for _, folder, _, names in build.data_files for name in names}
    source = files(ROOT / "wsis_steps")
    assert {path.suffix for path in source} >= {".py", ".css", ".csv", ".js", ".pt"}
    # workflow/profiles is a link to profiles/
    workflow = {path.resolve() for path in files(ROOT / "workflow") | files(ROOT / "profiles")}
    assert {path.suffix for path in workflow} == {"", ".smk", ".yaml", ".rst"}
    assert modules | data == source | workflow | {ROOT / name for name in BESIDE} | {ROOT / "setup.py"} & modules
