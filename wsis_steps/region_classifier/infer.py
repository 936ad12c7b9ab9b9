"""Predicts instances of the evaluation images: classified region proposals.

in   images       images.h5: the evaluation images
     model        of region_classifier_train
     proposals    regions of all images of the data set, made like those of the training
out  predictions  instances with scores
"""

from collections import Counter
from collections.abc import Iterator

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.region_classifier.network import load_detector
from wsis_steps.region_classifier.settings import RegionClassifierInfer
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, write_instances
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.counts import count_instances
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.images import Pictures

STEP = Step(
    "region_classifier_infer",
    RegionClassifierInfer,
    inputs=("images", "model", "proposals"),
    outputs=("predictions",),
    join=join_shards,
)


def main(job: Job) -> None:
    device = choose_device(job.threads)
    images, proposals = Images(job.inputs["images"]), Proposals(job.inputs["proposals"])
    trained, detect = load_detector(job.inputs["model"], job.settings, device)
    check_same_classes(images, trained)
    if proposals.kind != "regions":
        raise InputError(f"{proposals.path} holds {proposals.kind}, but region_classifier_infer needs regions.")
    places(images, proposals)
    members, pictures = job.share(images.members("val")), Pictures(images)
    rows = [proposals.index[images.ids[i]] for i in members]

    def predict() -> Iterator[ImageInstances]:
        for i, row in job.progress(zip(members.tolist(), rows, strict=True), len(members)):
            yield detect(pictures.read(i), proposals.read(row))

    supervision = {*trained.supervision, *proposals.supervision}
    provenance = job.provenance(trained.class_names, supervision, [trained.provenance])
    ids = [images.ids[i] for i in members]
    heights, widths = images.heights[members], images.widths[members]
    counts: Counter = Counter()
    found = count_instances(predict(), images.tags[members].any(axis=1), "predictions", counts)
    write_instances(job.outputs["predictions"], provenance, ids, heights, widths, found, counts)


if __name__ == "__main__":
    STEP.run(main)
