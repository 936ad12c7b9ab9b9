"""What an import notes while it reads: all that is wrong, all that it leaves out, by reason, and what it doubts."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wsis_steps.engine.problems import Problems

# Of shapes; every shape of a file is either kept or counted here.
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
# Of pictures and what else is no shape.
OTHER_REASONS = {
    "polygons_of_voc_objects": "polygons of VOC's objects, whose masks are those of SegmentationObject",
    "keypoints_of_objects": "keypoints of objects",
    "pictures_not_listed": "pictures that the annotations do not list",
    "pictures_untouched": "pictures on which nothing was drawn",
    "pictures_not_submitted": "pictures without a submitted annotation",
    "pictures_of_other_subsets": "pictures of other subsets than train and val",
    "extra_pictures_of_a_task": "further pictures of a task",
    "categories_without_images": "categories that group others and have no image",
    "older_annotations_of_a_picture": "annotations of a picture that has a later one",
}
REASONS = SHAPE_REASONS | OTHER_REASONS
# What may be wrong with what is kept; n: how many, where: the first place.
DOUBTS = {
    "turned_pictures": "{n} pictures are turned by their EXIF data, and nothing tells whether the annotating tool "
    "turned them too (the first: {where}); compare one with its annotations.",
    "boxes_that_may_be_corners": "The boxes of {n} files (the first: {where}) are read as a corner with width and "
    "height, as COCO has them, but all their numbers may as well be two corners; compare one with its picture.",
    "boxes_unlike_their_masks": "{n} boxes do not match their masks (the first: {where}); those of the masks are used.",
    "boxes_unlike_their_groups": "{n} boxes do not match the masks of their groups (the first: {where}); they are kept "
    "as objects of their own.",
    "points_off_their_groups": "{n} points lie beside the masks of their groups (the first: {where}); they are kept as "
    "objects of their own.",
    "areas_unlike_their_boxes": "{n} boxes do not match their areas in the file (the first: {where}).",
    "areas_unlike_their_masks": "{n} masks differ by over 10 % from their areas in the file (the first: {where}); a "
    "hole that is written as a second polygon is filled, since COCO has none: write such masks as run-length codes.",
    "masks_without_area": "{n} masks cover no pixel (the first: {where}); their boxes are used.",
    "ellipses_cut": "{n} ellipses reach far over a side of their pictures, where they are cut (the first: {where}).",
    "polygons_of_too_few_corners": "{n} polygons have fewer than three corners (the first: {where}); their boxes are "
    "used.",
    "parts_of_too_few_corners": "{n} masks have parts of fewer than three corners (the first: {where}), which are left "
    "out.",
    "classes_with_crowds_only": "Pictures have a class only as a region of several objects (`iscrowd`), which gives no "
    "tag, point or box: {n} times (the first: {where}). CVAT exports every brush mask so; "
    "`data_import_dataset.crowds: objects` reads them as objects.",
}


class Unusable(ValueError):
    """What is wrong with a shape that is well written but cannot be used: refused, or with `unknown_shapes: skip`
    counted under `reason`."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text, reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.args[0]


def usable(read: Callable, *arguments: object) -> object:
    """What `read` returns, or why that cannot be used: a reader hands both on."""
    try:
        return read(*arguments)
    except Unusable as error:
        return error


@dataclass(frozen=True, slots=True)
class Omission:
    """Something that is left out: the reason, how much, and the first place."""

    reason: str
    count: int
    where: str


class Notes(Problems):
    """Problems, and what is left out by reason."""

    def __init__(self, shown: int = 20) -> None:
        super().__init__(shown)
        self.omitted: dict[str, Omission] = {}

    def leave_out(self, reason: str, where: str, count: int = 1) -> None:
        """Counts something that is left out; `where` is its place."""
        self.omit([Omission(reason, count, where)])

    def omit(self, omissions: Iterable[Omission]) -> None:
        """Counts what a part of the work has left out."""
        for one in omissions:
            if one.reason not in REASONS:
                raise KeyError(one.reason)
            first = self.omitted.get(one.reason, Omission(one.reason, 0, one.where))
            if one.count:
                self.omitted[one.reason] = Omission(one.reason, first.count + one.count, first.where)

    @property
    def counts(self) -> dict[str, int]:
        """Reason -> how many."""
        return {reason: self.omitted[reason].count for reason in REASONS if reason in self.omitted}

    def sentences_of_omissions(self) -> list[str]:
        """A sentence for each reason."""
        return [omission_sentence(self.omitted[reason]) for reason in REASONS if reason in self.omitted]


def doubt_sentences(doubts: Iterable[tuple[str, str]]) -> list[str]:
    """A sentence for each kind of doubt, of which each has its place."""
    found = list(doubts)
    count, first = Counter(kind for kind, _ in found), dict(reversed(found))
    return [text.format(n=count[kind], where=first[kind]) for kind, text in DOUBTS.items() if count[kind]]


def omission_sentence(omission: Omission) -> str:
    """'Left out: shapes that cover no pixel: 3 (the first: a.json: annotation 7).'"""
    reason = omission.reason
    what = f"shapes that {SHAPE_REASONS[reason]}" if reason in SHAPE_REASONS else OTHER_REASONS[reason]
    return f"Left out: {what}: {omission.count} (the first: {omission.where})."
