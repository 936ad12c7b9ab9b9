"""Collects the figures of all runs in one table and prints it.

in   figures  JSON files of the evaluation steps
     listing  the run, system and stage of each of them, and the results that can have verdicts
out  table    summary.csv: run,system,supervision,stage,split,metric,value; one row per figure
     text     summary.md: the main figures in percent, beside the paper's, and paired differences between runs
     verdicts  summary.json: verdicts, worst first, with a setting to try; figures that need no ground truth; the
               recommended scores
"""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from wsis_steps.engine.documents import digest_of_file, write_document
from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.figures import published_figures, read_figures, read_listing
from wsis_steps.evaluation.recommendation import read_recommendation
from wsis_steps.evaluation.settings import EvaluationSummarise
from wsis_steps.evaluation.summary_table import COLUMNS, summary_table
from wsis_steps.evaluation.verdicts import document

STEP = Step(
    "evaluation_summarise",
    EvaluationSummarise,
    inputs=("figures", "listing"),
    several=("figures",),
    outputs=("table", "text", "verdicts"),
)


def main(job: Job) -> None:
    wanted = read_listing(job.inputs["listing"])
    rows = []
    for run, system, stage, path in wanted["figures"]:
        found = read_figures(Path(path))
        supervision = "+".join(found["supervision"])
        rows += [(run, system, supervision, stage, found["split"], *figure) for figure in found["metrics"].items()]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.to_csv(job.outputs["table"], index=False, float_format="%.6g")
    text = summary_table(table, published_figures(wanted), wanted["pairs"])
    job.outputs["text"].write_text(text)
    digest = digest_of_file(job.outputs["table"])  # a table has no place for one
    advised = [
        {"run": run, "stage": stage, "file": path, **asdict(read_recommendation(Path(path)))}
        for run, stage, path in wanted["recommended"]
    ]
    parts = {**document(wanted["judged"]), "recommended": advised, "table": digest}
    write_document(job.outputs["verdicts"], parts)
    print(text)


if __name__ == "__main__":
    STEP.run(main)
