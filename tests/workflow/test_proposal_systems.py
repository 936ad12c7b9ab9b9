"""Runs of the systems that learn from proposals, from drawn pictures to the table."""

import json

import pandas as pd
from tiny_workflow import ROOT, Tiny, copy_code

CONFIGURATION = ROOT / "tests/proposal_systems.yaml"


def test_runs_end_in_the_table_and_share_what_is_equal(tmp_path):
    tiny = Tiny(tmp_path)
    copy_code(tiny)
    status, said = tiny.call(configuration=CONFIGURATION)
    assert status == 0, said
    table = pd.read_csv(tiny.results / "summary.csv").set_index(["run", "stage", "metric"])["value"].sort_index()
    stages = {run: set(table[run].index.get_level_values(0)) for run in table.index.get_level_values(0).unique()}

    for stage in ("predictions", "predictions_mcg"):
        assert {"mask_ap50", "mask_ap75", "abo", "box_ap50"} <= set(table["community_learning", stage].index)
    assert "corloc" in table["community_learning", "labels/round00"].index
    assert {"predictions_direct", "predictions"} <= stages["community_learning_maskrcnn"]
    assert not (tiny.results / "community_learning_maskrcnn/community_learning").exists()  # the other run computed it

    for stage in ("labels/round00", "labels/round01"):
        assert {"mask_ap50", "corloc"} <= set(table["annotation_consistency", stage].index)
    assert stages["annotation_consistency_boxes"] == {"labels/round00", "predictions", "proposals/mcg"}
    assert {"mask_ap50", "abo"} <= set(table["annotation_consistency", "predictions"].index)
    assert not list((tiny.results / "annotation_consistency_boxes").rglob("conditional.pt"))  # the other run made it

    assert stages["region_classifier"] == {"labels/round00", "semantic", "predictions", "proposals/mcg"}
    assert {"mask_ap50", "coco_ap"} <= set(table["region_classifier", "predictions"].index)
    advised = json.loads((tiny.results / "region_classifier/region_classifier/model.json").read_text())
    assert advised["settings"]["max_instances"] == 10  # of region_classifier_infer

    assert tiny.planned(configuration=CONFIGURATION) == set()
    more = tmp_path / "more.yaml"
    more.write_text(CONFIGURATION.read_text().replace("rounds: 2", "rounds: 3"))
    steps = {job.split()[0] for job in tiny.planned(configuration=more)}
    assert "annotation_consistency_train_conditional" in steps
    assert not steps & {"annotation_consistency_initialise", "proposals_group_regions", "proposals_find_edges"}
