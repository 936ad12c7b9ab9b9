"""wsis installed into an empty environment, from a wheel that was built of a source distribution."""

import re
import sys
from pathlib import Path

import pytest
import yaml
from environments import ROOT, Environment, build, copy_repository

from wsis_steps.engine import VERSION
from wsis_steps.plan.home import PRESETS


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Environment:
    """The source distribution is built of the repository, the wheel of the source distribution; the wheel is installed,
    and both are removed."""
    base = tmp_path_factory.mktemp("installed")
    source, wheel = sorted(build(copy_repository(base / "source"), base / "dist"), key=lambda path: path.suffix)
    assert [source.name, wheel.name] == [f"wsis-{VERSION}.tar.gz", f"wsis-{VERSION}-py3-none-any.whl"]
    environment = Environment(base / "environment")
    environment.install(wheel)
    return environment


@pytest.fixture(scope="module")
def project(installed, tmp_path_factory) -> Path:
    """A new project of the demo."""
    folder = tmp_path_factory.mktemp("projects")
    status, said = installed.run("wsis", "new", "mine", "--preset", "shapes", folder=folder)
    assert status == 0, said
    return folder / "mine"


def test_it_works_from_any_folder(installed, project, tmp_path):
    status, said = installed.run("wsis", "--version", folder=tmp_path)
    assert (status, said) == (0, f"wsis {VERSION}\n")
    status, said = installed.run("wsis", "check", project / "config.yaml", folder=tmp_path)
    assert status == 0 and "nothing is wrong" in said, said


def test_a_new_project_runs_the_whole_workflow(installed, project):
    status, said = installed.run("wsis", "run", "--dry-run", "--printshellcmds", folder=project)
    assert status == 0, said
    assert "    output: results/shapes/report.html" in said
    for step in (
        "bestie_train",
        "community_learning_train",
        "annotation_consistency_sample",
        "learning_to_segment_train",
    ):
        assert re.search(rf"^rule {step}:$", said, flags=re.MULTILINE)
    # nothing of the repository but the packages of these tests' environment, which may lie in it
    assert str(ROOT) not in said.replace(sys.prefix, "")


def test_its_jobs_use_the_installed_package_and_its_last_lines_appear(installed, project):
    (project / "results/shapes").mkdir(parents=True, exist_ok=True)
    (project / "results/shapes/report.html").touch()
    status, said = installed.run("wsis", "run", "results/shapes/results.json", folder=project)
    assert status == 0 and "report: results/shapes/report.html" in said, said
    found = next(installed.folder.glob("lib/python3*/site-packages/wsis_steps"))
    link = project / ".snakemake/wsis/package"  # what jobs see of that environment if they run in another
    assert [path.name for path in link.iterdir()] == ["wsis_steps"]
    assert (link / "wsis_steps").resolve() == found


def test_a_project_is_never_overwritten(installed, project):
    before = (project / "config.yaml").read_text()
    (project / "config.yaml").write_text(f"{before}# mine\n")
    status, said = installed.run("wsis", "new", project, folder=project)
    assert status == 2 and "already has Snakefile, config.yaml" in said and "nothing was written" in said
    assert (project / "config.yaml").read_text() == f"{before}# mine\n"
    (project / "config.yaml").write_text(before)


def test_every_preset_of_a_project_is_the_repositorys(installed, tmp_path):
    for name in PRESETS:
        status, said = installed.run("wsis", "new", name, "--preset", name, folder=tmp_path)
        assert status == 0, said
        text = (tmp_path / name / "config.yaml").read_text()
        assert yaml.safe_load(text) == yaml.safe_load(PRESETS[name].read_text())
        assert "snakemake --configfile" not in text and "make " not in text.split("dataset:")[0]


def test_without_a_project_run_says_how_to_get_one(installed, tmp_path):
    status, said = installed.run("wsis", "run", "--dry-run", folder=tmp_path)
    assert status == 2 and "has no Snakefile; `wsis new FOLDER` writes one." in said
    assert not list(tmp_path.iterdir())
