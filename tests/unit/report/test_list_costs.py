"""What runs cost: every job's benchmark file and the end of its log, added up by run and step."""

import json
import logging
import os
from pathlib import Path

import pandas as pd
import pytest

from wsis_steps.engine.documents import check_table
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job
from wsis_steps.plan.time_left import read_costs
from wsis_steps.report.costs import costs_html
from wsis_steps.report.list_costs import last_words, list_costs, main, step_of
from wsis_steps.report.settings import ReportListCosts

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"


def write_job(folder: Path, name: str, seconds: float, memory: object, log: str) -> None:
    benchmark, said = folder / f"benchmarks/{name}.tsv", folder / f"logs/{name}.log"
    for path in (benchmark, said):
        path.parent.mkdir(parents=True, exist_ok=True)
    benchmark.write_text(f"{HEADER}\n{seconds}\t0:00:01\t{memory}\t1\t1\t1\t1\t1\t90\t{2 * seconds}\n")
    said.write_text(log)


@pytest.fixture
def table(tmp_path) -> pd.DataFrame:
    wrote = "10:00:00 wrote results/a.h5, results/b.h5 ({} MB) in {}\n"
    write_job(tmp_path, "one/bestie_train_round00", 60, 500.5, "said\n" + wrote.format("1.5", "1 min 0 s"))
    gpu = wrote.format("2.5", "2 min 0 s, at most 900 MB of GPU memory")
    write_job(tmp_path, "one/bestie_train_round01", 120, 700.4, gpu)
    for earlier in ("", "_1_of_4"):  # of runs with other `shards`
        write_job(tmp_path, f"shared/proposals_group_regions{earlier}", 999, 999, "")
        os.utime(tmp_path / f"benchmarks/shared/proposals_group_regions{earlier}.tsv", (0, 0))
    write_job(tmp_path, "shared/proposals_group_regions_1_of_2", 30, 100, wrote.format("4.0", "30 s"))
    write_job(tmp_path, "shared/proposals_group_regions_2_of_2", 30, "-", "it ended without a word\n")
    write_job(tmp_path, "evaluation_summarise", 6, 50, wrote.format("0.0", "6.0 s"))
    write_job(tmp_path, "one/of_nothing_known", 6, 50, "")
    write_job(tmp_path, "another/bestie_train_round00", 60, 500, "")  # of a run that is no longer there
    write_job(tmp_path, "first/classifier_train", 30, 10, "")
    results = [["first", "classifier", "a"], ["one", "labels", "b"], ["one", "labels", "c"]]
    (tmp_path / "results.json").write_text(
        json.dumps(
            {
                "dataset": "d",
                "results": results,
                "figures": [],
                "judged": [],
                "recommended": [],
                "first": [],
                "trainings": [],
                "stages": [],
                "pairs": [],
                "published": [],
            }
        )
    )
    made = {"costs": "cost.csv", "digest": "cost.json"}
    names = {"benchmarks": "benchmarks", "logs": "logs", "listing": "results.json"}
    inputs = {name: tmp_path / path for name, path in names.items()}
    main(Job("report_list_costs", ReportListCosts(), inputs, {name: tmp_path / path for name, path in made.items()}))
    return pd.read_csv(tmp_path / "cost.csv").astype(object).where(lambda values: values.notna(), None)


def test_jobs_are_added_up_by_run_and_step(table):
    assert table.columns.tolist() == [
        "run", "step", "jobs", "minutes", "cpu_minutes", "memory_mb", "gpu_memory_mb", "written_mb",
    ]  # fmt: skip
    assert table.to_numpy().tolist() == [
        ["shared", "proposals_group_regions", 2, 1.0, 2.0, 100, None, 4.0],
        ["first", "classifier_train", 1, 0.5, 1.0, 10, None, 0.0],
        ["one", "bestie_train", 2, 3.0, 6.0, 700, 900, 4.0],
        ["all", "evaluation_summarise", 1, 0.1, 0.2, 50, None, 0.0],
    ]


def test_the_page_shows_them_with_their_sum(table, tmp_path):
    html = costs_html(tmp_path / "cost.csv")
    assert html.count("<tr>") == 1 + len(table) + 1
    assert "<td>bestie_train</td>" in html and ">4.6</td>" in html and ">8.0</td>" in html


def test_a_changed_figure_is_noticed(table, tmp_path):
    costs, digest = tmp_path / "cost.csv", tmp_path / "cost.json"
    check_table(costs, digest)
    assert read_costs(costs)["bestie_train"] == 90
    costs.write_text(costs.read_text().replace("bestie_train,2,3.0", "bestie_train,2,9.0"))
    with pytest.raises(InputError, match=f"^{costs} does not match {digest}: "):
        check_table(costs, digest)
    assert read_costs(costs) == {}  # no estimate from wrong figures


@pytest.mark.parametrize(
    ("job", "step"),
    [
        ("bestie_train_round00", "bestie_train"),
        ("annotation_consistency_train_prediction_round01", "annotation_consistency_train_prediction"),
        ("evaluation_score_proposals_mcg", "evaluation_score_proposals"),
        ("bestie_trainer", None),
    ],
)
def test_a_jobs_name_begins_with_its_steps(job, step):
    assert step_of(job) == step


def test_the_last_words_are_those_that_a_step_says(tmp_path, caplog):
    """Of a real step: what it says and what is looked for must not drift apart."""
    from wsis_steps.data.draw_shapes import STEP
    from wsis_steps.data.draw_shapes import main as draw

    log = tmp_path / "log"
    words = ["--tree", str(tmp_path / "tree"), "--settings", '{"train": 2, "val": 1}', "--log", str(log)]
    with pytest.raises(SystemExit) as ended, caplog.at_level(logging.INFO):
        STEP.run(draw, [*words, "--threads", "1"])
    assert ended.value.code == 0
    written, gpu = last_words(log)
    size = sum(path.stat().st_size for path in (tmp_path / "tree").rglob("*") if path.is_file())
    assert written == pytest.approx(size / 1e6, abs=0.1) and gpu != gpu


def test_the_empty_file_of_a_job_that_is_still_running_is_left_out(tmp_path):
    write_job(tmp_path, "one/bestie_train_round00", 60, 500, "")
    (tmp_path / "benchmarks/evaluation_summarise.tsv").touch()
    found = list_costs(tmp_path / "benchmarks", tmp_path / "logs", ["one"])
    assert found["step"].tolist() == ["bestie_train"]
