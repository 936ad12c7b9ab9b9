"""Reads single annotations of COCO JSON."""

import math

from wsis_steps.formats.drawing import Shape
from wsis_steps.formats.labels import IGNORED_LABEL
from wsis_steps.formats.regions import turned_rectangle
from wsis_steps.formats.rings import is_nothing, number, numbers, shown

_YES_OR_NO = {0: False, 1: True, "0": False, "1": True}


def read_shape(row: dict, where: str, label: str) -> Shape:
    """The shape of an annotation. Raises ValueError if it is invalid."""
    box, area, rings, crowd = _box(row.get("bbox")), row.get("area"), row.get("segmentation"), _is_set(row, "iscrowd")
    if area is not None:
        area = _area(area)
    if _is_set(row, "ignore"):  # excluded from training and scores, as in OpenMMLab's tools
        label = IGNORED_LABEL
    if not is_nothing(rings):
        return Shape(where, "rings", label, rings, None, crowd, box, area)
    if box is None:
        raise ValueError("it has neither a 'bbox' nor a 'segmentation'")
    if turn := _rotation(row.get("attributes")):
        corners = turned_rectangle(box[0], box[1], box[2] - box[0], box[3] - box[1], turn, "middle")
        return Shape(where, "rings", label, corners.ravel().tolist(), None, crowd, None, area)
    return Shape(where, "box", label, box, None, crowd, None, area)


def count_keypoints(row: dict) -> int:
    """The number of keypoints that are set: in x, y, v, x, y, v, ..., those with v other than 0."""
    value = row.get("keypoints")
    return sum(v != 0 for v in value[2::3]) if isinstance(value, list) else 0


def _box(value: object) -> tuple[float, float, float, float] | None:
    """x1, y1, x2, y2 of x, y, width, height; None if there is no box."""
    if value is None or value == []:
        return None
    try:
        x, y, across, down = numbers(value, 4)
    except ValueError as error:
        raise ValueError(f"its 'bbox': {error}; expected are x, y, width and height") from None
    return x, y, x + across, y + down


def _rotation(attributes: object) -> float:
    """The clockwise rotation of a box about its center, in degrees.

    CVAT writes the unrotated box as `bbox` and the rotation as an attribute, for rectangles only. Sources in CVAT:
    `_convert_shape` in dataset_manager/bindings.py, `RotatedBoxesToPolygons` in
    dataset_manager/formats/transformations.py."""
    turn = attributes.get("rotation") if isinstance(attributes, dict) else None
    if turn is None:
        return 0.0
    try:
        return numbers([turn], 1)[0] % 360
    except ValueError as error:
        raise ValueError(f"its 'rotation': {error}") from None


def _area(value: object) -> float:
    try:
        area = number(value)
    except ValueError as error:
        raise ValueError(f"its 'area': {error}") from None
    if not math.isfinite(area):
        raise ValueError(f"its 'area' is {shown(value)}")
    return area


def _is_set(row: dict, key: str) -> bool:
    value = row.get(key)
    if value is None or value == 0:
        return False
    if isinstance(value, int | float | str) and value in _YES_OR_NO:
        return _YES_OR_NO[value]
    raise ValueError(f"its '{key}' is {shown(value)}, neither 0 nor 1")
