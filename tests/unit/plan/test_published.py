"""Figures of the papers: as printed, and each where a run of the presets can be compared with it."""

import json
import re

import pytest
from artifacts import SIZE, nothing, provenance, write_labels, write_semantic
from calls import call
from presets import NAMES, preset

from wsis_steps.engine.published import Published, read_published
from wsis_steps.evaluation.summary_table import HEADINGS
from wsis_steps.evaluation.text_table import base_name
from wsis_steps.formats.voc import VOC_CLASSES
from wsis_steps.plan.listing import listing
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.systems import CHAINS, published
from wsis_steps.vision.contracts.instances import write_instances

PUBLISHED = {key: figures for chain in CHAINS.values() for key, figures in chain.published.items()}
KINDS = {"labels": "evaluation.score_labels", "predictions": "evaluation.score_instances"}


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> dict[str, tuple[set[str], set[str]]]:
    """The metrics that scoring gives, over all classes and class by class, by the kind of what is scored."""
    folder = tmp_path_factory.mktemp("scored")
    truth = write_labels(folder / "truth.h5", 0, 2)
    write_instances(folder / "found.h5", provenance(), ["image0", "image1"], [SIZE] * 2, [SIZE] * 2, [nothing()] * 2)
    semantic, figures = write_semantic(folder / "semantic.h5", 2), folder / "figures.json"
    calls = {kind: (step, {kind: folder / "found.h5"}) for kind, step in KINDS.items()}
    calls["semantic"] = ("evaluation.score_semantics", {"semantic": semantic, "split": "val"})
    found = {}
    for kind, (step, inputs) in calls.items():
        assert call(step, truth=truth, figures=figures, **inputs).status == 0
        document = json.loads(figures.read_text())
        found[kind] = (set(document["metrics"]), set(document["per_class"]))
        figures.unlink()
    return found


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str, str, str], str]:
    """What the tables of the presets have: data set, run, stage and split, and the kind of what is scored there."""
    found = {}
    for name in NAMES:
        configuration = preset(name)
        for run, _, stage, path in listing(Runs(configuration))["figures"]:
            kind, rest = re.search(r"/evaluation/(labels|predictions|semantic|proposals)_(\w+)\.json$", path).groups()
            split = {"labels": "train", "predictions": "val"}.get(kind, rest)
            found[configuration.dataset, base_name(run), stage, split] = kind
    return found


def out_of_reach(figures, rows, scored) -> list[str]:
    """The figures beside which no preset puts one of ours."""
    missing = []
    for key, found in figures.items():
        of_all, of_classes = scored[rows[key]] if key in rows else (set(), set())
        missing += [(*key, metric) for metric in set(found.values) - (of_all & set(HEADINGS))]
        missing += [(*key, metric, "by class") for metric in set(found.per_class) - of_classes]
    return missing


def test_every_figure_of_the_papers_stands_beside_one_of_ours(rows, scored):
    assert len(PUBLISHED) > 40 and out_of_reach(PUBLISHED, rows, scored) == []


@pytest.mark.parametrize(
    ("key", "figures"),
    [
        (("voc2012", "community_learning", "predictions", "train"), Published({"corloc": 0.708}, "as it was")),
        (("voc2012", "bestie_cma", "predictions", "val"), Published({"mask_ap50": 0.1}, "a run that is none")),
        (("coco2017", "community_learning", "predictions", "val"), Published({"abo": 0.1}, "a run of another preset")),
        (("voc2012", "bestie", "predictions", "val"), Published({"corloc": 0.1}, "a metric of labels")),
        (("voc2012", "bestie", "predictions", "val"), Published({"abo_any_class": 0.1}, "a metric not in the table")),
        (("voc2012", "bestie", "predictions", "val"), Published({}, "", {"corloc": {"cat": 0.1}})),
    ],
)
def test_a_figure_that_no_run_can_be_compared_with_is_found(rows, scored, key, figures):
    assert len(out_of_reach({key: figures}, rows, scored)) == 1


