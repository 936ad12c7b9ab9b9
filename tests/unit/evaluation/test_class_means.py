import numpy as np

from wsis_steps.evaluation.class_means import class_mean


def test_undefined_classes_do_not_count():
    assert class_mean(np.array([0.25, np.nan, 0.75, 0.0])) == 1 / 3


def test_no_defined_class_makes_no_mean():
    assert np.isnan(class_mean(np.full(3, np.nan)))
    assert np.isnan(class_mean(np.zeros(0)))
