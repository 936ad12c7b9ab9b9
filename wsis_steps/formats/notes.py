"""What an import records while it reads: errors, omissions by reason, and doubts."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wsis_steps.engine.problems import Problems

# Reasons for leaving out shapes; every shape of a file is either kept or counted here.
SHAPE_REASONS = {
    "shapes_without_area": "cover no pixel",
    "crowds_without_a_mask": "are crowds that have no mask",
    "boxes_under_one_pixel": "are boxes of less than a pixel",
    "shapes_of_no_class": "have no label, or that of the background",
    "shapes_that_are_no_masks": "are lines, skeletons or the like",
    "shapes_over_the_side": "leave their pictures",
    "polygons_of_too_few_corners": "are polygons of fewer than three corners",
    "shapes_of_turned_pictures": "were drawn on a picture that Label Studio turned",
    "ignored_points": "are points of an ignored label",
    "answers_that_are_no_tags": "answer questions that are not about classes",
    "shapes_of_pictures_left_out": "are of pictures that are left out",
    "repeated_shapes": "are there twice",
    "shapes_outside_of_their_pictures": "are marked as not in their pictures",
    "deleted_objects": "are marked as deleted",
    "difficult_objects_left_out": "are marked as difficult",
}
# Reasons for images and everything else that is not a shape.
OTHER_REASONS = {
    "polygons_of_voc_objects": "polygons of VOC's objects, whose masks are those of SegmentationObject",
    "keypoints_of_objects": "keypoints of objects",
    "pictures_not_listed": "pictures that the annotations do not list",
    "pictures_untouched": "pictures on which nothing was drawn",
    "pictures_not_submitted": "pictures without a submitted annotation",
    "pictures_of_other_subsets": "pictures of other subsets than train and val",
    "extra_pictures_of_a_task": "further pictures of a task",
    "class_maps_without_objects": "maps of classes without maps of objects, of which tags are kept",
    "categories_without_images": "categories that group others and have no image",
    "older_annotations_of_a_picture": "annotations of a picture that has a later one",
}
REASONS = SHAPE_REASONS | OTHER_REASONS
# Doubts about annotations that are kept; n: how many, where: the first place.
DOUBTS = {
    "turned_pictures": "Pictures turned by EXIF data, where nothing says whether the annotating tool turned them too: "
    "{n} (the first: {where}). Compare one with its annotations.",
    "boxes_that_may_be_corners": "Files whose boxes are read as a corner with width and height, as COCO has them, but "
    "may just as well be two corners: {n} (the first: {where}). Compare one with its picture.",
    "boxes_unlike_their_masks": "Boxes that do not match their masks: {n} (the first: {where}). The boxes of the masks "
    "are used.",
    "boxes_unlike_their_groups": "Boxes that do not match the masks of their groups: {n} (the first: {where}). They "
    "are kept as separate objects.",
    "points_off_their_groups": "Points outside the masks of their groups: {n} (the first: {where}). They are kept as "
    "separate objects.",
    "areas_of_other_boxes": "Boxes that do not match their areas in the file, but would as two corners: {n} (the "
    "first: {where}).",
    "polygons_of_four_corners": "YOLO data whose polygons all have four corners: {n} (the first: {where}). If they are "
    "rotated boxes (OBB), their masks are these boxes: keep them out of `truth`.",
    "areas_unlike_their_boxes": "Boxes that do not match their areas in the file: {n} (the first: {where}).",
    "areas_unlike_their_masks": "Masks whose area differs from the file's by more than 10 %: {n} (the first: {where}). "
    "A hole written as a second polygon is filled, because COCO has no holes: write such masks as run-length codes.",
    "masks_without_area": "Masks that cover no pixel: {n} (the first: {where}). Their boxes are used.",
    "ellipses_cut": "Ellipses that reach far beyond their pictures: {n} (the first: {where}). They are cut at the "
    "edge.",
    "polygons_of_too_few_corners": "Polygons with fewer than three corners: {n} (the first: {where}). Their boxes are "
    "used.",
    "parts_of_too_few_corners": "Masks with parts of fewer than three corners: {n} (the first: {where}). These parts "
    "are left out.",
    "classes_with_crowds_only": "Classes that a picture has only as a region of several objects (`iscrowd`), which "
    "gives no tag, point or box: {n} (the first: {where}). CVAT writes every brush mask this way; "
    "`data_import_dataset.crowds: objects` reads them as objects.",
}


class Unusable(ValueError):
    """The error of a well-formed shape that cannot be used: refused, or counted under `reason` with `unknown_shapes:
    skip`."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text, reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.args[0]


def usable(read: Callable, *arguments: object) -> object:
    """The result of `read`, or the `Unusable` it raised; a reader passes on either."""
    try:
        return read(*arguments)
    except Unusable as error:
        return error


@dataclass(frozen=True, slots=True)
class Omission:
    """Something left out: the reason, the count, and the first place."""

    reason: str
    count: int
    where: str


class Notes(Problems):
    """Problems, and omissions by reason."""

    def __init__(self, shown: int = 20) -> None:
        super().__init__(shown)
        self.omitted: dict[str, Omission] = {}

    def leave_out(self, reason: str, where: str, count: int = 1) -> None:
        """Counts an omission; `where` is its place."""
        self.omit([Omission(reason, count, where)])

    def omit(self, omissions: Iterable[Omission]) -> None:
        """Adds the omissions of a part of the work."""
        for one in omissions:
            if one.reason not in REASONS:
                raise KeyError(one.reason)
            first = self.omitted.get(one.reason, Omission(one.reason, 0, one.where))
            if one.count:
                self.omitted[one.reason] = Omission(one.reason, first.count + one.count, first.where)

    @property
    def counts(self) -> dict[str, int]:
        """Reason -> number of omissions."""
        return {reason: self.omitted[reason].count for reason in REASONS if reason in self.omitted}

    def sentences_of_omissions(self) -> list[str]:
        """One sentence per reason."""
        return [omission_sentence(self.omitted[reason]) for reason in REASONS if reason in self.omitted]


def doubt_sentences(doubts: Iterable[tuple[str, str]]) -> list[str]:
    """One sentence per kind of doubt, from (kind, place) pairs."""
    found = list(doubts)
    count, first = Counter(kind for kind, _ in found), dict(reversed(found))
    return [text.format(n=count[kind], where=first[kind]) for kind, text in DOUBTS.items() if count[kind]]


def omission_sentence(omission: Omission) -> str:
    """'Left out: shapes that cover no pixel: 3 (the first: a.json: annotation 7).'"""
    reason = omission.reason
    what = f"shapes that {SHAPE_REASONS[reason]}" if reason in SHAPE_REASONS else OTHER_REASONS[reason]
    return f"Left out: {what}: {omission.count} (the first: {omission.where})."
