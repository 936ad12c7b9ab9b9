"""Lists the costs of each step of each run: the jobs' benchmark files and logs as one table.

in   benchmarks  folder of Snakemake's benchmark files, <run>/<job>.tsv
     logs        folder of the logs, of the same names
     listing     names the runs; files of other runs are ignored
out  costs       cost.csv: run, step, jobs, minutes, cpu_minutes, memory_mb, gpu_memory_mb, written_mb
     digest      cost.json: `table`, the digest of cost.csv

Minutes and written megabytes are sums over a step's jobs; memory is the maximum of a job. Only successful jobs count.
Results shared by several runs are listed with the run that owns them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from wsis_steps.engine.documents import digest_of_file, write_document
from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.figures import read_listing
from wsis_steps.plan.steps import STEPS
from wsis_steps.report.settings import ReportListCosts

STEP = Step("report_list_costs", ReportListCosts, inputs=("benchmarks", "logs", "listing"), outputs=("costs", "digest"))
WROTE = re.compile(r"wrote .* \(([\d.]+) MB\) in [^,]*(?:, at most (\d+) MB of GPU memory)?$")  # see engine/step.py


def step_of(job: str) -> str | None:
    """The step that a job's name begins with: `maskrcnn_train_round00` belongs to `maskrcnn_train`."""
    return max((step for step in STEPS if job == step or job.startswith(f"{step}_")), key=len, default=None)


def last_words(log: Path) -> tuple[float, float]:
    """Megabytes that a job wrote and its GPU memory, from the last line of its log; NaN if missing."""
    written, gpu = "nan", "nan"
    if log.is_file():
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := WROTE.search(line):  # the processes of a job log it too, the job last
                written, gpu = found[1], found[2] or gpu
    return float(written), float(gpu)


def latest_split(paths: list[Path]) -> list[Path]:
    """Keeps only the latest number of shards of each step: the jobs ..._1_of_4 or ..._1_of_2, not both."""
    splits: dict[Path, dict[str, list[Path]]] = {}
    for path in paths:
        step, of = re.fullmatch(r"(.*?)(?:_\d+_of_(\d+))?", path.stem).groups()
        splits.setdefault(path.with_name(step), {}).setdefault(of or "1", []).append(path)
    last = [
        max(found.values(), key=lambda group: max(path.stat().st_mtime for path in group)) for found in splits.values()
    ]
    return [path for group in last for path in group]


def read_jobs(benchmarks: Path, logs: Path) -> Iterator[dict]:
    """One row for each job that has a benchmark file of a step."""
    for path in latest_split(sorted(benchmarks.rglob("*.tsv"))):
        step, folder = step_of(path.stem), path.parent.relative_to(benchmarks)
        if step is None or not path.stat().st_size:  # Snakemake opens the file of a job before it has its figures
            continue
        measured = pd.read_csv(path, sep="\t", na_values="-")
        if not len(measured):
            continue
        written, gpu = last_words(logs / folder / f"{path.stem}.log")
        yield {
            "run": folder.parts[0] if folder.parts else "all",
            "step": step,
            "jobs": 1,
            "minutes": measured["s"].iloc[-1] / 60,
            "cpu_minutes": measured["cpu_time"].iloc[-1] / 60,
            "memory_mb": measured["max_rss"].iloc[-1],
            "gpu_memory_mb": gpu,
            "written_mb": written,
        }


COLUMNS = {"jobs": "sum", "minutes": "sum", "cpu_minutes": "sum", "memory_mb": "max", "gpu_memory_mb": "max",
           "written_mb": "sum"}  # fmt: skip


def list_costs(benchmarks: Path, logs: Path, runs: list[str]) -> pd.DataFrame:
    """The table: shared steps, then the runs in their order, then `all`; steps in the order of the pipeline."""
    jobs = pd.DataFrame(read_jobs(benchmarks, logs), columns=["run", "step", *COLUMNS])
    runs = ["shared", *runs, "all"]
    table = jobs[jobs["run"].isin(runs)].groupby(["run", "step"], as_index=False).agg(COLUMNS)
    order = {"run": runs, "step": list(STEPS)}
    table = table.sort_values(["run", "step"], key=lambda names: names.map(order[names.name].index))
    return table.round({"minutes": 2, "cpu_minutes": 2, "memory_mb": 0, "gpu_memory_mb": 0, "written_mb": 1})


def main(job: Job) -> None:
    runs = list(dict.fromkeys(run for run, *_ in read_listing(job.inputs["listing"])["results"]))
    list_costs(job.inputs["benchmarks"], job.inputs["logs"], runs).to_csv(job.outputs["costs"], index=False)
    write_document(
        job.outputs["digest"], {"table": digest_of_file(job.outputs["costs"])}
    )  # a table has no place for one


if __name__ == "__main__":
    STEP.run(main)
