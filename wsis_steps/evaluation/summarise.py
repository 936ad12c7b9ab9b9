"""Puts the figures of all runs into one table and prints it.

in   figures  JSON files of the evaluation steps
     rows     JSON: {"dataset": name, "rows": [[run, system, stage, file], ...]}
out  table    summary.csv: run,system,supervision,stage,split,metric,value; one row a figure
     text     summary.md: the main figures in percent, beside the paper's
"""

import json
from pathlib import Path

import pandas as pd

from wsis_steps.config import EvaluationSummarise
from wsis_steps.core.step import Job, Step
from wsis_steps.evaluation.summary_table import COLUMNS, summary_table

STEP = Step(
    "evaluation_summarise",
    EvaluationSummarise,
    inputs=("figures",),
    several=("figures",),
    values=("rows",),
    outputs=("table", "text"),
)


def main(job: Job) -> None:
    wanted = json.loads(job.values["rows"])
    rows = []
    for run, system, stage, path in wanted["rows"]:
        found = json.loads(Path(path).read_text())
        supervision = "+".join(found["supervision"])
        for metric, value in found["metrics"].items():
            rows.append((run, system, supervision, stage, found["split"], metric, value))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.to_csv(job.outputs["table"], index=False, float_format="%.6g")
    text = summary_table(table, wanted["dataset"])
    job.outputs["text"].write_text(text)
    print(text)


if __name__ == "__main__":
    STEP.run(main)
