"""Annotation Consistent Instances: two networks train alternately.

The conditional network sees the annotation and samples label sets of region proposals; the prediction network, a Mask
R-CNN, learns from them; then the conditional network learns from its predictions for the next round. The labels of a
round come from its conditional network, the predictions from the last round.
"""

from wsis_steps.annotation_consistency.settings import Scoring
from wsis_steps.engine.chain import (
    PRETRAINED,
    Agreement,
    Chain,
    Read,
    Show,
    Stage,
    each_round,
    first_round,
    later_rounds,
    show_labels,
)
from wsis_steps.engine.published import read_published

_PROPOSALS = Read("proposals", shared=lambda settings: f"proposals/{settings.proposals}.h5")
_EDGES = Read("edges", shared=lambda settings: "proposals/edges.h5", when=lambda run, settings: settings.pairwise)
_ROUND = "annotation_consistency/round{round}"

_CHAIN = (
    Stage(
        "annotation_consistency_initialise",
        reads=(_PROPOSALS, PRETRAINED),
        writes={
            "conditional": "annotation_consistency/round00/conditional.pt",
            "metrics": "annotation_consistency/round00/conditional.jsonl",
        },
        rounds=first_round,
        shows=(Show("metrics", "annotation_consistency/round00 conditional"),),
    ),
    Stage(
        "annotation_consistency_sample",
        reads=(
            _PROPOSALS,
            _EDGES,
            Read("conditional", name="model"),
            Read("labels", name="before", back=1, later=True, compares=True),
        ),
        writes={"samples": f"{_ROUND}/samples.h5", "labels": "labels/round{round}.h5"},
        rounds=each_round,
        divides=True,
        shows=(show_labels("the round's conditional network on the training images"),),
    ),
    Stage(
        "annotation_consistency_train_prediction",
        reads=(Read("samples"), Read("detector", name="previous", back=1, later=True), PRETRAINED),
        writes={"detector": f"{_ROUND}/prediction.pt", "metrics": f"{_ROUND}/prediction.jsonl"},
        rounds=each_round,
        shows=(Show("metrics", f"{_ROUND} prediction"),),
    ),
    Stage(
        "annotation_consistency_train_conditional",
        reads=(_PROPOSALS, _EDGES, Read("conditional", back=1), Read("detector", name="prediction", back=1)),
        writes={"conditional": f"{_ROUND}/conditional.pt", "metrics": f"{_ROUND}/conditional.jsonl"},
        rounds=later_rounds,
        shows=(Show("metrics", f"{_ROUND} conditional"),),
    ),
)

CHAINS = (
    Chain(
        "annotation_consistency",
        about="Weakly Supervised Instance Segmentation by Learning Annotation Consistent Instances, ECCV 2020",
        ends="maskrcnn_infer",
        ends_in="a Mask R-CNN of its own",
        stages=_CHAIN,
        supervision=("tags", "boxes"),
        rounds=True,
        agreements=(
            Agreement(
                ("annotation_consistency_sample", "annotation_consistency_train_conditional"),
                (*Scoring.model_fields, "proposals"),
            ),
        ),
        published=read_published(__file__),
    ),
)
