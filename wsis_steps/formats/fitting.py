"""Turns what a file says about an image into annotations, in the same way for all readers.

Every shape is either kept, or counted under the reason for leaving it out. A wrong shape is an error with its place.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.formats import places
from wsis_steps.formats.drawing import WEAK, Drawing, Shape
from wsis_steps.formats.fitted import Fitted
from wsis_steps.formats.joining import Region, code_of, encode_drawn, join
from wsis_steps.formats.labels import is_ignored, is_no_class, label_text
from wsis_steps.formats.notes import Omission, Unusable
from wsis_steps.formats.pictures import Header
from wsis_steps.formats.regions import covers, middle_pixels

REGIONS = ("rings", "mask", "ellipse")
SKIPS = "`unknown_shapes: skip` leaves such shapes out"


@dataclass(frozen=True)
class Rules:
    """chosen: classes that the user set, which are classes even if their names say background; skip_unknown: count
    unusable shapes instead of refusing them; crowds_are_objects: read crowds as ordinary objects; may_skip: whether the
    user can choose to skip."""

    chosen: Collection[str] = ()
    skip_unknown: bool = False
    crowds_are_objects: bool = False
    may_skip: bool = True


def fit(drawing: Drawing, picture: object, header: Header, rules: Rules) -> Fitted:
    """The annotations of an image. picture: its name in messages. Raises InputError, which lists every error."""
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
    """The state while one image is fitted."""

    def __init__(self, drawing: Drawing, header: Header, rules: Rules) -> None:
        self.drawing, self.header, self.rules = drawing, header, rules
        self.found = Fitted(header.height, header.width)
        self.wrong: list[str] = []
        self.regions: list[Region] = []
        self.groups: dict[tuple, Region] = {}  # instances of several shapes, by label and group
        self.marks: list[tuple[Shape, str, tuple]] = []  # tags, points and boxes with their labels
        self.crowds: list[tuple[str, Shape]] = []

    def tell(self, shape: Shape, wrong: ValueError) -> None:
        """Notes the error in a shape, or counts a shape that is skipped."""
        if not isinstance(wrong, Unusable):
            self.wrong.append(f"{self.drawing.where}: {shape.where}: {wrong}.")
        elif not self.rules.skip_unknown:
            hint = f"; {SKIPS}" if self.rules.may_skip else ""
            self.wrong.append(f"{self.drawing.where}: {shape.where}: {wrong}{hint}.")
        else:
            self.omit(wrong.reason, shape)
            label = label_text(shape.label)
            if wrong.reason != "shapes_that_are_no_masks" and not is_ignored(label, self.rules.chosen):
                self.found.without_mask.append((label, shape.where))

    def omit(self, reason: str, shape: Shape, count: int = 1) -> None:
        self.found.omitted.append(Omission(reason, count, f"{self.drawing.where}: {shape.where}"))

    def doubt(self, kind: str, shape: Shape) -> None:
        self.found.doubts.append((kind, f"{self.drawing.where}: {shape.where}"))

    def add(self, shape: Shape) -> None:
        """Adds a shape. Raises ValueError if it is wrong."""
        if shape.crowd and self.rules.crowds_are_objects:
            shape = replace(shape, crowd=False)
        label = label_text(shape.label)
        ignored = is_ignored(label, self.rules.chosen)
        if is_no_class(label, self.rules.chosen) or (ignored and shape.kind == "tag"):
            self.omit("shapes_of_no_class", shape)
        elif isinstance(shape.geometry, Unusable):
            raise shape.geometry
        elif shape.kind in REGIONS:
            self._add_drawn(shape, label, ignored)
        elif shape.kind == "tag":
            self.marks.append((shape, label, ()))
        elif shape.kind == "point":
            self._look_for_shares(shape, shape.geometry)
            point = places.fit_point(shape.geometry, self.header, self.drawing)
            if ignored:
                self.omit("ignored_points", shape)
            else:
                self.marks.append((shape, label, point))
        elif shape.kind == "box":
            self._add_box(shape, label, ignored)
        else:
            raise Unusable(f"a {shape.kind} cannot be a mask", "shapes_that_are_no_masks")

    def _add_drawn(self, shape: Shape, label: str, ignored: bool) -> None:
        """Adds a region; one with too few corners is replaced by its box, if the file states a valid one."""
        try:
            code, doubt = code_of(shape, self.header, self.drawing)
            if doubt:
                self.doubt(doubt, shape)
            if isinstance(code, list) and max(ring.max() for ring in code) <= 1:
                self._look_for_shares(shape, np.concatenate(code).ravel().tolist())
            self.regions.append(Region([shape], label, code, ignored))
        except Unusable as error:
            if error.reason != "polygons_of_too_few_corners" or not self._has_good_box(shape):
                raise
            self.doubt("polygons_of_too_few_corners", shape)
            self._add_box(replace(shape, kind="box", geometry=shape.box, box=None, area=None), label, ignored)

    def _has_good_box(self, shape: Shape) -> bool:
        try:
            return shape.box is not None and places.fit_box(shape.box, self.header, self.drawing) is not None
        except ValueError:
            return False

    def _look_for_shares(self, shape: Shape, values: Sequence[float]) -> None:
        """Notes a shape whose numbers may be shares; the whole data set decides whether they are."""
        if not self.drawing.shares and places.may_be_shares(values):
            self.doubt(places.MAY_BE_SHARES, shape)

    def _add_box(self, shape: Shape, label: str, ignored: bool) -> None:
        self._look_for_shares(shape, shape.geometry)
        box = places.fit_box(shape.geometry, self.header, self.drawing)
        if box is None:
            self.omit("boxes_under_one_pixel", shape)
        elif ignored:
            x1, y1, x2, y2 = box
            corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
            self.regions.append(Region([shape], label, [corners], ignored))
        else:
            if shape.area is not None and (doubt := places.doubt_of_area(box, shape.area, self.drawing)):
                self.doubt(doubt, shape)
            self.marks.append((shape, label, box))

    def add_regions(self) -> None:
        """Encodes the regions, joins those of one instance, and adds them with their boxes and points."""
        regions, wrong = encode_drawn(self.regions, self.header, self.drawing)
        for region, error in wrong:
            self.tell(region.shapes[0], error)
        self.regions, repeated = join(regions)
        for region in repeated:
            self.omit("repeated_shapes", region.shapes[0])
        groups = {(region.label, shape.group): region for region in self.regions for shape in region.shapes}
        self.groups = {key: region for key, region in groups.items() if key[1] is not None and region.area}
        self._join_marks()
        pointed = []  # regions that give a point
        for region in self.regions:
            try:
                if self._add_region(region):
                    pointed.append(region)
            except ValueError as error:
                self.tell(region.shapes[0], error)
        middles = middle_pixels([region.code for region in pointed], self.header.height)
        self.found.points += [
            (*(region.point or middle), region.label) for middle, region in zip(middles, pointed, strict=True)
        ]

    def _join_marks(self) -> None:
        """Joins marks to the mask of their group; marks that lie elsewhere stay separate."""
        alone = []
        for shape, label, value in self.marks:
            region = None if shape.group is None else self.groups.get((label, shape.group))
            if region is None or not self._is_of(shape, value, region):
                alone.append((shape, label, value))
                continue
            self.found.kept += 1
            self.found.joined += 1
            if shape.kind == "point":
                region.point = region.point or value
        self.marks = alone

    def _is_of(self, shape: Shape, value: tuple, region: Region) -> bool:
        """Whether a mark lies on the instance of its group; notes a doubt if it does not."""
        if shape.kind == "point" and not covers(region.code, *value):
            self.doubt("points_off_their_groups", shape)
            return False
        if len(value) == 4 and places.iou(value, region.box) < places.ALIKE:
            self.doubt("boxes_unlike_their_groups", shape)
            return False
        return True

    def _add_region(self, region: Region) -> bool:
        """Adds a region and returns whether it gives a point. Raises ValueError if it is wrong."""
        shape, found, label = region.shapes[0], self.found, region.label
        if not region.area:
            self._without_area(region)
            return False
        found.kept += len(region.shapes)
        if region.ignored:
            found.ignore = region.code
            return False
        found.joined += len(region.shapes) - 1
        weak = WEAK if shape.weak is None else shape.weak
        if shape.crowd:
            self.crowds.append((label, shape))
        elif "tag" in weak:
            found.tags.add(label)
        box = places.box_of_mask(shape.box, region.box, self.header, self.drawing) if shape.box else region.box
        if box is None:
            self._look_for_shares(shape, shape.box)
            if not places.is_tiny(shape.box, self.header, self.drawing):
                self.doubt("boxes_unlike_their_masks", shape)
            box = region.box
        if shape.area is not None and not places.is_area_of_mask(shape.area, region.area, region.box):
            self.doubt("areas_unlike_their_masks", shape)
        found.rles.append(region.code)
        found.labels.append(label)
        found.crowd.append(shape.crowd)
        if "box" in weak and not shape.crowd:
            found.boxes.append((*box, label))
        return "point" in weak and not shape.crowd

    def _without_area(self, region: Region) -> None:
        """Handles a mask that covers no pixel: its box, if there is one, stands for the object."""
        [shape] = region.shapes
        box = places.fit_box(shape.box, self.header, self.drawing) if shape.box else None
        if box is not None and not region.ignored:
            self.doubt("masks_without_area", shape)
            self.marks.append((shape, region.label, box))
            return
        self.omit("shapes_without_area", shape)
        if region.ignored or (region.label, shape.group) in self.groups:
            return
        if not shape.crowd and (shape.weak is None or "tag" in shape.weak):
            self.found.tags.add(region.label)
        if not shape.box or not places.is_tiny(shape.box, self.header, self.drawing):  # tiny boxes are no objects
            self.found.without_mask.append((region.label, shape.where))

    def add_marks(self) -> None:
        """Adds the tags, points and boxes that belong to no mask."""
        found = self.found
        boxes = self._boxes_of_masks() if self.marks else {}
        seen: set[tuple] = set()
        for shape, label, value in self.marks:
            key = (shape.kind, label, value)
            if key in seen and shape.kind != "tag" and shape.weak is None:
                self.omit("repeated_shapes", shape)
                continue
            seen.add(key)
            if shape.crowd:  # a crowd is useful only as a region
                self.omit("crowds_without_a_mask", shape)
                self.crowds.append((label, shape))
                found.without_mask.append((label, shape.where))
                continue
            found.kept += 1
            weak = WEAK if shape.weak is None else shape.weak
            maskless = shape.weak is None and not _has_mask(value, boxes.get(label))
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

    def _boxes_of_masks(self) -> dict[str, np.ndarray]:
        """The boxes (n, 4) of the masks of each label."""
        boxes: dict[str, list[places.Box]] = defaultdict(list)
        for region in self.regions:
            if region.area and not region.ignored:
                boxes[region.label].append(region.box)
        return {label: np.array(own) for label, own in boxes.items()}


def _has_mask(value: tuple, boxes: np.ndarray | None) -> bool:
    """Whether the class has a mask or, for a box, a mask that it fits. boxes: those of the masks of the class."""
    return boxes is not None and (len(value) != 4 or bool((places.ious(value, boxes) >= places.ALIKE).any()))
