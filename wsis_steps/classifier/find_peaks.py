"""Finds instance cues: the local maxima of the activation maps.

in   maps    activation maps of classifier_infer
out  peaks   points: x, y, category, confidence

BESTIE (CVPR 2022), released code, point extraction; minimum value of a peak: supplement section 2.
"""

from collections import Counter

import numpy as np

from wsis_steps.classifier.peaks import find_peaks
from wsis_steps.classifier.settings import ClassifierFindPeaks
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.points import write_points

STEP = Step("classifier_find_peaks", ClassifierFindPeaks, inputs=("maps",), outputs=("peaks",))


def peaks_of(maps: np.ndarray, categories: np.ndarray, height: int, width: int, settings: ClassifierFindPeaks):
    """Peaks float32 (n, 4) of activation maps (k, h, w) at the image's size; category is the map's class."""
    peaks = [np.zeros((0, 4), dtype=np.float32)]
    for values, category in zip(maps, categories, strict=True):
        peaks.append(np.insert(find_peaks(_resize(values, height, width), settings), 2, category, axis=1))
    return np.concatenate(peaks)


def _resize(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """A map as float32 (height, width), interpolated bilinearly."""
    values = values.astype(np.float32)
    if values.shape == (height, width):
        return values
    import torch  # which maps of the image's size do not need: it costs more than all peaks of a small data set

    return torch.nn.functional.interpolate(torch.from_numpy(values)[None, None], (height, width), mode="bilinear")[
        0, 0
    ].numpy()


def main(job: Job) -> None:
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
