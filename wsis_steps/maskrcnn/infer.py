"""Predicts instances of the evaluation images.

in   images       images.h5: the evaluation images
     model        a trained Mask R-CNN, from any step
out  predictions  instances with scores
"""

from collections import Counter
from collections.abc import Iterator

from wsis_steps.engine.pool import release_memory
from wsis_steps.engine.step import Job, Step
from wsis_steps.maskrcnn.detections import detect
from wsis_steps.maskrcnn.network import load_maskrcnn, read_maskrcnn
from wsis_steps.maskrcnn.settings import MaskrcnnInfer
from wsis_steps.vision.batches import read_ahead, to_tensor
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, write_instances
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.counts import count_instances
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.images import Pictures

STEP = Step("maskrcnn_infer", MaskrcnnInfer, inputs=("images", "model"), outputs=("predictions",), join=join_shards)
BATCH = 4  # images at once; changes only speed


def main(job: Job) -> None:
    settings: MaskrcnnInfer = job.settings
    device = choose_device(job.threads)
    images = Images(job.inputs["images"])
    trained = read_maskrcnn(job.inputs["model"])
    check_same_classes(images, trained)
    model = load_maskrcnn(trained, settings).to(device).eval()
    members = job.share(images.members("val"))
    batches = read_ahead(Pictures(images), members, to_tensor, job.threads, BATCH)

    def predict() -> Iterator[ImageInstances]:
        for _, pictures in job.progress(batches, len(members), size=lambda batch: len(batch[0])):
            if device.type == "cpu":  # the number of detections varies, and with it the memory needed here
                release_memory()
            yield from detect(model, [picture.to(device) for picture in pictures], settings)

    provenance = job.provenance(trained.class_names, trained.supervision, [trained.provenance])
    ids = [images.ids[i] for i in members]
    heights, widths = images.heights[members], images.widths[members]
    counts: Counter = Counter()
    found = count_instances(predict(), images.tags[members].any(axis=1), "predictions", counts)
    write_instances(job.outputs["predictions"], provenance, ids, heights, widths, found, counts)


if __name__ == "__main__":
    STEP.run(main)
