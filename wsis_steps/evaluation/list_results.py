"""Lists which files hold the results of which runs, for the table and the report.

in   configuration  the workflow's configuration as JSON; of many runs, the list itself is more than a command may hold
out  listing        JSON: {"dataset": name, "figures": [[run, system, stage, file], ...] from the evaluation steps,
                    "results": [[run, stage, file], ...], the artifacts and metrics of each run in order,
                    "judged": those of them that verdicts may be on, each once, and tag audits,
                    "first": those that are there before anything but the classifier has been trained,
                    "trainings": [[run, stage, step, settings], ...],
                    "stages": [[stage, what it is, of which systems], ...],
                    "pairs": [[run, the run it is compared with, stage, split], ...],
                    "published": [[run, stage, split, {metric: fraction},
                                   {metric: [[class or null, fraction], ...]}], ...]}
"""

import json

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.settings import EvaluationListResults
from wsis_steps.plan.config import load
from wsis_steps.plan.listing import listing
from wsis_steps.plan.runs import Runs

STEP = Step("evaluation_list_results", EvaluationListResults, values=("configuration",), outputs=("listing",))


def main(job: Job) -> None:
    try:
        values = json.loads(job.values["configuration"])
    except ValueError as error:
        raise InputError(f"the configuration is no JSON: {error}") from error
    document = listing(Runs(load(values)))
    job.outputs["listing"].write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    STEP.run(main)
