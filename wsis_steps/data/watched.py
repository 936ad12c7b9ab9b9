"""The files of a source that Snakemake watches: when one of them changes, the data are imported again."""

from pathlib import Path

from wsis_steps.data.settings import DataImportDataset


def watched_lists(settings: DataImportDataset, drawn_tree: str) -> list[str]:
    """The lists and tables that name the images; of generated data the tree that was drawn."""
    if settings.format == "shapes":
        return [drawn_tree]
    root = settings.root or Path()
    lists = [root / f"ImageSets/Segmentation/{name}.txt" for name in (settings.train_list, settings.val_list)]
    lists += [Path(settings.train_list), Path(settings.val_list)]
    lists += filter(None, (settings.class_map, settings.annotations))
    lists += [root / name for name in ("tags.csv", "points.csv", "boxes.csv")]
    lists += root.glob("annotations/instances_*.json")
    return [str(path) for path in lists if path.is_file()]


def labelme_files(settings: DataImportDataset) -> list[str]:
    """LabelMe's files beside the pictures, where they are what is imported."""
    beside = settings.format == "drawn" and settings.root and not settings.annotations
    return sorted(map(str, settings.root.rglob("*.json"))) if beside else []
