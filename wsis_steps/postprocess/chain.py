"""Semantic maps from activation maps, for systems whose runs choose them by `semantic: activation_crf`."""

from wsis_steps.engine.chain import Read, Show, Stage

STAGES = (
    Stage(
        "postprocess_refine_with_crf",
        reads=(Read("maps"),),
        writes={"semantic": "semantic/train.h5"},
        divides=True,
        shows=(
            Show("semantic", "semantic", scored="train", about="semantic maps of the training images, with their tags"),
        ),
        choice=("semantic", "activation_crf"),
    ),
)
