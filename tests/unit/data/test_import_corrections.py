"""Corrections replace what was drawn on, and nothing else."""

import json

import numpy as np
import pytest
from artifacts import CLASSES, SIZE, square_mask, write_images, write_labels

from wsis_steps.data.import_corrections import main
from wsis_steps.data.settings import DataImportCorrections
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.masks import encode


def annotation(image, category, mask):
    rle = encode(mask[None])[0]
    segmentation = {"size": rle["size"], "counts": rle["counts"].decode()}
    return {"id": image, "image_id": image, "category_id": category, "segmentation": segmentation, "bbox": [0, 0, 1, 1]}


def correct(folder, images, annotations, categories=CLASSES):
    write_images(folder / "images.h5")
    write_labels(folder / "labels.h5")
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
    "images, annotations, categories, words",
    [
        (["other"], [], CLASSES, "there is no image 'other.png'"),
        (["image7"], [], CLASSES, "corrects no training image"),
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
