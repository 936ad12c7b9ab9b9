"""Writes semantic maps for PASCAL VOC's evaluation server: one PNG per image with VOC's palette."""

from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.names import path_below
from wsis_steps.engine.progress import progress
from wsis_steps.formats.labelled import check_names
from wsis_steps.formats.voc import VOC_CLASSES
from wsis_steps.formats.voc_masks import write_map
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.masks import UNSURE

COMPETITIONS = ("comp5", "comp6")  # trained on VOC's images only; on any images except the test set


def write_voc_server(out: Path, maps: Maps, competition: str) -> Path:
    """Writes results/VOC2012/Segmentation/<competition>_test_cls/<id>.png below `out`; returns that folder.

    A PNG has the size of its image and the indices 0 (background) to 20 in VOC's order. Unsure pixels become
    background, because the server has no value for them. Raises InputError unless the maps are label maps of VOC's
    classes and have the size of their images.
    """
    if list(maps.class_names) != VOC_CLASSES:
        raise InputError(f"{maps.path} has {len(maps.class_names)} classes that are not VOC's 20 in their order.")
    if maps.dataset("maps").dtype != np.uint8:
        raise InputError(f"{maps.path} holds activation maps; the server needs semantic maps, such as semantic/val.h5.")
    check_names(maps)
    folder = out / "results/VOC2012/Segmentation" / f"{competition}_test_cls"
    for i, identity in enumerate(progress(maps.ids, len(maps), "export")):
        labels = maps.semantic(i)
        if labels.shape != (maps.heights[i], maps.widths[i]):
            raise InputError(f"The map of image '{identity}' in {maps.path} does not have the size of the image.")
        write_map(path_below(folder, f"{identity}.png"), np.where(labels == UNSURE, 0, labels).astype(np.uint8))
    return folder
