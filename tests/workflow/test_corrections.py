"""Labels put right in another tool: out, changed, back, and what learns from them learns from those."""

import json
import re

import numpy as np
from test_rerun import LISTED, maskrcnn
from tiny_workflow import jobs

from wsis_steps.__main__ import main
from wsis_steps.formats.brush import encode_brush
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.masks import decode

ROUND = "bestie/labels/round01.h5"
DRAWN = np.zeros((64, 64), np.uint8)
DRAWN[8:30, 10:40] = 1


def correct(path):
    """What Label Studio exports where a person has redrawn the first image and left the others alone."""
    first, *others = json.loads(path.read_text())
    size = {"original_width": 64, "original_height": 64, "image_rotation": 0}
    value = {"format": "rle", "rle": encode_brush(DRAWN), "brushlabels": ["star"]}
    row = {**size, "from_name": "masks", "to_name": "image", "type": "brushlabels", "value": value}
    first["annotations"] = [{"result": [row], "was_cancelled": False}]
    path.with_name("corrected by hand.json").write_text(json.dumps([first, *others]))
    return path.with_name("corrected by hand.json")


def test_a_corrected_instance_is_in_what_mask_rcnn_trains_on_and_only_that_runs_again(tiny, tmp_path):
    try:
        main(["export", str(tiny.results / ROUND), "--format", "label_studio", "--out", str(tmp_path)])
    except SystemExit as ended:
        assert ended.code == 0
    corrected = correct(tmp_path / "label_studio_train.json")
    configuration = tiny.configured(runs__bestie__corrections={1: str(corrected)})
    status, said = tiny.call("--dry-run", configuration=configuration)
    assert status == 0, said
    steps = {"data_import_corrections bestie 01", "evaluation_score_labels bestie 01_corrected"}
    assert set(jobs(said)) == steps | maskrcnn("bestie") | LISTED
    trained = re.search(r"^rule maskrcnn_train:\n    input: (.*)$", said, flags=re.MULTILINE).group(1)
    assert "labels/round01_corrected.h5" in trained
    target = "results/tiny/bestie/labels/round01_corrected.h5"
    status, said = tiny.call("--", target, configuration=configuration)
    assert status == 0, said
    try:
        before, after = Instances(tiny.results / ROUND), Instances(tiny.run / target)
        (mask,) = decode(after.read(0).rles, 64, 64)
        np.testing.assert_array_equal(mask, DRAWN)
        assert [after.class_names[c] for c in after.read(0).categories] == ["star"]
        assert [found.rles for found in list(after)[1:]] == [found.rles for found in list(before)[1:]]
        assert "masks" in after.supervision
    finally:
        (tiny.run / target).unlink()
