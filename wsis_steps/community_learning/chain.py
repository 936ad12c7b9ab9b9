"""Deep Community Learning: tags and box proposals -> one network -> labels and predictions, whose masks may be replaced
with region proposals. The paper has one round."""

from wsis_steps.engine.chain import PRETRAINED, Chain, Read, Show, Stage, first_round
from wsis_steps.engine.published import read_published


def _proposals(settings) -> str:
    return f"proposals/{settings.proposals}.h5"


_OWN = "its network on the evaluation images"

_CHAIN = (
    Stage(
        "community_learning_train",
        reads=(
            Read("proposals", shared=_proposals),
            PRETRAINED,
        ),
        writes={"model": "community_learning/model.pt", "metrics": "community_learning/metrics.jsonl"},
        shows=(Show("metrics", "community_learning"),),
    ),
    Stage(
        "community_learning_infer",
        reads=(Read("proposals", shared=_proposals, of="community_learning_train"), Read("model")),
        writes={"labels": "labels/round00.h5", "predictions": "predictions/direct.h5"},
        rounds=first_round,
        divides=True,
        shows=(
            Show("labels", "labels/round00", scored="train", about="the first pseudo labels"),
            Show("predictions", "predictions", scored="val", when=lambda run, settings: not run.retrains, about=_OWN),
            Show(
                "predictions", "predictions_direct", scored="val", when=lambda run, settings: run.retrains, about=_OWN
            ),
        ),
    ),
    Stage(
        "postprocess_replace_with_proposals",
        reads=(Read("predictions", last=True), Read("proposals", shared=_proposals)),
        writes={"replaced": "predictions/direct_mcg.h5"},
        shows=(
            Show(
                "replaced",
                "predictions_mcg",
                scored="val",
                about="these, replaced by region proposals",
            ),
        ),
    ),
)

CHAINS = (
    Chain(
        "community_learning",
        about="Weakly Supervised Instance Segmentation by Deep Community Learning, WACV 2021",
        ends="postprocess_replace_with_proposals",
        ends_in="predictions of its own network",
        stages=_CHAIN,
        maskrcnn=False,
        published=read_published(__file__),
    ),
)
