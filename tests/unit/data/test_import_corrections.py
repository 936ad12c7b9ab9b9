"""Corrections replace what was drawn on, and nothing else."""

import json

import numpy as np
import pytest
from artifacts import CLASSES, SIZE, nothing, square_mask, squares, write_images

from wsis_steps.data.import_corrections import main
from wsis_steps.data.settings import DataImportCorrections
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.provenance import Provenance
from wsis_steps.engine.step import Job
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.masks import encode
from wsis_steps.vision.samples import check_instances


def annotation(image, category, mask):
    rle = encode(mask[None])[0]
    segmentation = {"size": rle["size"], "counts": rle["counts"].decode()}
    return {"id": image, "image_id": image, "category_id": category, "segmentation": segmentation, "bbox": [0, 0, 1, 1]}


def correct(folder, images, annotations, categories=CLASSES, labelled=range(6), supervision="tags", unpointed=()):
    write_images(folder / "images.h5", unpointed=unpointed)
    made = Provenance("a_step", json.dumps({"supervision": supervision, "min_center": 0.1}), "", "", {}, CLASSES)
    found = [squares(k) if k in labelled else nothing() for k in range(6)]
    write_instances(folder / "labels.h5", made, [f"image{k}" for k in range(6)], [SIZE] * 6, [SIZE] * 6, found)
    content = {
        "images": [
            {"id": k, "file_name": f"{name}.png", "height": SIZE, "width": SIZE} for k, name in enumerate(images)
        ],
        "annotations": annotations,
        "categories": [{"id": k, "name": name} for k, name in enumerate(categories)],
    }
    (folder / "corrections.json").write_text(json.dumps(content))
    inputs = {name: folder / f"{name}.h5" for name in ("images", "labels")}
    inputs["corrections"] = folder / "corrections.json"
    job = Job("data_import_corrections", DataImportCorrections(), inputs, {"corrected": folder / "corrected.h5"})
    main(job)
    return Instances(folder / "labels.h5"), Instances(folder / "corrected.h5")


def test_corrected_images_have_the_drawn_masks_and_the_others_keep_theirs(tmp_path):
    mask = square_mask(5)
    before, after = correct(tmp_path, ["image1", "image4", "image7"], [annotation(0, 0, mask), annotation(2, 0, mask)])
    assert [rle["counts"] for rle in after.read(1).rles] == [encode(mask[None])[0]["counts"]]
    assert after.read(1).categories.tolist() == [0] and after.read(1).scores.tolist() == [1]
    assert len(after.read(4)) == 0
    for i in (0, 2, 3, 5):
        assert after.read(i).rles == before.read(i).rles
    assert after.ids == before.ids and "masks" in after.supervision


def test_what_corrections_leave_out_is_counted_and_crowds_are_objects(tmp_path, caplog):
    mask, thin = square_mask(5), [[10.2, 10.2, 10.3, 10.2, 10.3, 10.3]]
    rows = [
        {**annotation(0, 0, mask), "iscrowd": 1},
        {**annotation(1, 1, mask), "image_id": 0, "segmentation": thin, "bbox": [9, 9, 3, 3]},
        {**annotation(2, 1, mask), "image_id": 0, "segmentation": [[2, 2, 20, 2, 20, 20, 2, 20], [1, 1]]},
    ]
    _, after = correct(tmp_path, ["image1"], rows)
    assert after.read(1).categories.tolist() == [0, 1] and not after.read(1).crowd.any()
    assert "Left out: shapes that cover no pixel: 1 (the first: " in caplog.text
    assert "Masks with parts of fewer than three corners: 1 (" in caplog.text


def test_ignored_pixels_of_corrections_are_kept(tmp_path):
    rows = [annotation(0, 0, square_mask(5)), annotation(0, 2, square_mask(20))]
    _, after = correct(tmp_path, ["image1"], rows, (*CLASSES, "__ignore__"))
    assert len(after.read(1)) == 1 and after.read(1).ignore == encode(square_mask(20)[None])[0]


@pytest.mark.parametrize(
    ("labelled", "drawn", "unpointed", "expected", "without"),
    [((0, 1), [4], (), 6, 3), ((0,), [4], (), 6, 4), ((0,), [4], (2, 3), 4, 2), ((0, 1, 2), [], (), 6, 4)],
)
def test_corrected_labels_are_counted_so_that_none_are_learned_that_most_pictures_lack(
    tmp_path, labelled, drawn, unpointed, expected, without
):
    supervision = "points" if unpointed else "tags"
    rows = [annotation(k, 0, square_mask(k)) for k, _ in enumerate(drawn)]
    images = [f"image{k}" for k in drawn] or ["image2"]  # on which nothing is left
    _, after = correct(tmp_path, images, rows, labelled=labelled, supervision=supervision, unpointed=unpointed)
    labels = len(set(labelled) | set(drawn)) if drawn else len(labelled) - 1
    assert after.counts == {"images": 6, "expected": expected, "without": without, "labels": labels}
    if without / expected <= 0.5:
        check_instances(after)
        return
    with pytest.raises(InputError, match="corrected.h5: 4 of 6 .* Try a_step: {min_center: 0.067}"):
        check_instances(after)


@pytest.mark.parametrize(
    "images, annotations, categories, words",
    [
        (["other"], [], CLASSES, "there is no image 'other.png'"),
        (["image7"], [], CLASSES, "does not correct any training image"),
        (["image1", "a/image1"], [], CLASSES, "'image1' is corrected twice"),
        (["image1"], [annotation(0, 0, square_mask(0))], ("cot", "dog"), "no class 'cot'; the nearest is 'cat'"),
        (["image1"], [annotation(0, 0, np.ones((4, 4)))], CLASSES, "its mask is 4x4"),
        (["image1"], [{**annotation(0, 0, square_mask(0)), "segmentation": []}], CLASSES, "points or boxes"),
    ],
)
def test_corrections_of_other_images_classes_or_sizes_are_one_sentence(
    images, annotations, categories, words, tmp_path
):
    with pytest.raises(InputError, match=words):
        correct(tmp_path, images, annotations, categories)
    assert not (tmp_path / "corrected.h5").exists()
