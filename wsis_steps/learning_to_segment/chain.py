"""Learning to segment with image-level supervision: tags -> semantic network -> semantic maps.

Its maps are a source of semantic maps for other systems (`semantic: learning_to_segment`). `supervised_semantic` trains
the same network on ground-truth masks.
"""

from wsis_steps.engine.chain import PRETRAINED, Chain, Read, Show, Stage
from wsis_steps.engine.published import read_published

SYSTEM, BOUND = "learning_to_segment", "supervised_semantic"
MAPS = "semantic maps of the training images, with their tags"

NETWORK = (
    Stage(
        "learning_to_segment_train",
        reads=(
            Read("truth", when=lambda run, settings: settings.supervision == "masks"),
            PRETRAINED,
        ),
        writes={"semantic_network": "learning_to_segment/model.pt", "metrics": "learning_to_segment/metrics.jsonl"},
        shows=(Show("metrics", "learning_to_segment"),),
    ),
    Stage(
        "learning_to_segment_infer",
        reads=(Read("semantic_network", name="model"),),
        writes={"semantic": "semantic/train.h5", "semantic_val": "semantic/val.h5"},
        divides=True,
        shows=(
            Show(
                "semantic_val",
                "semantic",
                scored="val",
                when=lambda run, settings: run.system in (SYSTEM, BOUND),
                about="semantic maps of the evaluation images, without their tags",
            ),
            Show(
                "semantic",
                "semantic",
                scored="train",
                when=lambda run, settings: run.system != BOUND,
                spare=True,
                about=MAPS,
            ),
        ),
        choice=("semantic", SYSTEM),
    ),
)

STAGES = NETWORK

CHAINS = (
    Chain(
        SYSTEM,
        about="Learning to segment with image-level supervision, WACV 2019: semantic maps",
        ends="learning_to_segment_infer",
        ends_in="semantic maps",
        stages=NETWORK,
        published=read_published(__file__),
    ),
    Chain(
        BOUND,
        about="the same network trained on ground-truth masks, an upper bound",
        ends="learning_to_segment_infer",
        ends_in="semantic maps",
        stages=NETWORK,
        supervision=(),
        files={"truth": "data/instances_train.h5"},
    ),
)
