"""Lists the files of the results of all runs, for the table and the report.

in   configuration  the workflow's configuration as JSON; with many runs, the list itself could be too long for a
                    command
out  listing        JSON: {"dataset": name, "figures": [[run, system, stage, file], ...] from the evaluation steps,
                    "results": [[run, stage, file], ...], the artifacts and metrics of each run in order,
                    "judged": those of them that can have verdicts, each once, and tag audits,
                    "first": those that need no training but the classifier's,
                    "trainings": [[run, stage, step, settings], ...],
                    "stages": [[stage, description, systems], ...],
                    "recommended": [[run, stage, file], ...], the recommended scores of predictions,
                    "pairs": [[run, the run it is compared with, stage, split], ...],
                    "published": [[run, stage, split, {metric: fraction},
                                   {metric: [[class or null, fraction], ...]}], ...]}
"""

import json

from wsis_steps.engine.documents import write_document
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
        raise InputError(f"the configuration is not valid JSON: {error}") from error
    configuration = load(values)
    # in a module with a `prefix:` all results lie below it, as this one does
    prefix, _, below = str(job.outputs["listing"].parent).rpartition(f"results/{configuration.dataset}")
    document = listing(Runs(configuration, "" if below else prefix))
    write_document(job.outputs["listing"], document)


if __name__ == "__main__":
    STEP.run(main)
