"""The source files that Snakemake watches: if one changes, the data are imported again."""

from pathlib import Path

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.formats.files import links_out, walk
from wsis_steps.formats.subsets import is_subset

_MOST = 20  # files that match a pattern; if there are more, they are files of single images, or something else
_SUBSETS = ("ImageSets/Segmentation/*.txt", "ImageSets/Main/*.txt")
# Lists that are one file or a few, by format. Not in the table of formats: readers import modules that slow Snakemake.
LISTS = {
    "folder": ("tags.csv", "points.csv", "boxes.csv"),
    "labelme": (),
    "coco": ("*.json", "annotations/*.json", "*/_annotations.coco.json"),
    "yolo": ("*.yaml", "*.yml", "classes.txt", "obj.names", "labels/classes.txt"),
    "voc": (*_SUBSETS, *(f"{place}/{lists}" for place in ("VOC2012", "VOCdevkit/VOC2012") for lists in _SUBSETS),
            "class_names.txt"),
    "cvat_masks": (*_SUBSETS, "labelmap.txt", "class_names.txt"),
    "cvat": ("*.xml",),
    "label_studio": ("*.json",),
    "labelimg": _SUBSETS,
    "class_folders": (),
}  # fmt: skip
# Suffixes of files that belong to one image each, by format; `drawn` may be any of them.
_BESIDE = {"labelme": (".json",), "labelimg": (".xml",), "yolo": (".txt",), "drawn": (".json", ".xml", ".txt")}


def watched_lists(settings: DataImportDataset, drawn_tree: str) -> list[str]:
    """The lists and tables that name the images; for generated data, the drawn tree."""
    if settings.format == "shapes":
        return [drawn_tree]
    root = settings.root or Path()
    lists = [root / f"ImageSets/Segmentation/{name}.txt" for name in (settings.train_list, settings.val_list)]
    lists += [Path(settings.train_list), Path(settings.val_list)]
    lists += filter(None, (settings.class_map, settings.annotations))
    everything = dict.fromkeys(pattern for patterns in LISTS.values() for pattern in patterns)
    patterns = everything if settings.format == "drawn" else LISTS[settings.format]
    for base in filter(None, (root, settings.annotations)):
        lists += [path for pattern in patterns for path in _few(base, pattern)]
    return list(dict.fromkeys(str(path) for path in lists if path.is_file()))


def _few(base: Path, pattern: str) -> list[Path]:
    """The files that match a pattern, sorted; none if there are many; in ImageSets only those named like subsets."""
    found = [path for path in base.glob(pattern) if path.name[0] != "."]
    if "ImageSets" in pattern:
        found = [path for path in found if is_subset(path.stem)]
    return sorted(found) if len(found) <= _MOST else []


def watched_files(settings: DataImportDataset) -> list[str]:
    """The files that belong to one image each."""
    folder = settings.annotations or settings.root
    suffixes = _BESIDE.get(settings.format, ())
    if not suffixes or not folder or not folder.is_dir():
        return []
    if settings.links == "refuse" and links_out(folder, suffixes):  # may lead anywhere; the import reports them
        return []
    return [str(path) for path in walk(folder, suffixes)]
