"""Scores how well proposals cover the true instances, by number of proposals.

in   truth      true instances of one or more splits; images without any are skipped
     proposals  proposals of any kind, of all images of the data set
     split      the splits of the truth, as text
     dataset    name of the data set; VOC and COCO are shown with the published curves
out  figures    JSON: J_i, J_c and recall of masks, best overlap and recall of boxes, each by number of proposals
     chart      SVG: the same as curves

Mask figures exist only for regions and masks; `proposal_scores` defines them.
"""

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.class_means import class_mean
from wsis_steps.evaluation.figures import write_figures
from wsis_steps.evaluation.proposal_chart import PANELS, proposal_chart
from wsis_steps.evaluation.proposal_scores import Coverage, cover, labels, proposal_scores
from wsis_steps.evaluation.published_proposals import ProposalCurve, published_curves
from wsis_steps.evaluation.settings import EvaluationScoreProposals
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.proposals import Proposals

STEP = Step(
    "evaluation_score_proposals",
    EvaluationScoreProposals,
    inputs=("truth", "proposals"),
    several=("truth",),
    values=("split", "dataset"),
    outputs=("figures", "chart"),
)


def cover_images(job: Job, truth: list[Instances], proposals: Proposals) -> list[Coverage]:
    """Coverage of each image that has a true instance."""
    images = [(source, i, int(place)) for source in truth for i, place in enumerate(places(proposals, source).tolist())]
    counts, drop_void = job.settings.counts, job.settings.void == "drop"

    def cover_image(image: tuple[Instances, int, int]) -> Coverage | None:
        source, i, place = image
        instances = source.read(i)
        if instances.crowd.all():  # no instances, so the proposals need not be read
            return None
        size = int(source.heights[i]), int(source.widths[i])
        return cover(proposals.read(place), instances, *size, counts, drop_void)

    found = job.progress(fork_map(cover_image, images, job.threads), len(images))
    return [coverage for coverage in found if coverage is not None]


def curve(name: str, numbers: np.ndarray, metrics: dict[str, float | np.ndarray], columns: list[str]) -> ProposalCurve:
    """The figures as curves; figures by class are averaged."""
    means = {metric: class_mean(np.atleast_1d(value)) for metric, value in metrics.items()}
    values = {
        panel: np.array([means[f"{panel}_{column}"] for column in columns])
        for panel in PANELS
        if f"{panel}_all" in means
    }
    return ProposalCurve(name, numbers, values)


def main(job: Job) -> None:
    truth, proposals = [Instances(path) for path in job.inputs["truth"]], Proposals(job.inputs["proposals"])
    coverages = []
    if truth:
        check_same_classes(*truth)
        coverages = cover_images(job, truth, proposals)
    if not coverages:
        raise InputError(f"no image has a true instance to score {proposals.path} against; pass one in --truth.")
    class_names, columns = truth[0].class_names, labels(job.settings.counts)
    metrics = proposal_scores(coverages, job.settings.counts, len(class_names))
    numbers = np.mean([coverage.taken for coverage in coverages], axis=0)
    counts = {
        "images": len(coverages),
        "truths": sum(len(coverage.categories) for coverage in coverages),
        "proposals": dict(zip(columns, numbers.tolist(), strict=True)),  # mean per image
    }
    split, dataset = job.values["split"], job.values["dataset"]
    write_figures(job.outputs["figures"], split, proposals, metrics, job.provenance(), counts, class_names)
    name = proposals.path.stem
    own = curve(f"{name}, {dataset} {split}", numbers, metrics, columns)
    title = f"Proposals {name}: coverage of true instances by number per image"
    chart = proposal_chart(title, own, published_curves(dataset))
    job.outputs["chart"].write_text(chart, encoding="utf-8")


if __name__ == "__main__":
    STEP.run(main)
