"""A classifier of region proposals on frozen features, for a few hundred images; from no paper of the four.

Labels come from BESTIE's first step. With `semantic: regions`, `class_maps: learned` and `bestie_label: {instances:
regions}`, no network is trained at all.
"""

from wsis_steps.engine.chain import Chain, Read, Show, Stage

REGIONS = Read("proposals", shared=lambda settings: f"proposals/{settings.proposals}.h5", of="region_classifier_train")

CHAINS = (
    Chain(
        "region_classifier",
        about="Region proposals classified by frozen features, for a few hundred images; not from a paper",
        ends="region_classifier_infer",
        ends_in="predictions of its region classifier",
        supervision=("tags", "points"),
        maskrcnn=False,
        borrows=("bestie_label",),
        stages=(
            Stage(
                "region_classifier_train",
                reads=(Read("features"), Read("labels"), REGIONS),
                writes={"regions": "region_classifier/model.pt"},
            ),
            Stage(
                "region_classifier_infer",
                reads=(Read("regions", name="model"), REGIONS),
                writes={"predictions": "predictions/val.h5"},
                predicts=True,
                divides=True,
                shows=(
                    Show(
                        "predictions",
                        "predictions",
                        scored="val",
                        about="region proposals of the evaluation images, classified as the labels were",
                    ),
                ),
            ),
        ),
    ),
)
