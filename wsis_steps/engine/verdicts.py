"""What is doubtful about a result: figures that need no ground-truth masks, and their limits.

A step stores integers, `counts`, with its result; they add up over shards. The verdicts on them are opinions: changing
a limit or a sentence here remakes no result. The figures in the comments come from three seeds of `config.yaml`, whose
results are sound.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsis_steps.engine.documents import read_document
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.hdf5 import open_hdf5, read_attributes
from wsis_steps.engine.remedies import Made, Trial, find_trial

Counts = Mapping[str, Any]

MOST_CUES = 5.0  # per tag of an image; sound: 1.8 to 2.0, random networks 7
MOST_WITHOUT_CUE = 0.25  # of the tags of images
MOST_CLASS = 0.5  # of the semantic maps of tagged images; sound: 0.12 to 0.17
MOST_UNSURE = 0.5  # sound: 0.20 to 0.23
MOST_WITHOUT_CLASS = 0.25  # of the tagged images; sound: below 0.03
MOST_FILLED = 0.25  # of the tagged images, filled by classes; sound: none
MOST_WITHOUT_LABEL = 0.25  # of the tagged images; sound: 0.10 to 0.12
STOPS_WITHOUT_LABEL = 0.5  # if more images lack labels, nothing is trained, unless the configuration says `warn`
MOST_CROWDED = 0.5  # of the components, those with several cues; sound: 0.11
MOST_CHANGE = 3.0  # factor between the labels per image of two rounds; sound: 1.4 to 1.7
MOST_LABELS = 10.0  # per image; above it, such a growth is a fault even if the previous labels are found again
LEAST_AGREEMENT = 0.5  # of the previous round's labels, those found again; sound: 0.64 to 0.94
MOST_WITHOUT_PREDICTION = 0.25  # of the tagged evaluation images; sound: below 0.02
NAMED = 5  # classes that a sentence names
WITHOUT_LABEL = "pictures without a label"
UTMOST = 100.0  # `beyond` of a figure that is 0 but should not be


@dataclass(frozen=True)
class Figure:
    """A figure of a result. `beyond` is its ratio to its limit: above 1 it is doubtful. `fault` names the problem, for
    `remedies`."""

    name: str
    value: float
    says: str
    beyond: float
    fault: str

    @property
    def doubtful(self) -> bool:
        return self.beyond > 1


@dataclass(frozen=True)
class Verdict:
    """A doubtful figure: what it says and, if a setting is known that may help, what to try."""

    figure: str
    value: float
    says: str
    beyond: float
    trial: Trial | None

    def sentence(self) -> str:
        """The text that people read, in a log or in the last lines of a run."""
        return f"{self.says} {self.trial.advice()}." if self.trial else self.says

    def row(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        trial = self.trial
        tried = {"setting": trial.setting, "now": trial.now, "try": trial.value} if trial else {"setting": None}
        return {"figure": self.figure, "value": round(self.value, 4), "says": self.says, **tried}


def judge(made: Made, counts: Counts) -> list[Verdict]:
    """The verdicts on some counts, the worst first.

    made: the step that counted and those before it, with their settings, the nearest first.
    """
    doubtful = sorted((one for one in figures(made, counts) if one.doubtful), key=lambda one: -one.beyond)
    return [Verdict(one.name, one.value, one.says, one.beyond, find_trial(one.fault, made)) for one in doubtful]


def figures(made: Made, counts: Counts) -> list[Figure]:
    """All figures computed from the counts, including sound ones. made: as for `judge`."""
    by_points = any(settings.get("supervision") == "points" for _, settings in made)
    judges = {
        "cues": _of_cues,
        "background": _of_maps,
        "labels": _of_labels_from_points if by_points else _of_labels,
        "predictions": _of_predictions,
        "average_precision": _of_tags,
    }
    return [figure for name, found in judges.items() if name in counts for figure in found(counts)]


def verdicts_of(path: Path) -> list[Verdict]:
    """The verdicts on a result file; empty if it holds no counts. InputError if it cannot be read."""
    return judge(*read_counts(path))


def read_counts(path: Path) -> tuple[Made, Counts]:
    """The steps that made a result, with their settings, and its counts; both empty if it has none."""
    if path.suffix == ".h5":
        with open_hdf5(path) as file:
            return _parse(read_attributes(file))
    if path.suffix != ".json":
        return (), {}
    document = read_document(path)
    if not (isinstance(document, dict) and {"average_precision", "provenance"} <= document.keys()):
        return (), {}
    made = document.pop("provenance")
    return _parse({**made, "counts": json.dumps(document), "before": json.dumps(made["before"])})


def _parse(about: Mapping[str, Any]) -> tuple[Made, Counts]:
    """The steps behind a result, and its counts, from its root attributes."""
    counts = json.loads(about.get("counts", "{}"))
    if not counts:
        return (), {}
    steps = {about["step"]: about["settings"], **json.loads(about.get("before", "{}"))}
    return tuple((step, json.loads(settings)) for step, settings in steps.items()), counts


def check_labelled(path: Path, attributes: Mapping[str, Any]) -> None:
    """Raises InputError if most of the images that should have labels have none."""
    made, counts = _parse(attributes)
    lacking = next((one for one in figures(made, counts) if one.name == WITHOUT_LABEL), None)
    if lacking is None or lacking.value <= STOPS_WITHOUT_LABEL:
        return
    trial = find_trial(lacking.fault, made)
    says, advice = lacking.says.rstrip("."), f"{trial.advice()}, or set" if trial else "Set"
    raise InputError(f"{path}: {says}; nothing is trained on these labels. {advice} verdict: warn to train anyway.")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _of_cues(counts: Counts) -> Iterator[Figure]:
    cues, tagged, images = counts["cues"], counts["tagged"], counts["images"]
    if not tagged:
        return
    each, without = cues / tagged, (tagged - counts["with_cue"]) / tagged
    says = (
        f"{cues:,} cues in {images:,} images are {each:.1f} per tag of an image: more than there are objects, "
        "unless your images show so many."
    )
    yield Figure("cues of a tag", each, says, each / MOST_CUES, "many cues")
    says = f"{tagged - counts['with_cue']:,} of {tagged:,} tags of images have no cue."
    yield Figure("tags without a cue", without, says, without / MOST_WITHOUT_CUE, "few cues")


def _of_maps(counts: Counts) -> Iterator[Figure]:
    expected = counts["expected"]
    if not expected:
        return
    pixels = counts["background"] + counts["class"] + counts["unsure"]
    inside, unsure = counts["class"] / pixels, counts["unsure"] / pixels
    says = (
        f"{_percent(inside)} of the semantic maps of tagged images is a class: background is taken for objects, "
        "unless your objects fill the images."
    )
    yield Figure("share of classes", inside, says, inside / MOST_CLASS, "much class")
    says = f"{_percent(unsure)} of the semantic maps of tagged images is unsure: neither a class nor background."
    yield Figure("share unsure", unsure, says, unsure / MOST_UNSURE, "much unsure")
    yield Figure("share of background", 1 - inside - unsure, "", 0.0, "")
    without, filled = counts["without_class"], counts["filled"]
    says = f"{without:,} of {expected:,} tagged images have no class in their semantic map."
    yield Figure("pictures without a class", without / expected, says, without / expected / MOST_WITHOUT_CLASS,
                 "little class")  # fmt: skip
    says = (
        f"In {filled:,} of {expected:,} tagged images, classes fill nearly all of the semantic map, which is right "
        "only if objects fill the image."
    )
    yield Figure("pictures filled by classes", filled / expected, says, filled / expected / MOST_FILLED, "much class")


def _of_labels(counts: Counts, cue: str = "cue", whose: str = "tagged images") -> Iterator[Figure]:
    """Figures of labels. whose: describes the images that should have labels."""
    images, expected, without, labels = (counts[name] for name in ("images", "expected", "without", "labels"))
    if expected:
        why, fault = _why_without(counts, cue) if "undersized" in counts else ("", "no instance")
        lacking = without / expected
        says = f"{without:,} of {expected:,} {whose} ({_percent(lacking)}) have no label{why}."
        yield Figure(WITHOUT_LABEL, lacking, says, lacking / MOST_WITHOUT_LABEL, fault)
    if components := sum(counts.get(name, 0) for name in ("accepted", "empty", "ambiguous")):
        several, none = counts["ambiguous"] / components, counts["empty"] / components
        says = f"{counts['ambiguous']:,} of {components:,} components contain several {cue}s and become no labels."
        yield Figure(f"components with several {cue}s", several, says, several / MOST_CROWDED, "several cues")
        yield Figure(f"components without a {cue}", none, "", 0.0, "")
    if images:
        yield from _of_rounds(labels / images, counts)


def _of_labels_from_points(counts: Counts) -> Iterator[Figure]:
    """Figures of labels made from points instead of cues."""
    return _of_labels(counts, "point", "images with a point")


def _why_without(counts: Counts, cue: str) -> tuple[str, str]:
    """The most frequent reason why images have no label, as a clause and a fault."""
    of_components = {
        "crowded": (f"a component of the semantic map contains several {cue}s", "several cues"),
        "uncued": (f"no component of the semantic map contains a {cue}", "no cue"),
        "undersized": ("all components of the semantic map are too small", "small components"),
        "bare": ("the semantic map contains no class", "little class"),
    }
    of_regions = {
        "undersized": ("the matching regions are too small", "small regions"),
        "bare": ("the maps of its classes are empty", "tags not learned"),
    }
    causes = of_components if "accepted" in counts else of_regions
    name = max(causes, key=lambda cause: counts[cause])
    clause, fault = causes[name]
    return f"; in {counts[name]:,} of them {clause}", fault


def _of_rounds(now: float, counts: Counts) -> Iterator[Figure]:
    """Labels compared with those of the previous round, if there was one."""
    before = counts.get("before")
    if not before:
        yield Figure("labels a picture", now, "", 0.0, "")
        return
    then, found = before / counts["images"], counts["again"] / before
    says = f"{now:.1f} labels per image, where the previous round had {then:.1f}: "
    if now >= then:
        says += "the network may cut objects into pieces, as it does if it had too little to learn from."
        # rounds are meant to find new objects, as long as the old ones are kept
        strange = now > MOST_LABELS or found < LEAST_AGREEMENT
        yield Figure("labels a picture", now, says, now / then / MOST_CHANGE if strange else 0.0, "many instances")
    else:
        yield Figure("labels a picture", now, f"{says}objects are lost.", _below(now / then, 1 / MOST_CHANGE),
                     "few instances")  # fmt: skip
    says = f"{_percent(found)} of the previous round's labels are found again (same class, IoU of 0.5 or more)."
    yield Figure("labels found again", found, says, _below(found, LEAST_AGREEMENT), "few found again")


def _of_predictions(counts: Counts) -> Iterator[Figure]:
    if counts["images"]:
        yield Figure("predictions a picture", counts["predictions"] / counts["images"], "", 0.0, "")
    if counts["expected"]:
        lacking = counts["without"] / counts["expected"]
        says = f"{counts['without']:,} of {counts['expected']:,} tagged evaluation images have no prediction."
        yield Figure("pictures without a prediction", lacking, says, lacking / MOST_WITHOUT_PREDICTION,
                     "no instance")  # fmt: skip


def _of_tags(counts: Counts) -> Iterator[Figure]:
    """How well a classifier recognizes each class, and which classes it recognizes no better than by chance."""
    known = {name: value for name, value in counts["average_precision"].items() if value is not None}
    for name, precision in known.items():
        yield Figure(f"average precision of {name}", precision, "", 0.0, "")
    chance, limits = counts["chance"], counts["chance_limit"]
    # with very few images, even the best order may be chance
    judged = [name for name, limit in limits.items() if limit is not None and limit < 1]
    if not judged:
        return
    hardly = [name for name in judged if known[name] <= limits[name]]
    hardly.sort(key=lambda name: known[name] - chance[name])
    first = ", ".join(f"{name} (AP {known[name]:.2f}, by chance {chance[name]:.2f})" for name in hardly[:NAMED])
    more = f" and {len(hardly) - NAMED} more" if len(hardly) > NAMED else ""
    says = (
        f"The classifier recognizes {len(hardly)} of {len(judged)} classes hardly better than chance on evaluation "
        f"images: {first}{more}."
    )
    # one class deserves a mention, all classes more
    beyond = 1 + len(hardly) / len(judged) if hardly else 0.0
    yield Figure("classes hardly recognised", len(hardly) / len(judged), says, beyond, "tags not learned")


def _below(value: float, least: float) -> float:
    """Ratio of a lower limit to a value."""
    return min(least / value, UTMOST) if value > 0 else UTMOST
