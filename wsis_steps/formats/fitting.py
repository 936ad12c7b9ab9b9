"""From what a file says of a picture to its annotations: the one way for all readers.

Every shape is kept or counted by the reason for which it is left out; a shape that cannot be right is told with its
place.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.formats import places
from wsis_steps.formats.drawing import WEAK, Drawing, Shape
from wsis_steps.formats.labels import is_ignored, is_no_class, label_text
from wsis_steps.formats.notes import Omission
from wsis_steps.formats.pictures import Header
from wsis_steps.formats.regions import encode_ellipse, encode_rings, middle_pixels
from wsis_steps.formats.rings import read_segmentation
from wsis_steps.vision.masks import count_pixels

REGIONS = ("rings", "mask", "ellipse")


@dataclass(frozen=True)
class Rules:
    """chosen: classes that the user names, which are classes whatever their names; skip_unknown: shapes that cannot be
    masks are counted, not refused; crowds_are_objects: what a file calls a crowd is an object like all others."""

    chosen: Collection[str] = ()
    skip_unknown: bool = False
    crowds_are_objects: bool = False


@dataclass
class Fitted:
    """The annotations of a picture. tags: labels; points: x, y and label; boxes: x1, y1, x2, y2 and label; rles, labels
    and crowd of its masks; ignore: pixels that do not count. without_mask: where objects stand that have none. kept:
    shapes that are in one of these."""

    height: int
    width: int
    tags: set[str] = field(default_factory=set)
    points: list[tuple[float, float, str]] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float, str]] = field(default_factory=list)
    rles: list[dict] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    ignore: dict | None = None
    without_mask: list[tuple[str, str]] = field(default_factory=list)
    kept: int = 0
    omitted: list[Omission] = field(default_factory=list)
    doubts: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Region:
    """A shape that covers pixels, or several that are one instance: its code, or its rings in pixels."""

    shapes: list[Shape]
    label: str
    code: dict | list[np.ndarray]
    ignored: bool = False


def fit(drawing: Drawing, picture: object, header: Header, rules: Rules) -> Fitted:
    """The annotations of a picture, which messages call `picture`. InputError lists all that is wrong with them."""
    work = _Work(drawing, header, rules)
    try:
        if (doubt := places.check_size(drawing, header)) and any(shape.kind != "tag" for shape in drawing.shapes):
            work.found.doubts.append((doubt, str(picture)))
    except ValueError as error:
        raise InputError(f"{drawing.where}: {picture}: {error}.") from None
    for shape in drawing.shapes:
        try:
            work.add(shape)
        except ValueError as error:
            work.tell(shape, error)
    work.add_regions()
    work.add_marks()
    only_crowds = sorted({label for label, _ in work.crowds} - work.found.tags)
    first = {label: shape.where for label, shape in reversed(work.crowds)}
    work.found.doubts += [
        ("classes_with_crowds_only", f"{drawing.where}: {first[label]}, '{label}'") for label in only_crowds
    ]
    if work.wrong:
        raise InputError("; ".join(work.wrong), work.wrong)
    return work.found


class _Work:
    """One picture on its way."""

    def __init__(self, drawing: Drawing, header: Header, rules: Rules) -> None:
        self.drawing, self.header, self.rules = drawing, header, rules
        self.found = Fitted(header.height, header.width)
        self.wrong: list[str] = []
        self.regions: list[_Region] = []
        self.marks: list[tuple[Shape, str, tuple]] = []  # tags, points and boxes with their labels
        self.crowds: list[tuple[str, Shape]] = []

    def tell(self, shape: Shape, wrong: object) -> None:
        """Notes what is wrong with a shape."""
        self.wrong.append(f"{self.drawing.where}: {shape.where}: {wrong}.")

    def omit(self, reason: str, shape: Shape, count: int = 1) -> None:
        self.found.omitted.append(Omission(reason, count, f"{self.drawing.where}: {shape.where}"))

    def doubt(self, kind: str, shape: Shape) -> None:
        self.found.doubts.append((kind, f"{self.drawing.where}: {shape.where}"))

    def add(self, shape: Shape) -> None:
        """Takes a shape; ValueError where it cannot be right."""
        if shape.crowd and self.rules.crowds_are_objects:
            shape = replace(shape, crowd=False)
        label = label_text(shape.label)
        ignored = is_ignored(label, self.rules.chosen)
        if is_no_class(label, self.rules.chosen) or (ignored and shape.kind == "tag"):
            self.omit("shapes_of_no_class", shape)
        elif shape.kind in REGIONS:
            self.regions.append(_Region([shape], label, self._code(shape), ignored))
        elif shape.kind == "tag":
            self.marks.append((shape, label, ()))
        elif shape.kind == "point":
            point = places.fit_point(shape.geometry, self.header, self.drawing)
            if ignored:
                self.omit("ignored_points", shape)
            else:
                self.marks.append((shape, label, point))
        elif shape.kind == "box":
            self._add_box(shape, label, ignored)
        elif self.rules.skip_unknown:
            self.omit("shapes_that_are_no_masks", shape)
        else:
            raise ValueError(f"a {shape.kind} cannot be a mask; `unknown_shapes: skip` leaves such shapes out")

    def _add_box(self, shape: Shape, label: str, ignored: bool) -> None:
        box = places.fit_box(shape.geometry, self.header, self.drawing)
        if box is None:
            self.omit("boxes_under_one_pixel", shape)
        elif ignored:
            x1, y1, x2, y2 = box
            corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
            self.regions.append(_Region([shape], label, [corners], ignored))
        else:
            if shape.area is not None and not places.check_area(box, shape.area, self.drawing):
                self.doubt("areas_unlike_their_boxes", shape)
            self.marks.append((shape, label, box))

    def _code(self, shape: Shape) -> dict | list[np.ndarray]:
        """The code of a region, or its rings in pixels."""
        height, width = self.header.height, self.header.width
        if shape.kind == "ellipse":
            return encode_ellipse(shape.geometry, height, width)
        code = shape.geometry if shape.kind == "mask" else read_segmentation(shape.geometry, height, width)
        if code is None:
            raise ValueError("it has no corners")
        if isinstance(code, dict):
            if list(code["size"]) != [height, width]:
                there = "x".join(map(str, code["size"][::-1]))
                raise ValueError(f"its mask is {there}, the picture {width}x{height}")
            return code
        with np.errstate(over="ignore"):  # what overflows leaves the picture, which is told behind
            return [ring * (width, height) for ring in code] if self.drawing.shares else code

    def add_regions(self) -> None:
        """Encodes the regions, joins those of one instance, and takes them with their boxes and points."""
        self._encode()
        joined: dict[tuple, _Region] = {}
        for number, region in enumerate(self.regions):
            group = region.shapes[0].group
            key = (region.label, number) if group is None else (region.label, "group", group)
            if region.ignored:
                key = ("ignored",)
            if key in joined:
                joined[key].shapes += region.shapes
                joined[key].code = coco.merge([joined[key].code, region.code])
            else:
                joined[key] = region
        self.regions = list(joined.values())
        codes = [region.code for region in self.regions]
        areas = count_pixels(codes).tolist()
        boxes = coco.toBbox(codes).reshape(-1, 4).tolist() if codes else []
        pointed = []  # regions that give a point
        for region, area, (x, y, across, down) in zip(self.regions, areas, boxes, strict=True):
            try:
                if self._add_region(region, area, (x, y, x + across, y + down)):
                    pointed.append(region)
            except ValueError as error:
                self.tell(region.shapes[0], error)
        middles = middle_pixels([region.code for region in pointed], self.header.height)
        self.found.points += [(*middle, region.label) for middle, region in zip(middles, pointed, strict=True)]

    def _encode(self) -> None:
        """Replaces the rings of each region by its code; those that leave the picture are told and dropped."""
        drawn = [region for region in self.regions if isinstance(region.code, list)]
        rings = [(region, ring) for region in drawn for ring in region.code]
        if not rings:
            return
        first = np.cumsum([0, *(len(ring) for _, ring in rings[:-1])])
        corners = np.concatenate([ring for _, ring in rings])
        low, high = (extreme.reduceat(corners, first, axis=0) for extreme in (np.minimum, np.maximum))
        wrong: set[int] = set()
        for (region, _), text in zip(rings, places.check_extents(low, high, self.header, self.drawing), strict=True):
            if text and id(region) not in wrong:
                wrong.add(id(region))
                self.tell(region.shapes[0], text)
        self.regions = [region for region in self.regions if id(region) not in wrong]
        drawn = [region for region in drawn if id(region) not in wrong]
        codes = encode_rings([region.code for region in drawn], self.header.height, self.header.width)
        for region, code in zip(drawn, codes, strict=True):
            region.code = code

    def _add_region(self, region: _Region, area: int, own_box: tuple) -> bool:
        """Takes a region, whose box is `own_box`; whether it gives a point. ValueError where it cannot be right."""
        shape, found, label = region.shapes[0], self.found, region.label
        if region.ignored:
            found.ignore = region.code if area else None
            found.kept += len(region.shapes)
            return False
        weak = WEAK if shape.weak is None else shape.weak
        if shape.crowd:
            self.crowds.append((label, shape))
        elif "tag" in weak:
            found.tags.add(label)
        if area == 0:
            self._without_area(region)
            return False
        box = places.box_of_mask(shape.box, own_box, self.header, self.drawing) if shape.box else own_box
        if box is None:
            self.doubt("boxes_unlike_their_masks", shape)
            box = own_box
        found.kept += len(region.shapes)
        found.rles.append(region.code)
        found.labels.append(label)
        found.crowd.append(shape.crowd)
        if "box" in weak and not shape.crowd:
            found.boxes.append((*box, label))
        return "point" in weak and not shape.crowd

    def _without_area(self, region: _Region) -> None:
        """A mask that covers no pixel: its box, where there is one, stands for the object."""
        shape = region.shapes[0]
        box = places.fit_box(shape.box, self.header, self.drawing) if shape.box else None
        if box is None:
            self.omit("shapes_without_area", shape, len(region.shapes))
            self.found.without_mask.append((region.label, shape.where))
        else:
            self.doubt("masks_without_area", shape)
            self.marks.append((shape, region.label, box))

    def add_marks(self) -> None:
        """Takes tags, points and boxes, less those that are of one instance with a mask."""
        found = self.found
        instances = {
            (label, shape.group) for region in self.regions for shape in region.shapes for label in [region.label]
        }
        own_boxes = coco.toBbox(found.rles).tolist() if self.marks and found.rles else []
        own = list(zip(found.labels, own_boxes, strict=False))
        for shape, label, value in self.marks:
            if shape.crowd:  # only as a region it says something
                self.omit("crowds_without_a_mask", shape)
                self.crowds.append((label, shape))
                found.without_mask.append((label, shape.where))
                continue
            found.kept += 1
            if shape.group is not None and (label, shape.group) in instances:
                continue
            weak = WEAK if shape.weak is None else shape.weak
            maskless = shape.weak is None and not self._has_mask(label, value, own)
            if "tag" in weak:
                found.tags.add(label)
            if shape.kind == "point" and "point" in weak:
                found.points.append((*value, label))
            if len(value) == 4 and "box" in weak:
                found.boxes.append((*value, label))
            if len(value) == 4 and "point" in weak and (shape.weak or (maskless and self.drawing.middles)):
                found.points.append(((value[0] + value[2] - 1) / 2, (value[1] + value[3] - 1) / 2, label))
            if maskless:
                found.without_mask.append((label, shape.where))

    def _has_mask(self, label: str, value: tuple, own: list[tuple[str, list[float]]]) -> bool:
        """Whether a mask of the class is there, for a box one that it may be the box of."""
        boxes = [(x, y, x + across, y + down) for name, (x, y, across, down) in own if name == label]
        return bool(boxes) and (len(value) != 4 or any(places.iou(value, box) >= places.ALIKE for box in boxes))
