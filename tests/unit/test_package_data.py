"""What an installed package brings beside its modules, as setuptools understands pyproject.toml."""

from pathlib import Path

from setuptools import Distribution

ROOT = Path(__file__).parents[2]


def test_an_installed_package_has_all_files_of_the_source(monkeypatch):
    monkeypatch.chdir(ROOT)
    distribution = Distribution({"script_name": "none"})
    distribution.parse_config_files(["pyproject.toml"])
    distribution.include_package_data = False  # which would ask git, and write a list beside the source
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    modules = {Path(path).resolve() for path in build.get_source_files()}
    data = {Path(folder, name).resolve() for _, folder, _, files in build.data_files for name in files}
    source = {path for path in (ROOT / "wsis_steps").rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
    assert {path.suffix for path in source} >= {".py", ".css", ".csv", ".js", ".pt"}
    assert source == modules | data
