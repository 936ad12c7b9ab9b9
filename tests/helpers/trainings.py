"""Every training step with small inputs, and settings with which it ends in a moment."""

from pathlib import Path

from artifacts import write_images, write_labels, write_semantic
from calls import call
from proposal_sets import square_boxes, square_edges, square_regions
from tiny_settings import (
    BESTIE,
    CLASSIFIER,
    COMMUNITY_LEARNING,
    INITIALISE,
    LEARNING_TO_SEGMENT,
    MASKRCNN,
    TRAIN_CONDITIONAL,
    TRAIN_PREDICTION,
)

STEPS = {
    "classifier.train": ({**CLASSIFIER, "alpha_ramp": 0.9}, ("images",)),
    "learning_to_segment.train": (LEARNING_TO_SEGMENT, ("images",)),
    "bestie.train": (BESTIE, ("images", "semantic", "labels")),
    "community_learning.train": (COMMUNITY_LEARNING, ("images", "proposals")),
    "annotation_consistency.initialise": (INITIALISE, ("images", "regions")),
    "annotation_consistency.train_prediction": (TRAIN_PREDICTION, ("images", "samples")),
    "annotation_consistency.train_conditional": (
        TRAIN_CONDITIONAL,
        ("images", "regions", "edges", "conditional", "prediction"),
    ),
    "maskrcnn.train": (MASKRCNN, ("images", "labels")),
}


def make_inputs(folder: Path) -> dict[str, Path]:
    """One file of each kind that a training step reads."""
    found = {
        "images": write_images(folder / "images.h5"),
        "labels": write_labels(folder / "labels.h5"),
        "semantic": write_semantic(folder / "semantic.h5"),
        "proposals": square_boxes(folder / "proposals.h5"),
        "regions": square_regions(folder / "regions.h5"),
        "edges": square_edges(folder / "edges.h5"),
        **{name: folder / name for name in ("conditional", "samples", "prediction")},
    }
    data = {"images": found["images"], "proposals": found["regions"]}
    model, labels = found["conditional"], folder / "of_samples"
    done = [
        call("annotation_consistency.initialise", INITIALISE, **data, model=model, metrics=folder / "m1"),
        call("annotation_consistency.sample", **data, edges=found["edges"], model=model, samples=found["samples"],
             labels=labels),
        call("annotation_consistency.train_prediction", TRAIN_PREDICTION, images=found["images"],
             samples=found["samples"], model=found["prediction"], metrics=folder / "m2"),
    ]  # fmt: skip
    assert [outcome.status for outcome in done] == [0, 0, 0]
    return found


def settings_of(step: str, iterations: int) -> dict:
    """The settings of a training with this many iterations; the classifier has two per epoch."""
    length = {"epochs": iterations // 2} if step == "classifier.train" else {"iterations": iterations}
    return {**STEPS[step][0], **length}


def paths(inputs: dict[str, Path], step: str, folder: Path) -> dict[str, Path]:
    """The files that a step reads, and those that it writes to `folder`."""
    outputs = {"model": folder / "out/model.pt", "metrics": folder / "out/metrics", "work": folder / "work"}
    chosen = {name.replace("regions", "proposals"): inputs[name] for name in STEPS[step][1]}
    return {**chosen, **outputs}
