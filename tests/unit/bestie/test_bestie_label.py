"""Why images have no first label, by what became of the components of their semantic maps."""

import numpy as np

from wsis_steps.bestie.label import KINDS, why_without

# accepted, empty, ambiguous, small; tagged; the cause
IMAGES = (
    ((1, 5, 5, 9), True, None),  # it has a label
    ((0, 3, 1, 0), True, "crowded"),
    ((0, 0, 2, 7), True, "crowded"),
    ((0, 2, 0, 4), True, "uncued"),
    ((0, 0, 0, 4), True, "undersized"),
    ((0, 0, 0, 0), True, "bare"),
    ((0, 0, 0, 0), False, None),  # nothing is expected there
)
CAUSES = ("crowded", "uncued", "undersized", "bare")


def test_each_image_without_a_label_has_one_cause():
    found = [dict(zip(KINDS, counts, strict=True)) for counts, *_ in IMAGES]
    causes = [cause for *_, cause in IMAGES]
    expected = {cause: causes.count(cause) for cause in CAUSES}
    assert why_without(found, np.array([tagged for _, tagged, _ in IMAGES])) == expected


def test_a_cause_that_no_image_has_is_counted_too():
    assert why_without([], np.zeros(0, bool)) == dict.fromkeys(CAUSES, 0)
