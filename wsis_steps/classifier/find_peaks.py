"""Finds instance cues: the local maxima of the activation maps.

in   maps    activation maps of classifier_infer
out  peaks   points: x, y, category, confidence

BESTIE (CVPR 2022), released code, point extraction; minimum value of a peak: supplement section 2.
"""

from collections import Counter

import numpy as np
import torch
from torch.nn import functional

from wsis_steps.classifier.network import find_peaks
from wsis_steps.classifier.settings import ClassifierFindPeaks
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.points import write_points

STEP = Step("classifier_find_peaks", ClassifierFindPeaks, inputs=("maps",), outputs=("peaks",))


def peaks_of(maps: np.ndarray, categories: np.ndarray, height: int, width: int, settings: ClassifierFindPeaks):
    """Peaks float32 (n, 4) of activation maps (k, h, w) at the image's size; category is the map's class."""
    if not len(maps):
        return np.zeros((0, 4), dtype=np.float32)
    full = functional.interpolate(torch.from_numpy(maps)[None].float(), (height, width), mode="bilinear")
    found = find_peaks(full, torch.ones(1, len(maps)), settings)[0].numpy()
    found[:, 2] = categories[found[:, 2].astype(int)]
    return found


def main(job: Job) -> None:
    torch.set_num_threads(job.threads)
    maps = Maps(job.inputs["maps"])
    peaks = []
    counts = Counter(images=len(maps), tagged=0, with_cue=0, cues=0)
    for i in job.progress(range(len(maps))):
        height, width = int(maps.heights[i]), int(maps.widths[i])
        own, categories = maps.read(i)
        peaks.append(peaks_of(own, categories, height, width, job.settings))
        counts.update(tagged=len(own), with_cue=len(np.unique(peaks[-1][:, 2])), cues=len(peaks[-1]))
    provenance = job.provenance(maps.class_names, maps.supervision, [maps.provenance])
    write_points(job.outputs["peaks"], provenance, maps.ids, maps.heights, maps.widths, peaks, counts)


if __name__ == "__main__":
    STEP.run(main)
