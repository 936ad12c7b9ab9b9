"""Tables class by class on the report's page, beside the paper's figures."""

import json
import re

import pytest

from wsis_steps.engine.errors import InputError
from wsis_steps.evaluation.figures import published_classes
from wsis_steps.report.class_figures import class_figures_html


def cells(html: str) -> list[list[str]]:
    """Rows of the text of their cells."""
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in rows
    ]


def written(path, split="val", **metrics):
    path.write_text(
        json.dumps({"split": split, "supervision": [], "metrics": {"background_iou": 0.9}, "per_class": metrics})
    )
    return path


def test_semantic_maps_of_evaluation_images_stand_beside_the_papers(tmp_path):
    rows = [
        ("learning_to_segment", "semantic", written(tmp_path / "val.json", iou={"cat": 0.5, "dog": 0.25})),
        ("learning_to_segment", "semantic", written(tmp_path / "train.json", "train", iou={"cat": 1, "dog": 1})),
        ("learning_to_segment", "labels/round00", tmp_path / "is_not_read.json"),
    ]
    printed = {("learning_to_segment", "semantic", "val", "iou"): {None: 0.854, "cat": 0.675, "dog": 0.487}}
    header, *lines = cells(class_figures_html(rows, ["cat", "dog"], printed))
    assert len(header) == 3 and "the paper" in header[2]
    assert lines == [["background", "90.0", "85.4"], ["cat", "50.0", "67.5"], ["dog", "25.0", "48.7"]]
    assert cells(class_figures_html(rows, ["cat", "dog"], {}))[1] == ["background", "90.0"]


def test_predictions_have_no_background(tmp_path):
    rows = [("bestie", "predictions", written(tmp_path / "f.json", mask_ap50={"cat": None, "dog": 0.125}))]
    assert cells(class_figures_html(rows, ["cat", "dog"], {}))[1:] == [["cat", "-"], ["dog", "12.5"]]


def test_predictions_stand_beside_the_papers_once_for_all_seeds(tmp_path):
    rows = [
        (
            f"annotation_consistency_seed{seed}",
            "predictions",
            written(tmp_path / f"{seed}.json", mask_ap50={"cat": 0.5}),
        )
        for seed in range(2)
    ]
    printed = published_classes(
        {"published": [["annotation_consistency", "predictions", "val", {}, {"mask_ap50": [["cat", 0.737]]}]]}
    )
    header, line = cells(class_figures_html(rows, ["cat"], printed))
    assert [name.split()[0] for name in header[1:]].count("annotation_consistency") == 1
    assert (
        len(header) == 4
        and sum("the paper" in name for name in header) == 1
        and sorted(line) == sorted(["cat", "50.0", "50.0", "73.7"])
    )
    assert "73.7" not in class_figures_html(rows, ["cat"], {(*key[:3], "iou"): v for key, v in printed.items()})


@pytest.mark.parametrize("text", ["", "[]", '{"split": "val"}'])
def test_a_file_without_figures_is_named(tmp_path, text):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(InputError, match=r"f\.json holds no figures"):
        class_figures_html([("a", "predictions", tmp_path / "f.json")], ["cat"], {})
