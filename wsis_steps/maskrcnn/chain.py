"""Mask R-CNN on the last labels of any system, and on ground-truth masks as the common upper bound."""

from wsis_steps.engine.chain import PRETRAINED, Chain, Read, Show, Stage
from wsis_steps.engine.published import read_published

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
        predicts=True,
        divides=True,
        shows=(
            Show(
                "predictions",
                "predictions",
                scored="val",
                about="detections of a Mask R-CNN trained on the last labels",
            ),
        ),
    ),
)

CHAINS = (
    Chain(
        "supervised",
        about="Mask R-CNN trained on ground-truth masks, an upper bound",
        ends="maskrcnn_infer",
        ends_in="a Mask R-CNN trained on ground-truth masks",
        supervision=(),
        files={"labels": "data/instances_train.h5"},
        published=read_published(__file__),
    ),
)
