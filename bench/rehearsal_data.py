"""Generates small inputs for the presets: data in the layouts of VOC 2012, SBD and COCO 2017, and weight files.

    python -m bench.rehearsal_data FOLDER trainaug val vgg16 resnet50    these lists and backbones, in FOLDER/data

All files are where the presets expect them. Images show generated shapes, 375 x 500 pixels, under VOC's class names,
which are also the first of COCO's 80 classes here. Weights are random, in the layout of the real files; running means
of batch norm are computed on noise, because features would otherwise grow from layer to layer.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.io import savemat
from torch import nn

from bench.rehearsal_plan import PICTURES
from wsis_steps.data.shapes import draw_image
from wsis_steps.formats.coco_writer import CocoFile
from wsis_steps.formats.voc import VOC_CLASSES
from wsis_steps.formats.voc_annotations import write_annotation
from wsis_steps.formats.voc_masks import write_map
from wsis_steps.vision.backbone_table import entry_of
from wsis_steps.vision.masks import describe, encode

HEIGHT, WIDTH = 375, 500
COCO_CLASSES = (*VOC_CLASSES, *(f"class {number}" for number in range(len(VOC_CLASSES) + 1, 81)))
TREE, SBD = "data/VOCdevkit/VOC2012", "data/benchmark_RELEASE/dataset"


def draw(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture uint8 (HEIGHT, WIDTH, 3), objects and classes uint8 (HEIGHT, WIDTH), as `draw_image` has them."""
    picture, objects, classes = draw_image(np.random.default_rng((0, number)), WIDTH, difficulty=1.0)
    top = (WIDTH - HEIGHT) // 2
    rows = slice(top, top + HEIGHT)
    classes = np.where(classes > 0, 1 + (classes.astype(int) + 5 * number) % len(VOC_CLASSES), 0)
    return picture[rows], objects[rows], classes[rows].astype(np.uint8)


def write_image(root: Path, name: str, number: int, in_sbd: bool) -> None:
    """Writes an image with annotation and masks; for SBD, the masks are in a .mat file."""
    tree = root / TREE
    picture, objects, classes = draw(number)
    Image.fromarray(picture).save(tree / f"JPEGImages/{name}.jpg", quality=95)
    write_annotation(tree / f"Annotations/{name}.xml", f"{name}.jpg", objects, classes, VOC_CLASSES)
    if in_sbd:
        ids = np.setdiff1d(objects, [0])
        numbered = np.where(objects > 0, 1 + np.searchsorted(ids, objects), 0).astype(np.uint8)  # from 1 without gaps
        categories = [[classes[objects == value][0]] for value in ids]
        savemat(root / SBD / f"inst/{name}.mat", {"GTinst": {"Segmentation": numbered, "Categories": categories}})
    else:
        write_map(tree / f"SegmentationObject/{name}.png", objects)
        write_map(tree / f"SegmentationClass/{name}.png", classes)


def write_data(root: Path, train_list: str, val_list: str) -> None:
    """Writes PICTURES images of each list; the masks of half of the training images are SBD's."""
    folders = ("JPEGImages", "Annotations", "SegmentationObject", "SegmentationClass", "ImageSets/Segmentation")
    for folder in (*(f"{TREE}/{folder}" for folder in folders), f"{SBD}/inst"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for split, (name, first) in enumerate({train_list: 1, val_list: 1 + PICTURES}.items()):
        numbers = range(first, first + PICTURES)
        names = [f"{2008 + split}_{number:06d}" for number in numbers]
        for number, image in zip(numbers, names, strict=True):
            write_image(root, image, number, in_sbd=split == 0 and number % 2 == 0)
        (root / TREE / f"ImageSets/Segmentation/{name}.txt").write_text("\n".join(names) + "\n")


def write_coco_data(root: Path) -> None:
    """Writes PICTURES images of each split as COCO 2017 has them."""
    for split, first in {"train2017": 1, "val2017": 1 + PICTURES}.items():
        (root / "data" / split).mkdir(parents=True, exist_ok=True)
        (root / "data/annotations").mkdir(exist_ok=True)
        with CocoFile(root / f"data/annotations/instances_{split}.json", COCO_CLASSES) as file:
            for number in range(first, first + PICTURES):
                picture, objects, classes = draw(number)
                Image.fromarray(picture).save(root / "data" / split / f"{number:012d}.jpg", quality=95)
                ids = np.setdiff1d(objects, [0])
                masks = np.stack([objects == value for value in ids])
                categories = np.array([classes[mask][0] - 1 for mask in masks], dtype=np.int64)
                file.add(f"{number:012d}.jpg", HEIGHT, WIDTH, describe(encode(masks), categories), scored=False)


def build_network(name: str) -> nn.Module:
    """The full torchvision or timm network of a backbone's ImageNet weights, randomly initialized."""
    entry = entry_of(name)
    if entry.source == "timm":
        import timm

        return timm.create_model(entry.weights, pretrained=False)
    import torchvision

    return getattr(torchvision.models, name)(weights=None)


def write_weights(root: Path, name: str) -> None:
    """Writes the ImageNet weight file of a backbone, unless it exists."""
    path = root / "data/weights" / f"{name.replace('/', '_')}_imagenet.pth"
    if path.is_file():
        return
    torch.manual_seed(0)
    network = build_network(name).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all that it sees
    with torch.no_grad():
        network(torch.randn(4, 3, 224, 224))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)


def main(folder: str, train_list: str, val_list: str, *backbones: str) -> None:
    write_data(Path(folder), train_list, val_list)
    write_coco_data(Path(folder))
    for name in backbones:
        write_weights(Path(folder), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
