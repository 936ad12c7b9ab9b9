"""Installs with their dependencies from the package index, in empty environments: `make test-package`."""

import os
import sys
from pathlib import Path

import pytest
from environments import ROOT, UV, attempt, build, call, copy_repository

pytestmark = pytest.mark.skipif("WSIS_PACKAGE" not in os.environ, reason="needs the package index: make test-package")
MINIMAL = """\
dataset: minimal
runs: {supervised: {system: supervised}}
steps:
  data_draw_shapes: {image_size: 64, train: 8, val: 4, difficulty: 0}
  data_import_dataset: {format: shapes}
  maskrcnn_train:
    {backbone: small, weights: none, iterations: 2, batch_size: 4, min_size: 64, max_size: 64, fpn_channels: 16,
     proposals_before_nms: [32, 32], proposals_after_nms: [16, 16], rois: 8, box_width: 16, mask_width: 16}
"""


class Installed:
    """An environment with a distribution of wsis and the newest packages that pyproject.toml allows."""

    def __init__(self, folder: Path, what: str, *options: str) -> None:
        self.folder = folder
        call([UV, "venv", "--quiet", "--python", sys.executable, folder])
        call([UV, "pip", "install", "--quiet", "--python", folder / "bin/python", *options, what])

    def run(self, *words: str | Path, folder: Path) -> tuple[int, str]:
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        return attempt([self.folder / "bin" / words[0], *words[1:]], cwd=folder, PATH=path)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("full")


@pytest.fixture(scope="module")
def distributions(base) -> dict[str, Path]:
    found = build(copy_repository(base / "source"), base / "dist")
    return {path.suffix: path for path in found}


@pytest.fixture(scope="module")
def minimal(base, distributions) -> Installed:
    return Installed(base / "minimal", str(distributions[".whl"]))


def test_a_minimal_install_runs_what_needs_no_extra(minimal, tmp_path):
    status, said = minimal.run("wsis", "new", "mine", "--preset", "shapes", folder=tmp_path)
    assert status == 0, said
    (tmp_path / "mine/config.yaml").write_text(MINIMAL)
    status, said = minimal.run("wsis", "check", "config.yaml", folder=tmp_path / "mine")
    assert status == 0, said
    status, said = minimal.run("wsis", "run", folder=tmp_path / "mine")
    assert status == 0 and "report: results/minimal/report.html" in said, said
    model = "results/minimal/supervised/maskrcnn/model.pt"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/strip.jpg").write_bytes((ROOT / "docs/strip.jpg").read_bytes())
    words = ("wsis", "predict", tmp_path / "photos", "--model", model, "--out", tmp_path / "found")
    status, said = minimal.run(*words, folder=tmp_path / "mine")
    assert status == 0 and (tmp_path / "found/instances.json").is_file(), said


def test_a_minimal_install_says_which_extras_the_demo_needs(minimal, tmp_path):
    minimal.run("wsis", "new", "mine", "--preset", "shapes", folder=tmp_path)
    for words in (("wsis", "run", "--dry-run"), ("wsis", "check", "config.yaml")):
        status, said = minimal.run(*words, folder=tmp_path / "mine")
        assert status and "pip install 'wsis[crf]'" in said and "pip install 'wsis[mcg]'" in said, said
        assert "Traceback" not in said


def test_an_install_with_all_extras_from_the_source_distribution_runs_the_demo(base, distributions, tmp_path):
    everything = Installed(base / "all", f"wsis[all] @ {distributions['.gz'].as_uri()}")
    everything.run("wsis", "new", "mine", "--preset", "shapes", folder=tmp_path)
    for words in (("wsis", "check", "config.yaml"), ("wsis", "run", "--dry-run")):
        status, said = everything.run(*words, folder=tmp_path / "mine")
        assert status == 0, said


def test_the_pip_packages_of_the_conda_environment_can_be_installed_together(base, tmp_path):
    """conda itself is not at hand; these are the packages that it leaves to pip."""
    lines = (ROOT / "envs/environment.yaml").read_text().partition("- pip:\n")[2]
    wanted = tmp_path / "wanted.txt"
    wanted.write_text(lines.replace("- ", "").replace(" ", ""))
    said = call([UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-emit-index-url",
                 "--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28", wanted])  # fmt: skip
    assert sorted(said.split()) == sorted(wanted.read_text().split())  # nothing is missing, nothing else is needed
