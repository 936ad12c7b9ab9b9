"""The strip of pictures in README.md: what each stage of a run made of the same training images.

    python -m bench.strip results/shapes/bestie docs/strip.jpg

One row per image: the image with its tags, first labels, refined labels, Mask R-CNN, true masks. The images are the
first ones with at least two tags, so nobody chose them for their looks.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image, ImageDraw, ImageFont

from wsis_steps.commands.pictures import write_picture
from wsis_steps.drawing.artifact import surest
from wsis_steps.drawing.colors import class_colors
from wsis_steps.drawing.raster import draw_instances, enlarge
from wsis_steps.maskrcnn.detections import detect
from wsis_steps.maskrcnn.network import load_maskrcnn, read_maskrcnn
from wsis_steps.maskrcnn.settings import MaskrcnnInfer
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances
from wsis_steps.vision.images import Pictures

ROWS, SIDE, GAP, LETTERS = 3, 200, 6, 15  # images, and pixels
SCORE = 0.5  # least score of what Mask R-CNN is shown to find
TITLES = ("image and its tags", "first labels", "refined labels", "Mask R-CNN", "true masks")


def main(run: Path, out: Path) -> None:
    shared = run.parent / "shared/data"
    images, truth = Images(shared / "images.h5"), Instances(shared / "instances_train.h5")
    first, *_, last = (Instances(path) for path in sorted((run / "labels").glob("round*.h5")))
    trained = read_maskrcnn(run / "maskrcnn/model.pt")
    settings = MaskrcnnInfer(**yaml.safe_load(Path("config.yaml").read_text())["steps"]["maskrcnn_infer"])
    network = load_maskrcnn(trained, settings).eval()
    colors, pictures = class_colors(len(images.class_names)), Pictures(images)
    strip = Image.new("RGB", (len(TITLES) * (SIDE + GAP) - GAP, ROWS * (SIDE + LETTERS + GAP) + LETTERS + GAP), "white")
    pen, font = ImageDraw.Draw(strip), ImageFont.load_default(LETTERS - 2)
    for column, title in enumerate(TITLES):
        pen.text((column * (SIDE + GAP), 0), title, "black", font)
    chosen = [i for i in images.members("train") if images.tags[i].sum() > 1][:ROWS]
    for row, i in enumerate(chosen):
        picture, identity = pictures.read(int(i)), images.ids[i]
        top = LETTERS + GAP + row * (SIDE + LETTERS + GAP)
        found = surest(detect(network, [to_tensor(picture)], settings)[0], SCORE)
        drawn = [None, first.read(first.index[identity]), last.read(last.index[identity]), found,
                 truth.read(truth.index[identity])]  # fmt: skip
        for column, instances in enumerate(drawn):
            strip.paste(_cell(picture, instances, colors), (column * (SIDE + GAP), top))
        tags = ", ".join(images.class_names[k] for k in images.tags[i].nonzero()[0])
        pen.text((0, top + SIDE), tags, "black", font)
    write_picture(out, np.asarray(strip))


def _cell(picture: np.ndarray, instances: ImageInstances | None, colors: list[str]) -> Image.Image:
    """A picture with masks in the colors of their classes, fitted into a square."""
    large = enlarge(picture)
    if instances is not None:
        large = draw_instances(large, instances, [""] * len(colors), colors, scored=False)
    cell = Image.fromarray(large)
    cell.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return cell


if __name__ == "__main__":
    with torch.inference_mode():
        main(*map(Path, sys.argv[1:]))
