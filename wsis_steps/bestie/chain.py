"""BESTIE: cues and semantic maps -> pseudo labels (round 0) -> network -> refined labels (round 1, ...), predictions.

A round trains on the labels of the round before; a Mask R-CNN on the last. The inputs behind the published figures
differ from ours: the paper's semantic maps come from DRS with saliency, and the recipe of its Mask R-CNN is not
published.
"""

from wsis_steps.engine.chain import (
    PRETRAINED,
    Chain,
    Published,
    Read,
    Show,
    Stage,
    after_each_round,
    each_round,
    first_round,
    percent,
    show_labels,
)

_CHAIN = (
    Stage(
        "bestie_label",
        reads=(
            # under point supervision the points of the data set take the place of the classifier's cues
            Read("peaks", when=lambda run, settings: settings.supervision != "points"),
            Read("semantic"),
        ),
        writes={"labels": "labels/round00.h5", "counts": "labels/counts.json"},
        rounds=first_round,
        shows=(Show("labels", "labels/round00", scored="train", about="the first pseudo labels"),),
    ),
    Stage(
        "bestie_train",
        reads=(
            Read("labels"),
            Read("semantic"),
            PRETRAINED,
        ),
        writes={"model": "bestie/round{round}/model.pt", "metrics": "bestie/round{round}/metrics.jsonl"},
        rounds=each_round,
        shows=(Show("metrics", "bestie/round{round}"),),
    ),
    Stage(
        "bestie_infer",
        reads=(Read("model", back=1),),
        writes={"labels": "labels/round{round}.h5", "predictions": "predictions/round{round}.h5"},
        rounds=after_each_round,
        divides=True,
        shows=(
            show_labels("what the network of the round before makes of the training images"),
            Show(
                "predictions",
                "predictions_direct",
                scored="val",
                last=True,
                about="the last round's network on the evaluation images",
            ),
        ),
    ),
)

_VOC = ("mask_ap25", "mask_ap50", "mask_ap70", "mask_ap75")
_COCO = ("coco_ap", "coco_ap50", "coco_ap75")
_TABLE1 = "BESTIE, table 1"
_COCO_TABLE = "BESTIE, COCO table; whether with Mask R-CNN is not stated"
_ABLATION = "BESTIE, supplement, table 1, without Mask R-CNN"

CHAINS = (
    Chain(
        "bestie",
        about="Beyond Semantic to Instance Segmentation, CVPR 2022",
        ends="bestie_infer",
        ends_in="predictions of its own network",
        stages=_CHAIN,
        supervision=("tags", "points"),
        rounds=True,
        maskrcnn=True,
        published={
            ("voc2012", "bestie", "predictions_direct", "val"): Published(
                percent(_VOC, 53.5, 41.8, 28.3, 24.2), _TABLE1
            ),
            ("voc2012", "bestie", "predictions", "val"): Published(percent(_VOC, 61.2, 51.0, 31.9, 26.6), _TABLE1),
            ("voc2012", "bestie_points", "predictions_direct", "val"): Published(
                percent(_VOC, 58.6, 46.7, 33.1, 26.3), _TABLE1
            ),
            ("voc2012", "bestie_points", "predictions", "val"): Published(
                percent(_VOC, 66.4, 56.1, 36.5, 30.2), _TABLE1
            ),
            ("voc2012", "bestie_cam", "predictions_direct", "val"): Published(
                percent(("mask_ap25", "mask_ap50", "mask_ap75"), 40.2, 34.7, 19.6),
                "BESTIE, supplement, table 3, without Mask R-CNN",
            ),
            ("voc2012", "bestie_no_refinement", "predictions_direct", "val"): Published(
                percent(("mask_ap50",), 39.2), _ABLATION
            ),
            ("voc2012", "bestie_no_iag", "predictions_direct", "val"): Published(
                percent(("mask_ap50",), 27.8), _ABLATION
            ),
            ("voc2012", "bestie_no_iag_no_refinement", "predictions_direct", "val"): Published(
                percent(("mask_ap50",), 29.3), _ABLATION
            ),
            ("coco2017", "bestie", "predictions", "val"): Published(percent(_COCO, 14.3, 28.0, 13.2), _COCO_TABLE),
            ("coco2017", "bestie_points", "predictions", "val"): Published(
                percent(_COCO, 17.7, 34.0, 16.4), _COCO_TABLE
            ),
        },
    ),
)
