"""Mask R-CNN on the last labels of any system, and on the true masks as the upper bound of all."""

from wsis_steps.engine.chain import PRETRAINED, Chain, Published, Read, Show, Stage, percent

STAGES = (
    Stage(
        "maskrcnn_train",
        reads=(Read("labels", last=True), PRETRAINED),
        writes={"detector": "maskrcnn/model.pt", "metrics": "maskrcnn/metrics.jsonl"},
        shows=(Show("metrics", "maskrcnn"),),
    ),
    Stage(
        "maskrcnn_infer",
        reads=(Read("detector", name="model", last=True),),
        writes={"predictions": "predictions/val.h5"},
        divides=True,
        shows=(
            Show(
                "predictions",
                "predictions",
                scored="val",
                about="what a Mask R-CNN sees that learned from the last labels",
            ),
        ),
    ),
)

CHAINS = (
    Chain(
        "supervised",
        about="Mask R-CNN on the true masks, an upper bound",
        ends="maskrcnn_infer",
        ends_in="a Mask R-CNN on the true masks",
        supervision=(),
        files={"labels": "data/instances_train.h5"},
        published={
            ("voc2012", "supervised", "predictions", "val"): Published(
                percent(("mask_ap25", "mask_ap50", "mask_ap70", "mask_ap75"), 76.7, 67.9, 52.5, 44.9), "BESTIE, table 1"
            ),
            ("coco2017", "supervised", "predictions", "val"): Published(
                percent(("coco_ap", "coco_ap50", "coco_ap75"), 35.4, 57.3, 37.5), "BESTIE, COCO table"
            ),
        },
    ),
)
