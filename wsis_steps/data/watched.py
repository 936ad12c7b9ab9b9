"""The files of a source that Snakemake watches: when one of them changes, the data are imported again."""

from pathlib import Path

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.formats.files import walk

# Of the layouts of all formats, what is one file or few.
_LISTS = (
    "tags.csv", "points.csv", "boxes.csv", "annotations/instances_*.json", "*/_annotations.coco.json", "data.yaml",
    "annotations.xml", "labelmap.txt", "class_names.txt",
)  # fmt: skip
# What is a file a picture, by format; `drawn` may be any of them.
_BESIDE = {"labelme": (".json",), "labelimg": (".xml",), "yolo": (".txt",), "drawn": (".json", ".xml", ".txt")}


def watched_lists(settings: DataImportDataset, drawn_tree: str) -> list[str]:
    """The lists and tables that name the images; of generated data the tree that was drawn."""
    if settings.format == "shapes":
        return [drawn_tree]
    root = settings.root or Path()
    lists = [root / f"ImageSets/Segmentation/{name}.txt" for name in (settings.train_list, settings.val_list)]
    lists += [Path(settings.train_list), Path(settings.val_list)]
    lists += filter(None, (settings.class_map, settings.annotations))
    lists += [path for pattern in _LISTS for path in sorted(root.glob(pattern))]
    return [str(path) for path in lists if path.is_file()]


def watched_files(settings: DataImportDataset) -> list[str]:
    """The files of which there is one for each picture."""
    folder = settings.annotations or settings.root
    suffixes = _BESIDE.get(settings.format, ())
    if not suffixes or not folder or not folder.is_dir():
        return []
    return [str(path) for path in walk(folder, suffixes)]
