"""BESTIE: cues and semantic maps -> pseudo labels (round 0) -> network -> refined labels (round 1, ...), predictions.

Each round trains on the labels of the previous one; a Mask R-CNN on the last. The inputs behind the published figures
differ: the paper's semantic maps come from DRS with saliency, and the recipe of its Mask R-CNN is not published.
"""

from wsis_steps.engine.chain import (
    PRETRAINED,
    Chain,
    Read,
    Show,
    Stage,
    after_each_round,
    class_maps,
    each_round,
    first_round,
    show_labels,
)
from wsis_steps.engine.published import read_published


def _of_regions(run, settings) -> bool:
    return settings.instances == "regions"


_CHAIN = (
    Stage(
        "bestie_label",
        reads=(
            # under point supervision the data set's points replace the classifier's cues
            Read(
                "peaks", when=lambda run, settings: settings.supervision != "points" and not _of_regions(run, settings)
            ),
            Read("semantic"),
            *class_maps(when=_of_regions),
            Read("proposals", shared=lambda settings: f"proposals/{settings.proposals}.h5", when=_of_regions),
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
        reads=(Read("model", back=1), Read("labels", name="before", back=1, compares=True)),
        writes={"labels": "labels/round{round}.h5", "predictions": "predictions/round{round}.h5"},
        rounds=after_each_round,
        divides=True,
        shows=(
            show_labels("the previous round's network on the training images"),
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

CHAINS = (
    Chain(
        "bestie",
        about="Beyond Semantic to Instance Segmentation, CVPR 2022",
        ends="bestie_infer",
        ends_in="predictions of its own network",
        stages=_CHAIN,
        supervision=("tags", "points"),
        rounds=True,
        fewest_rounds=0,
        maskrcnn=True,
        published=read_published(__file__),
    ),
)
