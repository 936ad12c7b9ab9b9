"""Tags to activation maps to cues, for any system that uses them."""

from dataclasses import replace

from wsis_steps.classifier.settings import ClassifierExtract
from wsis_steps.engine.chain import Read, Show, Stage

# Input of a frozen classifier's training and of its maps.
_FEATURES = Read("features", of="classifier_train", when=lambda run, settings: settings.frozen, spares_gpu=True)

STAGES = (
    Stage(
        "classifier_extract",
        writes={"features": "classifier/features.h5"},
        divides=True,
        settings_of=("classifier_train", tuple(ClassifierExtract.model_fields)),
    ),
    Stage(
        "classifier_train",
        reads=(_FEATURES,),
        writes={"classifier": "classifier/model.pt", "metrics": "classifier/metrics.jsonl"},
        shows=(Show("metrics", "classifier"),),
    ),
    Stage(
        "classifier_infer",
        reads=(Read("classifier", name="model"), _FEATURES),
        writes={"maps": "classifier/train.h5"},
        divides=True,
        shows=(Show("maps", "activation maps", about="where and how strongly the classifier sees each tag"),),
    ),
    Stage(
        "classifier_learn_pixels",
        reads=(Read("features"), Read("maps")),
        writes={"probabilities": "classifier/probabilities.h5"},
        shows=(Show("probabilities", "learned maps", about="probability of each tag at each pixel"),),
    ),
    Stage(
        "classifier_find_peaks",
        reads=(Read("maps"),),
        writes={"peaks": "classifier/peaks.h5"},
        shows=(Show("peaks", "cues", about="peaks of the activation maps"),),
    ),
    Stage(
        "classifier_audit_tags",
        reads=(Read("classifier", name="model"), replace(_FEATURES, spares_gpu=False)),
        writes={
            "table": "classifier/tag_audit.csv",
            "page": "classifier/tag_audit.html",
            "scores": "classifier/tag_audit.json",
        },
        audits="classifier",
    ),
)
