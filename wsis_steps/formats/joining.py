"""Encodes the regions of an image together and joins those that are one instance."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pycocotools import mask as coco

from wsis_steps.formats import places
from wsis_steps.formats.drawing import Drawing, Shape
from wsis_steps.formats.notes import Unusable
from wsis_steps.formats.pictures import Header
from wsis_steps.formats.regions import ellipse_extent, encode_ellipse, encode_rings
from wsis_steps.formats.rings import few_corners, read_segmentation
from wsis_steps.vision.masks import count_pixels

_AT_ONCE = 16  # codes that are merged


@dataclass
class Region:
    """A shape that covers pixels, or several that are one instance.

    code: its run-length code; before encoding, its rings, float (n, 2) of x, y in pixels. area (pixels) and box (x1,
    y1, x2, y2): set when joined. point: the point that was drawn for the instance."""

    shapes: list[Shape]
    label: str
    code: dict | list[np.ndarray]
    ignored: bool = False
    area: int = 0
    box: places.Box = field(default=(0.0, 0.0, 0.0, 0.0))
    point: tuple[float, float] | None = None


def code_of(shape: Shape, header: Header, drawing: Drawing) -> tuple[dict | list[np.ndarray], str]:
    """The code of a shape, or its rings in pixels, and a kind of doubt ('' for none). Raises ValueError if it is
    wrong."""
    height, width = header.height, header.width
    if shape.kind == "ellipse":
        extent = ellipse_extent(shape.geometry)
        x, y = shape.geometry[:2]
        if places.leaves((x, y, x, y), header):
            raise places.over_the_side("ellipse with its middle at", f"{x:g}, {y:g}", header)
        # tools do not clip ellipses at the side
        return encode_ellipse(shape.geometry, height, width), "ellipses_cut" * places.leaves(extent, header)
    code = shape.geometry if shape.kind == "mask" else read_segmentation(shape.geometry, height, width, least=1)
    if code is None:
        raise ValueError("it has no corners")
    if isinstance(code, dict):
        if list(code["size"]) != [height, width]:
            there = "x".join(map(str, code["size"][::-1]))
            raise ValueError(f"its mask is {there}, the picture {width}x{height}")
        return code, ""
    rings = [ring for ring in code if len(ring) >= 3]
    if not rings:
        raise Unusable(few_corners(code[0]), "polygons_of_too_few_corners")
    doubt = "parts_of_too_few_corners" * (len(rings) < len(code))
    with np.errstate(over="ignore"):  # overflowing rings leave the image and are reported later
        return [ring * (width, height) for ring in rings] if drawing.shares else rings, doubt


def encode_drawn(
    regions: Sequence[Region], header: Header, drawing: Drawing
) -> tuple[list[Region], list[tuple[Region, ValueError]]]:
    """The regions with codes in place of rings; and the regions whose rings leave the image, with the error."""
    drawn = [region for region in regions if isinstance(region.code, list)]
    rings = [(region, ring) for region in drawn for ring in region.code]
    if not rings:
        return list(regions), []
    first = np.cumsum([0, *(len(ring) for _, ring in rings[:-1])])
    corners = np.concatenate([ring for _, ring in rings])
    low, high = (extreme.reduceat(corners, first, axis=0) for extreme in (np.minimum, np.maximum))
    wrong: dict[int, tuple[Region, ValueError]] = {}
    for (region, _), error in zip(rings, places.check_extents(low, high, header, drawing), strict=True):
        if error:
            wrong.setdefault(id(region), (region, error))
    drawn = [region for region in drawn if id(region) not in wrong]
    codes = encode_rings([region.code for region in drawn], header.height, header.width)
    for region, code in zip(drawn, codes, strict=True):
        region.code = code
    return [region for region in regions if id(region) not in wrong], list(wrong.values())


def join(regions: Sequence[Region]) -> tuple[list[Region], list[Region]]:
    """The joined regions with areas and boxes, and the exact duplicates among the given ones.

    Regions with the same label and group become one, and so do all ignored regions. Empty regions are not joined."""
    if not regions:
        return [], []
    members: dict[tuple, list[Region]] = defaultdict(list)
    areas = count_pixels([region.code for region in regions]).tolist()
    for number, (region, area) in enumerate(zip(regions, areas, strict=True)):
        region.area = int(area)
        shape = region.shapes[0]
        if region.area and region.ignored:
            members["ignored",].append(region)
        elif region.area and shape.group is not None:
            members["group", region.label, shape.group].append(region)
        elif region.area and shape.weak is None:
            members["same", region.label, shape.crowd, region.code["counts"]].append(region)
        else:
            members["alone", number].append(region)
    found, repeated = [], []
    for key, parts in members.items():
        repeated += parts[1:] if key[0] == "same" else []
        found.append(parts[0] if key[0] == "same" else _as_one(parts))
    for region, (x, y, across, down) in zip(found, coco.toBbox([one.code for one in found]).tolist(), strict=True):
        region.box = (x, y, x + across, y + down)
    return found, repeated


def _as_one(parts: list[Region]) -> Region:
    if len(parts) > 1:
        codes = [part.code for part in parts]
        while len(codes) > 1:  # a few at a time, since the merged code grows
            codes = [coco.merge(codes[k : k + _AT_ONCE]) for k in range(0, len(codes), _AT_ONCE)]
        parts[0].code = codes[0]
        parts[0].shapes = [shape for part in parts for shape in part.shapes]
    return parts[0]
