"""Broken, missing and contradicting data end the import with one sentence that names the file and the line."""

import numpy as np
import pytest
from artifacts import SIZE
from calls import files
from mistakes import (
    check,
    coco_tree,
    cut,
    edit,
    first,
    folder_of_maps,
    import_maps,
    import_own,
    import_tree,
    lists,
    own_folder,
    resave,
)

# What was done wrong, and words that the sentence must hold.
CASES = {
    "a truncated picture": (
        lambda p: cut(first(p, "JPEGImages")) and import_tree(p),
        "00000.jpg is cut short or damaged",
    ),
    "a picture that is none": (
        lambda p: first(p, "JPEGImages").write_text("text") and import_tree(p),
        "JPEGImages/train_00000.jpg is not a picture in a known format",
    ),
    "a missing picture": (
        lambda p: first(p, "JPEGImages").unlink() or import_tree(p),
        "train.txt:1",
        "train_00000",
    ),
    "a missing mask": (
        lambda p: first(p, "SegmentationObject").unlink() or import_tree(p),
        "SegmentationObject/train_00000.png does not exist",
    ),
    "a mask of another size": (
        lambda p: (
            [resave(first(p, f"Segmentation{k}"), lambda v: v[:40]) for k in ("Object", "Class")] and import_tree(p)
        ),
        "SegmentationObject/train_00000.png is 48x40, but ",
    ),
    "a truncated mask": (
        lambda p: cut(first(p, "SegmentationObject")) and import_tree(p),
        "SegmentationObject/train_00000.png is cut short or damaged",
    ),
    "a mask of an unknown class": (
        lambda p: (
            resave(first(p, "SegmentationClass"), lambda v: np.where(v > 0, 77, 0).astype(np.uint8)) and import_tree(p)
        ),
        "train_00000.png: class value 77 is not one of 1..6",
    ),
    "an unknown class in XML": (
        lambda p: edit(first(p, "Annotations"), "<name>", "<name>sq") and import_tree(p),
        "Annotations/train_00000.xml: there is no class 'sq",
        "the nearest is",
    ),
    "a missing XML": (
        lambda p: first(p, "Annotations").unlink() or import_tree(p),
        "Annotations/train_00000.xml does not exist",
    ),
    "a broken XML": (
        lambda p: cut(first(p, "Annotations")) and import_tree(p),
        "Annotations/train_00000.xml is not an XML file",
    ),
    "a repeated id": (
        lambda p: edit(lists(p, "train"), "train_00001", "train_00000") and import_tree(p),
        "train.txt:2: id 'train_00000' is also in line 1",
    ),
    "an id in both lists": (
        lambda p: edit(lists(p, "val"), "val_00000", "train_00000") and import_tree(p),
        "train_00000",
        "val.txt:1",
    ),
    "an empty list": (lambda p: lists(p, "train").write_text("") or import_tree(p), "train.txt lists no image"),
    "an empty list to evaluate": (
        lambda p: lists(p, "val").write_text("\n") and import_tree(p),
        "val.txt lists no image",
    ),
    "a list that is not there": (
        lambda p: import_tree(p, format="voc", root=str(p.tree), train_list="trian"),
        "There is no list 'trian'",
        "the nearest is 'train'",
    ),
    "several bad files at once": (
        lambda p: (
            cut(first(p, "JPEGImages"))
            and cut(lists(p, "val").parents[2] / "JPEGImages/val_00001.jpg")
            and import_tree(p)
        ),
        "has 2 problems",
        "train_00000.jpg",
        "val_00001.jpg",
    ),
    "VOC that is not there": (
        lambda p: import_tree(p, format="voc", root=str(p.tmp / "voc")),
        "voc: download http",
        "VOCtrainval_11-May-2012.tar (2.0 GB)",
        "unpack it there",
    ),
    "COCO that is not there": (
        lambda p: import_tree(p, format="coco", root=str(p.tmp / "coco")),
        "coco: download http",
        "train2017.zip (",
        " GB)",
    ),
    "no root": (lambda p: import_tree(p, format="voc"), "data_import_dataset.root is missing"),
    "a COCO file that is cut": (
        lambda p: import_tree(
            p, format="coco", root=str(cut(coco_tree(p) / "annotations/instances_val.json").parents[1])
        ),
        "instances_val.json is not a JSON file",
    ),
    "an unknown COCO category": (
        lambda p: import_tree(p, format="coco", root=str(coco_tree(p, category_id=4))),
        "instances_train.json: annotation 1: it is of category 4, which the file does not list",
    ),
    "an annotation of no image": (
        lambda p: import_tree(p, format="coco", root=str(coco_tree(p, image_id=8))),
        "annotation 1: it is of image 8, which the file does not list",
    ),
    "an own folder with a tag but no image": (
        lambda p: import_own(p, "image,tags\na.png,cat\nbb.png,dog\n"),
        "tags.csv:3: there is no picture 'bb.png'",
        "the nearest is 'b.png'",
    ),
    "an own folder with an unknown class": (
        lambda p: import_own(p, "image,tags\na.png,cat\nb.png,dgo\n", class_names=["cat", "dog"]),
        "tags.csv:3: there is no class 'dgo'; the nearest is 'dog'",
    ),
    "an own folder where all is val": (
        lambda p: import_own(p, "image,tags,split\na.png,cat,val\nb.png,dog,val\n"),
        "every image is in val",
    ),
    "a point off the picture": (
        lambda p: import_own(p, "image,tags\na.png,cat\nb.png,dog\n", "image,x,y,class\na.png,33,5,cat\n"),
        "points.csv:2, image 'a.png': its point 33, 5 lies outside the picture of 30x20",
    ),
    "an own folder without tags.csv": (
        lambda p: (own_folder(p, "") / "tags.csv").unlink() or import_tree(p, format="folder", root=str(p.tmp / "own")),
        "own/tags.csv does not exist",
    ),
    "maps from nowhere": (lambda p: import_maps(p, p.tmp / "absent"), "data_import_semantic.folder is"),
    "maps from a folder that is not said": (lambda p: import_maps(p, None), "data_import_semantic.folder is None"),
    "a map that is missing": (
        lambda p: import_maps(p, folder_of_maps(p, lambda k, v: None if k == 2 else v)),
        "image2.png does not exist",
    ),
    "a map of another size": (
        lambda p: import_maps(p, folder_of_maps(p, lambda k, v: v[:20] if k == 2 else v)),
        f"image2.png is {SIZE}x20 pixels, but its image is {SIZE}x{SIZE}",
    ),
    "a map of an unknown class": (
        lambda p: import_maps(p, folder_of_maps(p, lambda k, v: v + (3 if k == 2 else 0))),
        "image2.png holds value 5, but there are 2 classes",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_one_sentence(place, case, capfd):
    do, *words = CASES[case]
    outcome = do(place)
    check(place, outcome, tuple(words), capfd.readouterr().err)


def test_valid_data_do_pass(place):
    """Else the cases above could fail for another reason."""
    assert import_tree(place).status == 0 and len(files(place.out)) == 4
    points = "image,x,y,class\na.png,29,5,cat\n"
    done = [
        import_tree(place, format="coco", root=str(coco_tree(place))),
        import_own(place, "image,tags\na.png,cat\nb.png,dog\n", points, val_share=0.5),
        import_maps(place, folder_of_maps(place, lambda k, v: v)),
    ]
    assert [outcome.status for outcome in done] == [0, 0, 0], [outcome.errors for outcome in done]
    assert "train: 1 images, 0 of them without tags; cat 0, dog 1" in done[1].log
    assert any("shapes: 3" in line and "points: 1" in line for line in done[1].log)
