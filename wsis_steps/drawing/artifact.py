"""Draws what an artifact holds of an image."""

import numpy as np

from wsis_steps.drawing.colors import class_colors
from wsis_steps.drawing.raster import (
    UNSURE_COLOR,
    add_legend,
    draw_boxes,
    draw_instances,
    draw_labels,
    draw_outlines,
    draw_points,
    enlarge,
    heatmap,
)
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.points import Points

MOST = 30  # proposals in a drawing, the best ones; more would hide the image
EDGES = "proposals_find_edges"  # its maps are also bytes, but strengths from 0 to 255 instead of labels


def draw(artifact: Artifact, i: int, picture: np.ndarray, least_score: float) -> np.ndarray:
    """What a file holds of an image, drawn over the image (enlarged if it is small), with a legend below."""
    plain, picture = picture, enlarge(picture)
    zoom = len(picture) // len(plain)
    names, colors = artifact.class_names, class_colors(len(artifact.class_names))
    if isinstance(artifact, Images):
        boxes, points = artifact.boxes[i], artifact.points[i]
        drawn = draw_points(draw_boxes(picture, _zoom_boxes(boxes, zoom), colors), _zoom_points(points, zoom), colors)
        present = artifact.tags[i].nonzero()[0]
    elif isinstance(artifact, Instances):
        instances = surest(artifact.read(i), least_score)
        drawn = draw_instances(picture, instances, names, colors, scored=bool((instances.scores != 1).any()))
        present = instances.categories
    elif isinstance(artifact, Points):
        points = artifact.read(i)
        drawn, present = draw_points(picture, _zoom_points(points, zoom), colors), points[:, 2]
    elif isinstance(artifact, Maps):
        maps, categories = artifact.read(i)
        if artifact.provenance.step == EDGES:
            return heatmap(picture, maps / np.float32(255), np.zeros(1, int), ["#ffffff"])
        if maps.dtype == np.uint8:
            names, colors = [*names, "unsure"], [*colors, UNSURE_COLOR]
            drawn, present = draw_labels(picture, maps[0], colors[:-1]), np.minimum(maps[maps > 0] - 1, len(colors) - 1)
        else:
            drawn, present = heatmap(picture, maps, categories, colors), categories
    else:
        found = artifact.read(i)
        first = np.arange(min(len(found.boxes), MOST))
        several = class_colors(len(first))
        if artifact.kind != "boxes":
            return draw_outlines(picture, found.codes(first), several)
        return draw_boxes(picture, _zoom_boxes(np.column_stack([found.boxes[first], first]), zoom), several)
    present = np.unique(present).astype(int)
    return add_legend(drawn, [names[k] for k in present], [colors[k] for k in present])


def surest(instances: ImageInstances, least_score: float) -> ImageInstances:
    """The instances with at least this score."""
    return instances.at(np.flatnonzero(instances.scores >= least_score))


def _zoom_boxes(boxes: np.ndarray, zoom: int) -> np.ndarray:
    return np.concatenate([boxes[:, :4] * zoom, boxes[:, 4:]], axis=1)


def _zoom_points(points: np.ndarray, zoom: int) -> np.ndarray:
    return np.concatenate([(points[:, :2] + 0.5) * zoom - 0.5, points[:, 2:]], axis=1)
