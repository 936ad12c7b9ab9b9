"""Semantic maps from activation maps, for runs with `semantic: activation_crf` or `semantic: regions`."""

from wsis_steps.engine.chain import Read, Show, Stage, class_maps

_SHOWS = (Show("semantic", "semantic", scored="train", about="semantic maps of the training images, with their tags"),)

STAGES = (
    Stage(
        "postprocess_refine_with_crf",
        reads=(Read("maps"),),
        writes={"semantic": "semantic/train.h5"},
        divides=True,
        shows=_SHOWS,
        choice=("semantic", "activation_crf"),
    ),
    Stage(
        "postprocess_pool_over_regions",
        reads=(*class_maps(), Read("proposals", shared=lambda settings: f"proposals/{settings.proposals}.h5")),
        writes={"semantic": "semantic/train.h5"},
        divides=True,
        shows=_SHOWS,
        choice=("semantic", "regions"),
    ),
)
