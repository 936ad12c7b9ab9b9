"""Puts the figures of all runs into one table and prints it.

in   figures  JSON files of the evaluation steps
     listing  JSON that says what they are: {"dataset": name, "figures": [[run, system, stage, file], ...]}
out  table    summary.csv: run,system,supervision,stage,split,metric,value; one row a figure
     text     summary.md: the main figures in percent, beside the paper's
"""

import json
from pathlib import Path

import pandas as pd

from wsis_steps.core.errors import InputError
from wsis_steps.core.step import Job, Step
from wsis_steps.evaluation.summary_table import COLUMNS, summary_table
from wsis_steps.settings.evaluation import EvaluationSummarise

STEP = Step(
    "evaluation_summarise",
    EvaluationSummarise,
    inputs=("figures", "listing"),
    several=("figures",),
    outputs=("table", "text"),
)


def read_figures(path: Path) -> tuple[str, str, dict[str, float | None]]:
    """Supervision, split and metrics of an evaluation step's file; InputError where it is not one."""
    try:
        found = json.loads(path.read_text())
        return "+".join(found["supervision"]), found["split"], dict(found["metrics"])
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; the step that makes it has not run.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no figures ({error}); delete it and run again.") from None


def main(job: Job) -> None:
    wanted = json.loads(job.inputs["listing"].read_text())
    rows = []
    for run, system, stage, path in wanted["figures"]:
        supervision, split, metrics = read_figures(Path(path))
        for metric, value in metrics.items():
            rows.append((run, system, supervision, stage, split, metric, value))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.to_csv(job.outputs["table"], index=False, float_format="%.6g")
    text = summary_table(table, wanted["dataset"])
    job.outputs["text"].write_text(text)
    print(text)


if __name__ == "__main__":
    STEP.run(main)