@pytest.mark.parametrize(
    ("dataset", "run", "stage", "split", "metric", "value"),
    [
        ("voc2012", "bestie", "predictions_direct", "val", "mask_ap50", 0.418),
        ("voc2012", "bestie", "predictions", "val", "mask_ap50", 0.510),
        ("voc2012", "bestie_points", "predictions", "val", "mask_ap50", 0.561),
        ("voc2012", "bestie_points", "predictions_direct", "val", "mask_ap75", 0.263),
        ("voc2012", "supervised", "predictions", "val", "mask_ap25", 0.767),
        ("voc2012", "supervised", "predictions", "val", "mask_ap75", 0.449),
        ("voc2012", "bestie_cam", "predictions_direct", "val", "mask_ap50", 0.347),
        ("voc2012", "bestie_no_iag", "predictions_direct", "val", "mask_ap50", 0.278),
        ("voc2012", "bestie_no_refinement", "predictions_direct", "val", "mask_ap50", 0.392),
        ("voc2012", "bestie_no_iag_no_refinement", "predictions_direct", "val", "mask_ap50", 0.293),
        ("voc2012", "bestie_alpha02", "predictions_direct", "val", "mask_ap50", 0.4176),
        ("voc2012", "bestie_pam46", "predictions_direct", "val", "mask_ap25", 0.536),
        ("voc2012", "bestie_pam5", "predictions_direct", "val", "mask_ap75", 0.234),
        ("voc2012", "bestie_resnet50", "predictions_direct", "val", "mask_ap50", 0.409),
        ("voc2012", "annotation_consistency", "predictions", "val", "mask_ap70", 0.302),
        ("voc2012", "annotation_consistency_resnet", "predictions", "val", "mask_ap50", 0.497),
        ("voc2012", "annotation_consistency_boxes_resnet", "predictions", "val", "mask_ap50", 0.577),
        ("voc2012", "community_learning", "predictions", "val", "abo", 0.438),
        ("voc2012", "community_learning", "predictions", "val", "box_ap50", 0.532),
        ("voc2012", "community_learning", "predictions_mcg", "val", "mask_ap75", 0.123),
        ("voc2012", "community_learning", "labels/round00", "train", "corloc", 0.708),
        ("voc2012", "community_learning_detector", "predictions", "val", "box_ap50", 0.453),
        ("voc2012", "community_learning_img", "predictions", "val", "mask_ap50", 0.328),
        ("voc2012", "community_learning_img_is", "labels/round00", "train", "corloc", 0.668),
        ("voc2012", "community_learning_bg_fs", "predictions", "val", "mask_ap50", 0.318),
        ("voc2012", "community_learning_wgap_fs", "predictions", "val", "mask_ap50", 0.274),
        ("voc2012", "community_learning_class_specific", "predictions", "val", "box_ap50", 0.504),
        ("voc2012", "community_learning_4_maps", "predictions", "val", "mask_ap50", 0.313),
        ("voc2012", "learning_to_segment", "semantic", "val", "miou", 0.516),
        ("voc2012_imagenet", "learning_to_segment", "semantic", "val", "miou", 0.516),
        ("voc2012_imagenet", "learning_to_segment_weighted", "semantic", "val", "miou", 0.507),
        ("coco2017", "bestie", "predictions", "val", "coco_ap", 0.143),
        ("coco2017", "bestie_points", "predictions", "val", "coco_ap75", 0.164),
        ("coco2017", "supervised", "predictions", "val", "coco_ap50", 0.573),
    ],
)
def test_figures_of_the_papers(dataset, run, stage, split, metric, value):
    assert published(dataset)[run, stage, split].values[metric] == value


def test_what_no_paper_prints_is_left_out():
    assert published("shapes") == {}
    found = published("voc2012")
    assert "abo" not in found["bestie", "predictions", "val"].values
    assert ("bestie", "predictions", "train") not in found


@pytest.mark.parametrize(
    ("run", "stage", "tables"),
    [
        ("community_learning", "predictions", "1356"),  # of table 5 the last column, this run without post-processing
        ("community_learning", "predictions_mcg", "1"),
        ("community_learning_img_is", "predictions", "346"),
        ("community_learning_img", "predictions", "37"),
        ("community_learning_bg", "predictions", "4"),
        ("community_learning_4_maps", "predictions", "7"),
    ],
)
def test_a_figure_names_every_table_of_deep_community_learning_that_prints_it(run, stage, tables):
    source = PUBLISHED["voc2012", run, stage, "val"].source
    assert set(re.findall(r"\d", source)) == set(tables)


def test_figures_are_fractions_of_known_metrics_with_a_source():
    for result in PUBLISHED.values():
        assert result.source
        assert set(result.values) <= set(HEADINGS)
        assert all(0 < value < 1 for value in result.values.values())


def test_figures_of_single_classes_average_to_the_mean_that_the_paper_prints():
    means = {
        ("learning_to_segment", "semantic", "iou"): 0.516,
        ("annotation_consistency", "predictions", "mask_ap50"): 0.509,
        ("annotation_consistency_resnet", "predictions", "mask_ap50"): 0.497,
        ("annotation_consistency_boxes", "predictions", "mask_ap50"): 0.582,
        ("annotation_consistency_boxes_resnet", "predictions", "mask_ap50"): 0.5763,  # the paper prints 57.7
    }
    found = published("voc2012")
    assert {(run, stage, metric) for (run, stage, _), one in found.items() for metric in one.per_class} == set(means)
    for (run, stage, metric), mean in means.items():
        classes = found[run, stage, "val"].per_class[metric]
        assert set(classes) - {None} == set(VOC_CLASSES) and (None in classes) == (metric == "iou")
        assert sum(classes.values()) / len(classes) == pytest.approx(mean, abs=5.1e-4)
    segmented = found["learning_to_segment", "semantic", "val"].per_class["iou"]
    assert segmented["chair"] == 0.106 and segmented[None] == 0.854
    assert found["annotation_consistency", "predictions", "val"].per_class["mask_ap50"]["tvmonitor"] == 0.622


def test_stricter_overlap_never_scores_higher():
    for result in PUBLISHED.values():
        figures = sorted((name, value) for name, value in result.values.items() if name.startswith("mask_ap"))
        values = [value for _, value in figures]
        assert values == sorted(values, reverse=True)


def test_a_figure_that_stands_there_twice_is_refused(tmp_path):
    header, row = "dataset,run,stage,split,metric,class,percent,source", "a b,run,predictions,val,miou,,50,one table"
    table, chain = tmp_path / "published.csv", str(tmp_path / "chain.py")
    table.write_text(f"{header}\n{row}\na,run,predictions,val,iou,background,80,another\n")
    found = read_published(chain)
    assert found["a", "run", "predictions", "val"] == Published(
        {"miou": 0.5}, "one table; another", {"iou": {None: 0.8}}
    )
    assert found["b", "run", "predictions", "val"] == Published({"miou": 0.5}, "one table")
    table.write_text(f"{header}\n{row}\n{row}\n")
    with pytest.raises(ValueError, match="has a run predictions val miou twice"):
        read_published(chain)
