import pytest

from wsis_steps.data.voc import VOC_CLASSES
from wsis_steps.evaluation.summary_table import HEADINGS
from wsis_steps.plan.systems import CHAINS, published

PUBLISHED = [figures for chain in CHAINS.values() for figures in chain.published.values()]


@pytest.mark.parametrize(
    ("dataset", "run", "stage", "metric", "value"),
    [
        ("voc2012", "bestie", "predictions_direct", "mask_ap50", 0.418),
        ("voc2012", "bestie", "predictions", "mask_ap50", 0.510),
        ("voc2012", "bestie_points", "predictions", "mask_ap50", 0.561),
        ("voc2012", "bestie_points", "predictions_direct", "mask_ap75", 0.263),
        ("voc2012", "supervised", "predictions", "mask_ap25", 0.767),
        ("voc2012", "bestie_cam", "predictions_direct", "mask_ap50", 0.347),
        ("voc2012", "bestie_no_iag", "predictions_direct", "mask_ap50", 0.278),
        ("voc2012", "bestie_no_refinement", "predictions_direct", "mask_ap50", 0.392),
        ("voc2012", "annotation_consistency", "predictions", "mask_ap70", 0.302),
        ("voc2012", "community_learning", "predictions", "abo", 0.438),
        ("voc2012", "community_learning", "predictions_mcg", "mask_ap75", 0.123),
        ("voc2012", "learning_to_segment", "semantic", "miou", 0.516),
        ("voc2012_imagenet", "learning_to_segment_weighted", "semantic", "miou", 0.507),
        ("coco2017", "bestie", "predictions", "coco_ap", 0.143),
        ("coco2017", "bestie_points", "predictions", "coco_ap75", 0.164),
    ],
)
def test_figures_of_the_papers(dataset, run, stage, metric, value):
    assert published(dataset)[run, stage, "val"].values[metric] == value


def test_what_no_paper_prints_is_left_out():
    assert published("shapes") == {}
    found = published("voc2012")
    assert "abo" not in found["bestie", "predictions", "val"].values
    assert ("bestie", "predictions", "train") not in found


def test_figures_are_fractions_of_known_metrics_with_a_source():
    for result in PUBLISHED:
        assert result.source
        assert set(result.values) <= set(HEADINGS)
        assert all(0 < value < 1 for value in result.values.values())


def test_figures_of_single_classes_average_to_the_mean_that_the_paper_prints():
    classes = published("voc2012")["learning_to_segment", "semantic", "val"].per_class
    assert len(classes) == 21 and classes["chair"] == 0.106 and classes[None] == 0.854
    assert set(classes) == {None, *VOC_CLASSES}
    assert sum(classes.values()) / 21 == pytest.approx(0.5162, abs=5e-5)
    assert published("voc2012")["bestie", "predictions", "val"].per_class == {}


def test_stricter_overlap_never_scores_higher():
    for result in PUBLISHED:
        figures = [value for name, value in result.values.items() if name.startswith("mask_ap")]
        assert figures == sorted(figures, reverse=True)
