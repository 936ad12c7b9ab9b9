"""Learning to segment with image-level supervision: tags -> semantic network -> semantic maps.

Its maps are a source of semantic maps for other systems (`semantic: learning_to_segment`). `supervised_semantic` trains
the same network on the true masks.
"""

from wsis_steps.engine.chain import PRETRAINED, Chain, Published, Read, Show, Stage, percent

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

_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_TABLE = Published(
    percent(("miou",), 51.6),
    "Learning to segment with image-level supervision, results on val",
    percent(
        (None, *_CLASSES),
        *(85.4, 68.4, 28.3, 63.6, 42.9, 54.4, 62.7, 62.9, 67.5, 10.6, 46.3, 37.2, 48.7, 53.8, 57.3, 64.7, 44.3, 58.2),
        *(35.8, 43.6, 47.4),
    ),
)
_WEIGHTED = Published(  # the best of the sweep over lambda, whose own figures are only drawn
    percent(("miou",), 50.7),
    "Learning to segment with image-level supervision, section 6, with the weighted mean",
)
_DATASETS = ("voc2012", "voc2012_imagenet")

CHAINS = (
    Chain(
        SYSTEM,
        about="Learning to segment with image-level supervision, WACV 2019: semantic maps",
        ends="learning_to_segment_infer",
        ends_in="semantic maps",
        stages=NETWORK,
        published={(dataset, SYSTEM, "semantic", "val"): _TABLE for dataset in _DATASETS}
        | {(dataset, f"{SYSTEM}_weighted", "semantic", "val"): _WEIGHTED for dataset in _DATASETS},
    ),
    Chain(
        BOUND,
        about="the same network on the true masks, an upper bound",
        ends="learning_to_segment_infer",
        ends_in="semantic maps",
        stages=NETWORK,
        supervision=(),
        files={"truth": "data/instances_train.h5"},
    ),
)
