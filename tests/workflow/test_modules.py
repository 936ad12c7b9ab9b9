"""The workflow as others use it: as a module of another Snakefile, from a path, from git, and through snakedeploy."""

import json
import re
import shutil

import pytest
from environments import ROOT, Environment, attempt, build, commit_all, copy_repository

from wsis_steps.engine import VERSION

TAG = f"v{VERSION}"
TINY = ROOT / "tests/tiny.yaml"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("modules")


@pytest.fixture(scope="module")
def repository(base):
    """A git repository of the code whose only commit has a tag."""
    folder = copy_repository(base / "remote/owner/wsis")
    commit_all(folder, TAG)
    return folder


@pytest.fixture(scope="module")
def bare(base) -> Environment:
    """An environment without wsis."""
    return Environment(base / "bare")


@pytest.fixture(scope="module")
def installed(base) -> Environment:
    """An environment with wsis, from a wheel."""
    environment = Environment(base / "installed")
    environment.install(build(copy_repository(base / "source"), base / "dist", "--wheel")[0])
    return environment


def write(folder, text: str):
    """A folder with a Snakefile."""
    folder.mkdir()
    (folder / "Snakefile").write_text(text)
    return folder


def module(snakefile: str, name: str = "wsis", more: str = "", rules: str = "") -> str:
    return (
        f"module {name}:\n    snakefile: {snakefile}\n    config: config\n{more}\nuse rule * from {name} {rules}\n"
        f"import wsis_steps; print('package:', wsis_steps.__path__[0])\n"
    )


def outputs(said: str) -> set[str]:
    """All outputs of the jobs that Snakemake lists."""
    lines = re.findall(r"^    output: (.*)$", said, flags=re.MULTILINE)
    return {path for line in lines for path in line.split(", ")}


def test_two_modules_with_prefixes_keep_apart_and_read_data_from_where_they_lie(bare, repository, tmp_path):
    text = module(f"'{repository}/Snakefile'", "first", "    prefix: 'a'\n", "as first_*")
    text += module(f"'{repository}/workflow/Snakefile'", "second", "    prefix: 'b/c'\n", "as second_*")
    text += "rule both:\n    default_target: True\n    input: rules.first_all.input, rules.second_all.input\n"
    folder = write(tmp_path / "project", text)
    status, said = bare.snakemake("--configfile", str(TINY), "--dry-run", "--printshellcmds", folder=folder)
    assert status == 0, said
    assert f"package: {repository}/wsis_steps" in said
    made = outputs(said)
    names = {path.removeprefix("a/") for path in made if path.startswith("a/")}
    assert names and names == {path.removeprefix("b/c/") for path in made if path.startswith("b/c/")}
    assert len(made) == 2 * len(names) and "results/tiny/report.html" in names
    rest = re.sub(r"(?<=[ =:])(a|b/c)/(results|logs|benchmarks|work)/tiny", "", said)
    assert not re.search(
        r"(results|logs|benchmarks|work)/tiny", rest
    )  # no path without its prefix, also of checkpoints
    # the listing, which the report follows, names the files where they are
    status, said = bare.snakemake("b/c/results/tiny/results.json", "--configfile", str(TINY), folder=folder)
    assert status == 0, said
    listed = json.loads((folder / "b/c/results/tiny/results.json").read_text())
    assert {path.split("/")[1] for *_, path in [*listed["figures"], *listed["results"]]} == {"c"}


def test_other_rules_keep_their_python_path(bare, repository, tmp_path):
    """Jobs read the Snakefile once more; the workflow's own folder comes first, and once."""
    folder = write(tmp_path / "project", module(f"'{repository}/Snakefile'") + (
        "rule mine:\n    output: 'mine.txt'\n"
        "    shell: 'python -c \"import os, theirs; print(os.environ[\\'PYTHONPATH\\'])\" > {output}'\n"
    ))  # fmt: skip
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/theirs.py").touch()
    options = ("mine.txt", "--configfile", str(TINY))
    status, said = bare.snakemake(*options, folder=folder, PYTHONPATH=f"{tmp_path / 'lib'}")
    assert status == 0, said
    assert (folder / "mine.txt").read_text().strip() == f"{repository}:{tmp_path / 'lib'}"


