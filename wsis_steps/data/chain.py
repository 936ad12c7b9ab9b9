"""Inputs that people add to a data set: semantic maps (`semantic: imported`) and corrections of labels."""

from wsis_steps.engine.chain import Read, Show, Stage

STAGES = (
    Stage(
        "data_import_semantic",
        writes={"semantic": "semantic/train.h5"},
        shows=(
            Show("semantic", "semantic", scored="train", about="semantic maps of the training images, with their tags"),
        ),
        choice=("semantic", "imported"),
    ),
    Stage(
        "data_import_corrections",
        reads=(Read("labels"),),
        writes={"corrected": "labels/round{round}_corrected.h5"},
        rounds=lambda run: run.corrections,
        shows=(
            Show(
                "corrected",
                "labels/round{round}_corrected",
                scored="train",
                about="these labels as people corrected them",
            ),
        ),
    ),
)
