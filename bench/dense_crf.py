"""Speed of the dense CRF over class probabilities: an image of 375 x 500 pixels, 10 iterations, one thread.

Four classes are present, as in most tagged images. Baseline: the same with all 21 of VOC, which the steps avoid.
"""

import numpy as np

from bench.labels import milliseconds
from bench.neighbourhood import draw_picture
from bench.rows import Row
from wsis_steps.vision.dense_crf import DenseField
from wsis_steps.vision.settings import DenseCrf

HEIGHT, WIDTH, PRESENT, ALL = 375, 500, 4, 21


def measure() -> list[Row]:
    """The only row of this benchmark."""
    rng = np.random.default_rng(0)
    picture = draw_picture(rng, WIDTH)[:HEIGHT]
    settings = DenseCrf(crf_iterations=10)

    def refine(count: int) -> float:
        probabilities = rng.dirichlet(np.ones(count), HEIGHT * WIDTH).T.reshape(count, HEIGHT, WIDTH)
        return milliseconds(lambda: DenseField(picture, count, settings).refine_probabilities(probabilities)) / 1e3

    what = f"dense CRF, {HEIGHT} x {WIDTH}, {PRESENT} classes"
    return [Row(what, refine(PRESENT), "s", f"same, {ALL} classes", refine(ALL), 1.5)]