def test_tables_of_a_users_images_have_no_prefix(bare, repository, tmp_path):
    folder = write(tmp_path / "project", module(f"'{repository}/Snakefile'", more="    prefix: 'a'\n"))
    shutil.copytree(ROOT / "docs", folder / "photos", ignore=shutil.ignore_patterns("*.md", "*.csv"))
    (folder / "photos/tags.csv").write_text("image,tags\nreport_phone.png,cat\nreport_desktop.png,dog\n")
    (folder / "own.yaml").write_text(
        "dataset: own\nruns: {one: {system: bestie}}\n"
        "steps: {data_import_dataset: {format: folder, root: photos, val_share: 0.5}}\n"
    )
    target = "a/results/own/shared/data/images.h5"
    status, said = bare.snakemake(target, "--configfile", "own.yaml", "--dry-run", folder=folder)
    assert status == 0 and "    input: photos/tags.csv\n" in said, said


def test_a_module_from_git_brings_its_own_package(bare, installed, repository, tmp_path):
    """Whether or not another version is installed; two versions in one Snakefile are refused."""
    commit = commit_all_differently(repository)
    source = f"gitfile('{repository}', path='workflow/Snakefile', tag='other')"
    options = ("--configfile", str(TINY), "--dry-run", "--quiet", "rules")
    for number, environment in enumerate((bare, installed)):
        folder = write(tmp_path / f"project{number}", module(source))
        status, said = environment.snakemake(*options, folder=folder)
        assert status == 0, said
        copied = folder / f".snakemake/wsis/{commit}"
        assert f"package: {copied}/wsis_steps" in said and re.search(r"^all +1$", said, flags=re.MULTILINE)
        assert 'VERSION = "99.0.0"' in (copied / "wsis_steps/engine/__init__.py").read_text()
    folder = write(tmp_path / "mixed", "import wsis_steps.plan.home\n" + module(source))
    status, said = installed.snakemake(*options, folder=folder)
    assert status and "a Snakefile can use only one version of wsis" in said


def commit_all_differently(repository) -> str:
    path = repository / "wsis_steps/engine/__init__.py"
    before = path.read_text()
    path.write_text(before.replace(f'VERSION = "{VERSION}"', 'VERSION = "99.0.0"'))
    commit = commit_all(repository, "other")
    path.write_text(before)
    return commit


def test_what_snakedeploy_writes_runs(bare, repository, tmp_path):
    """From GitHub, whose address git maps to a local repository here."""
    program = shutil.which("snakedeploy")
    if program is None:
        pytest.skip("snakedeploy is not installed: pip install snakedeploy")
    variables = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{repository.parents[1]}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    deploy = [program, "deploy-workflow", "https://github.com/owner/wsis", tmp_path / "deployed", "--tag", TAG]
    status, said = attempt(deploy, **variables)
    assert status == 0, said
    assert (tmp_path / "deployed/config/config.yaml").read_text() == (ROOT / "config.yaml").read_text()
    status, said = bare.snakemake("--dry-run", folder=tmp_path / "deployed", **variables)
    assert status == 0 and "results/shapes/report.html" in outputs(said), said
    # Of a local folder it writes a path that is relative to that folder, which is to be completed by hand.
    status, said = attempt([program, "deploy-workflow", repository, tmp_path / "local", "--tag", TAG])
    assert status == 0, said
    written = tmp_path / "local/workflow/Snakefile"
    assert '"workflow/Snakefile"' in written.read_text()
    written.write_text(written.read_text().replace('"workflow/Snakefile"', f'"{repository}/workflow/Snakefile"'))
    status, said = bare.snakemake("--dry-run", folder=tmp_path / "local")
    assert status == 0 and "results/shapes/report.html" in outputs(said), said
