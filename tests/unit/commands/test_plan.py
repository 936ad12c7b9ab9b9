"""`wsis plan`: its jobs against Snakemake's, its chain against brute force, its sums, and what it refuses."""

import itertools
import json
from argparse import Namespace
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from bench.jobs import ROOT, planned_jobs
from wsis_steps.__main__ import main
from wsis_steps.commands.configuration import read_configuration
from wsis_steps.commands.forecast import Forecast, forecast, longest
from wsis_steps.commands.plan import excess, find_pictures, hours_of
from wsis_steps.engine.documents import write_document
from wsis_steps.engine.errors import InputError
from wsis_steps.plan.config import load
from wsis_steps.plan.runs import Runs
from wsis_steps.vision.passes import Pictures, Taken

TINY, PROPOSALS = ROOT / "tests/tiny.yaml", ROOT / "tests/proposal_systems.yaml"


def call(*words) -> int:
    """Exit status of a call."""
    with pytest.raises(SystemExit) as ended:
        main(["plan", *map(str, words)])
    return ended.value.code


def jobs_of(path: Path) -> list[Forecast]:
    return forecast(Runs(load(yaml.safe_load(path.read_text()))), {"train": 12, "val": 6}, Pictures(6, 64, 64, 40))


@pytest.mark.parametrize("path", [TINY, PROPOSALS])
def test_the_counted_jobs_are_those_that_use_a_gpu(path: Path, tmp_path: Path):
    planned = [job for job in planned_jobs(tmp_path, path) if job.on_gpu]
    found = [job for job in jobs_of(path) if job.taken]
    trainings = Counter((job.name.split("/")[0], job.step) for job in planned if "--metrics" in job.command)
    assert Counter((job.run, job.step) for job in found if job.trains) == trainings
    assert {(job.run, job.step) for job in found} == {(job.name.split("/")[0], job.step) for job in planned}
    assert all(job.flops > 0 for job in found)


def test_how_often_a_pass_is_taken():
    times = {job.name: job.times for job in jobs_of(TINY)}
    assert times["bestie/classifier_train"] == 3 * 12 // 4  # epochs, images, batch
    assert times["bestie/bestie_train_round00"] == 6
    assert times["bestie/classifier_infer"] == 12
    assert times["bestie/bestie_infer_round01"] == 12 + 6
    assert times["bestie/maskrcnn_infer"] == 6
    assert times["learning_to_segment/learning_to_segment_infer"] == 12 + 6
    assert times["supervised_semantic/learning_to_segment_infer"] == 6


def test_jobs_wait_for_what_they_read():
    jobs = {job.name: job for job in jobs_of(TINY)}
    before = {other.name for other in jobs["bestie/bestie_train_round00"].before}
    assert before == {"bestie/bestie_label_round00", "bestie/postprocess_refine_with_crf", "bestie/classifier_train"}
    order = list(jobs)
    assert all(order.index(other.name) < order.index(job.name) for job in jobs.values() for other in job.before)


def drawn_jobs(rng: np.random.Generator, count: int) -> list[Forecast]:
    jobs: list[Forecast] = []
    for k in range(count):
        before = tuple(job for job in jobs if rng.random() < 0.4)
        taken = Taken(float(rng.integers(1, 100)), 1, 1, 1)
        jobs.append(Forecast("run", f"step{k}", None, True, 1, taken, 1, (), before))
    return jobs


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_chain(seed: int):
    jobs = drawn_jobs(np.random.default_rng(seed), 7)
    chains = [
        chain
        for length in range(1, 8)
        for chain in itertools.combinations(jobs, length)
        if all(one in other.before for one, other in itertools.pairwise(chain))
    ]
    whole, chain = longest(jobs, lambda job: job.flops)
    assert whole == max(sum(job.flops for job in own) for own in chains) == sum(job.flops for job in chain)
    assert tuple(chain) in chains


