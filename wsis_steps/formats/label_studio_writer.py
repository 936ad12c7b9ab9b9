"""Writes instances as Label Studio JSON: suggestions for its brush."""

import json
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from wsis_steps.drawing.colors import class_colors
from wsis_steps.engine.writers import write_whole
from wsis_steps.formats.brush import encode_brush
from wsis_steps.formats.labelled import LabelledImage, Labels, whole_file, write_data
from wsis_steps.vision.masks import decode


def _result(image: LabelledImage, k: int, mask: np.ndarray, name: str, scored: bool) -> dict:
    value = {"format": "rle", "rle": encode_brush(mask), "brushlabels": [name]}
    about = {"id": f"{image.id}-{k}", "from_name": "masks", "to_name": "image", "type": "brushlabels"}
    size = {"original_width": image.width, "original_height": image.height, "image_rotation": 0}
    return {**about, **size, "value": value, **({"score": float(image.instances.scores[k])} if scored else {})}


def _task(image: LabelledImage, labels: Labels) -> dict:
    masks = decode(image.instances.rles, image.height, image.width)
    names = [labels.class_names[c] for c in image.instances.categories]
    rows = [
        _result(image, k, mask, name, labels.scored) for k, (mask, name) in enumerate(zip(masks, names, strict=True))
    ]
    address = f"/data/local-files/?d=images/{quote(image.file)}"
    return {"data": {"image": address}, "predictions": [{"model_version": labels.origin, "result": rows}]}


def write_label_studio(out: Path, labels: Labels) -> Path:
    """Writes tasks with suggestions (`label_studio_<split>.json`), the labelling interface and the images.

    The tasks name the images as Label Studio's local storage serves them, with `out` as its document root. Returns the
    file of tasks.
    """
    path = out / f"label_studio_{labels.split}.json"
    with whole_file(path) as file:
        for number, image in enumerate(labels.images):
            write_data(out / "images", image)
            file.write(("[" if number == 0 else ",\n") + json.dumps(_task(image, labels)))
        file.write("]\n")
    write_whole(out / "label_studio_interface.xml", interface(labels))
    return path


def interface(labels: Labels) -> str:
    """Label Studio's labelling configuration for these classes."""
    pairs = zip(labels.class_names, class_colors(len(labels.class_names)), strict=True)
    rows = "".join(f"    <Label value={quoteattr(name)} background={quoteattr(color)}/>\n" for name, color in pairs)
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="masks" toName="image">\n{rows}  </BrushLabels>\n</View>\n'
    )
