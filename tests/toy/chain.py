"""A toy: a rectangle for every tag, which shrinks from round to round; all that a system has to say of itself."""

from wsis_steps.engine.chain import Chain, Read, Show, Stage, after_each_round, first_round
from wsis_steps.engine.published import Published

CHAINS = (
    Chain(
        "toy",
        about="rectangles",
        ends="toy_refine",
        ends_in="rectangles",
        stages=(
            Stage(
                "toy_label",
                writes={"labels": "labels/round00.h5"},
                rounds=first_round,
                shows=(Show("labels", "labels/round00", scored="train", about="a rectangle for every tag"),),
            ),
            Stage(
                "toy_refine",
                reads=(Read("labels", name="previous", back=1),),
                writes={"labels": "labels/round{round}.h5", "predictions": "predictions/round{round}.h5"},
                rounds=after_each_round,
                divides=True,
                shows=(
                    Show("labels", "labels/round{round}", scored="train", about="smaller rectangles"),
                    Show(
                        "predictions",
                        "predictions",
                        scored="val",
                        last=True,
                        when=lambda run, settings: not run.retrains,
                        about="rectangles without tags",
                    ),
                    Show(
                        "predictions",
                        "predictions_direct",
                        scored="val",
                        last=True,
                        when=lambda run, settings: run.retrains,
                        about="rectangles without tags",
                    ),
                ),
            ),
        ),
        rounds=True,
        maskrcnn=False,
        published={("toys", "toy", "predictions", "val"): Published({"mask_ap50": 0.5}, "a paper about toys")},
    ),
)