def test_json(capsys):
    assert call(TINY, "--tflops", 2, "--memory", 0.001, "--gpus", 3, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    counted = [job for job in found["jobs"] if job["counted"]]
    assert found["images"] == {"train": 12, "val": 6}
    assert all(np.isclose(job["hours"], job["flops_each"] * job["times"] / 2e12 / 3600) for job in counted)
    assert np.isclose(found["gpu_hours"], sum(job["hours"] for job in counted))
    chain = sum(job["hours"] for job in counted if job["job"] in found["longest_chain"])
    assert np.isclose(found["least_hours"], max(chain, found["gpu_hours"] / 3))
    assert {job["fits"] for job in counted} == {False}
    assert all(job["flops"] is None and job["hours"] is None for job in found["jobs"] if not job["counted"])


def test_the_table_names_what_does_not_fit(capsys):
    assert call(TINY, "--memory", 0.001) == 0
    said = capsys.readouterr().out
    assert "bestie/postprocess_refine_with_crf" in said
    assert "not counted" in said
    assert "lower bestie_train.batch_size or bestie_train.long_side" in said
    assert "hours of a GPU" not in said  # no rate was given


def test_the_settings_to_change():
    job = Forecast("run", "some_infer", None, False, 1, Taken(1e12, 1, 0, 0), int(5e9), ())
    assert excess(job, 4) == "run/some_infer needs 5 GB, more than 4: take a GPU with more memory."
    assert hours_of(job, 1) == 1 / 3600


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gpu", "A100 40 GB"], "there is no 'A100 40 GB' in the list"),
        (["--tflops", "0"], "--tflops"),
        (["--gpus", "-1"], "--gpus"),
        (["--gpu", "H200", "--tflops", "3"], "not allowed with"),
    ],
)
def test_wrong_arguments(words: list[str], said: str, capsys, caplog):
    assert call(TINY, *words) == 2
    assert said in capsys.readouterr().err + caplog.text


def pictures_of(*paths: Path, **options) -> tuple[dict[str, int], Pictures]:
    chosen = {"images": None, "size": None, "proposals": 9, **options}
    return find_pictures(Runs(read_configuration([*paths])), Namespace(**chosen))


def test_what_is_known_of_the_data(tmp_path: Path, monkeypatch):
    presets = ROOT / "workflow/presets"
    monkeypatch.chdir(tmp_path)
    assert pictures_of(presets / "voc2012.yaml") == ({"train": 10582, "val": 1449}, Pictures(20, 375, 500, 9))
    assert pictures_of(presets / "coco2017.yaml") == ({"train": 118287, "val": 5000}, Pictures(80, 480, 640, 9))
    assert pictures_of(TINY) == ({"train": 12, "val": 6}, Pictures(6, 64, 64, 9))
    assert pictures_of(TINY, images=[3, 2], size=[8, 9]) == ({"train": 3, "val": 2}, Pictures(6, 8, 9, 9))


@pytest.mark.parametrize("kind", ["folder", "voc", "coco"])
def test_own_data_are_not_taken_for_official_ones(kind: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {"dataset": "own", "runs": {"bestie": {"system": "bestie"}},
           "steps": {"data_import_dataset": {"format": kind, "root": "data/own"}}}  # fmt: skip
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    with pytest.raises(InputError, match="results/own/shared/data/summary.json"):
        pictures_of(tmp_path / "own.yaml")
    imported = {"train": {"images": 5}, "val": {"images": 4}, "class_names": ["a", "b"]}
    (tmp_path / "results/own/shared/data").mkdir(parents=True)
    write_document(Path("results/own/shared/data/summary.json"), imported)
    assert pictures_of(tmp_path / "own.yaml", size=[8, 9]) == ({"train": 5, "val": 4}, Pictures(2, 8, 9, 9))
    with pytest.raises(InputError, match="--size"):
        pictures_of(tmp_path / "own.yaml")
