"""How well a classifier ranks images by each class, compared with chance."""

import numpy as np

from wsis_steps.evaluation.average_precision import area_under_envelope, ranking

ORDERS = 400  # number of random orders
PERCENTILE = 95  # of their precision, which a class should exceed


def tag_precision(tags: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Average precision of each class as VOC defines it, the area under the monotone curve: float64 (classes,), 0 to 1,
    NaN for a class that no image is tagged with.

    tags bool, probabilities 0 to 1, both (images, classes).
    """
    found = np.full(tags.shape[1], np.nan)
    for category in np.flatnonzero(tags.any(axis=0)):
        hits = tags[ranking(probabilities[:, category]), category]
        found[category] = area_under_envelope(hits, hits.sum())
    return found


def chance_precision(tags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and `PERCENTILE` of the average precision of random orders of the images, both float64 (classes,), 0 to 1;
    NaN for a class that none or all images are tagged with.

    With few images it is well above the share that has the tag, because the monotone curve takes the luckiest rank. The
    orders depend only on the numbers of images and of tagged ones. tags: bool (images, classes).
    """
    tagged = tags.sum(axis=0)
    mean, high = np.full((2, tags.shape[1]), np.nan)
    for count in np.unique(tagged[(tagged > 0) & (tagged < len(tags))]):
        hits = np.tile(np.arange(len(tags)) < count, (ORDERS, 1))
        found = area_under_envelope(np.random.default_rng(0).permuted(hits, axis=1), count)
        mean[tagged == count], high[tagged == count] = found.mean(), np.percentile(found, PERCENTILE)
    return mean, high
