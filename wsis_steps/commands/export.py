"""Exports labels, predictions or ground truth to the formats of other tools, and trained Mask R-CNNs to other programs.

Formats of a file of instances (labels/, predictions/, shared/data/instances_*.h5), written with its images:

  coco          annotations/instances_<split>.json, exact masks
  voc           SegmentationObject and SegmentationClass PNGs, lists; where masks overlap, only the top one is kept
  yolo          polygons, labels/<split>/*.txt and data.yaml; separate parts of a mask are joined by lines
  label_studio  tasks with brush masks as suggestions, exact
  cvat          XML of `CVAT for images 1.1` with masks, exact

Two splits can be exported into one folder.

Format of a file of semantic maps (semantic/) of VOC's 20 classes:

  voc_server    results/VOC2012/Segmentation/comp6_test_cls/<id>.png, to be packed for VOC's evaluation server;
                --competition comp5 for networks trained on VOC's images alone, without ImageNet

Formats of a model.pt of a Mask R-CNN, for the CPU:

  torchscript   a file for torch.jit.load: takes float RGB (3, h, w) from 0 to 1, returns boxes, labels, scores, masks
  onnx          the same for ONNX runtimes; results agree to about a ten-thousandth of a pixel

examples:
  wsis export results/shapes/bestie/labels/round01.h5 --format label_studio --out to_correct --order doubtful
  wsis export results/shapes/bestie/predictions/val.h5 --format coco --out found
  wsis export results/shapes/bestie/maskrcnn/model.pt --format torchscript --out model.ts
  wsis export results/voc2012/learning_to_segment/semantic/val.h5 --format voc_server --out to_submit
"""

import argparse
import logging
from pathlib import Path

from wsis_steps.commands.advice import counts_line
from wsis_steps.commands.pictures import find_images
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.progress import progress
from wsis_steps.engine.writers import one_writer_of_folder
from wsis_steps.formats.coco_writer import write_coco
from wsis_steps.formats.cvat import write_cvat
from wsis_steps.formats.label_studio_writer import write_label_studio
from wsis_steps.formats.labelled import read_labels
from wsis_steps.formats.voc_server import COMPETITIONS, write_voc_server
from wsis_steps.formats.voc_writer import write_voc
from wsis_steps.formats.yolo import write_yolo
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps

log = logging.getLogger("wsis")

WRITERS = {
    "coco": write_coco, "voc": write_voc, "yolo": write_yolo, "label_studio": write_label_studio, "cvat": write_cvat,
}  # fmt: skip
SERVER = "voc_server"
MODELS = ("torchscript", "onnx")
ORDERS = ("file", "doubtful")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="an .h5 file of instances or semantic maps, or a model.pt"
    )
    parser.add_argument("--format", required=True, choices=[*WRITERS, SERVER, *MODELS])
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PATH", help="the output folder; for a model, the file"
    )
    parser.add_argument(
        "--score", type=float, default=0.0, help="leave out instances below this score (0 to 1, default 0)"
    )
    parser.add_argument(
        "--images", type=Path, metavar="FILE", help="images.h5, if it is not in the same results folder"
    )
    parser.add_argument(
        "--order", choices=ORDERS, default=ORDERS[0],
        help="of the images: of the file, or the most doubtful labels first, as in the report (default file)",
    )  # fmt: skip
    parser.add_argument("--competition", choices=COMPETITIONS, default="comp6", help="for voc_server (default comp6)")


def order_of(instances: Instances, images: Images, order: str) -> list[int] | None:
    """The places of the images in the order of `ORDERS`; None for that of the file."""
    if order == ORDERS[0]:
        return None
    from wsis_steps.report.next_images import doubts, round_before  # loads pandas, which the file's order does not need

    check_same_classes(images, instances)
    before = round_before(instances.path)
    return [doubt.place for doubt in doubts(instances, Instances(before) if before else None, images)]


def main(options: argparse.Namespace) -> None:
    is_model = options.file.suffix == ".pt"
    if is_model != (options.format in MODELS):
        valid = ", ".join(MODELS if is_model else (*WRITERS, SERVER))
        raise InputError(f"{options.file} cannot be written as {options.format}; valid: {valid}.")
    if not 0 <= options.score <= 1:
        raise InputError(f"--score is {options.score}; it must be from 0 to 1.")
    if is_model and options.out.is_dir():
        raise InputError(f"--out {options.out} is a folder; a model becomes one file.")
    if is_model:
        from wsis_steps.commands.model_files import export_model  # loads torch, which labels do not need

        export_model(options.file, options.format, options.out)
        log.info("wrote %s", options.out)
        return
    if options.format == SERVER:
        maps = Maps(options.file)
        with one_writer_of_folder(options.out):
            written = write_voc_server(options.out, maps, options.competition)
        log.info("wrote %s, %d maps", written, len(maps))
        return
    instances = Instances(options.file)
    images = Images(options.images or find_images(options.file))
    labels = read_labels(instances, images, options.score, order_of(instances, images, options.order))
    labels.images = progress(labels.images, labels.count, "export")
    with one_writer_of_folder(options.out):
        written = WRITERS[options.format](options.out, labels)
    log.info("wrote %s: %s", written, counts_line(labels.kept, labels.count, labels.left_out, options.score))
