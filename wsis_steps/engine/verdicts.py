"""What is doubtful about a result: figures that need no true masks, beside what they should be.

A step keeps whole numbers, `counts`, with what it makes; they add up over shards. What is said of them here is an
opinion: a limit or a sentence that changes makes no result anew. The figures named at the limits are those of three
seeds of `config.yaml`, which are sound.
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

MOST_CUES = 5.0  # of a class in a picture that is tagged with it; sound: 1.8 to 2.0, random networks 7
MOST_WITHOUT_CUE = 0.25  # of the tags of pictures
MOST_CLASS = 0.5  # of the semantic maps of tagged pictures; sound: 0.12 to 0.17
MOST_UNSURE = 0.5  # sound: 0.20 to 0.23
MOST_WITHOUT_CLASS = 0.25  # of the tagged pictures; sound: below 0.03
MOST_FILLED = 0.25  # of the tagged pictures, whose maps classes fill; sound: none
MOST_WITHOUT_LABEL = 0.25  # of the tagged pictures; sound: 0.10 to 0.12
STOPS_WITHOUT_LABEL = 0.5  # nothing is trained on what more pictures lack, unless the configuration says `warn`
MOST_CROWDED = 0.5  # of the components, in which there are several cues; sound: 0.11
MOST_CHANGE = 3.0  # of the instances of a picture from round to round, times; sound: 1.4 to 1.7
MOST_LABELS = 10.0  # a picture, from which such a growth is a fault even where the labels before are found again
LEAST_AGREEMENT = 0.5  # of the labels of the round before, which are found again; sound: 0.64 to 0.94
MOST_WITHOUT_PREDICTION = 0.25  # of the tagged evaluation pictures; sound: below 0.02
NAMED = 5  # classes that a sentence names
WITHOUT_LABEL = "pictures without a label"
UTMOST = 100.0  # times beyond a limit, for what is nothing instead of something


@dataclass(frozen=True)
class Figure:
    """A figure of a result. `beyond`: how many times its limit it is, doubtful from 1 on; `fault` names what is wrong,
    for `remedies`."""

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
    """A doubtful figure: what it says, and what to try, where a setting is known that may help."""

    figure: str
    value: float
    says: str
    beyond: float
    trial: Trial | None

    def sentence(self) -> str:
        """What a person reads: in a log, in the last lines of a run."""
        return f"{self.says} {self.trial.advice()}." if self.trial else self.says

    def row(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        trial = self.trial
        tried = {"setting": trial.setting, "now": trial.now, "try": trial.value} if trial else {"setting": None}
        return {"figure": self.figure, "value": round(self.value, 4), "says": self.says, **tried}


def judge(made: Made, counts: Counts) -> list[Verdict]:
    """The verdicts on what was counted, the worst first.

    made: the step that counted and those before it, the nearest first, with their settings.
    """
    doubtful = sorted((one for one in figures(made, counts) if one.doubtful), key=lambda one: -one.beyond)
    return [Verdict(one.name, one.value, one.says, one.beyond, find_trial(one.fault, made)) for one in doubtful]


def figures(made: Made, counts: Counts) -> list[Figure]:
    """The figures of what was counted, sound ones too. made: as for `judge`."""
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
    """The verdicts on a result, by its file; none on what holds no counts. InputError where it cannot be read."""
    return judge(*read_counts(path))


def read_counts(path: Path) -> tuple[Made, Counts]:
    """What made a result, with its settings, and what was counted of it; nothing where there is none."""
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
    """The steps behind a result and its counts, from its root attributes."""
    counts = json.loads(about.get("counts", "{}"))
    if not counts:
        return (), {}
    steps = {about["step"]: about["settings"], **json.loads(about.get("before", "{}"))}
    return tuple((step, json.loads(settings)) for step, settings in steps.items()), counts


def check_labelled(path: Path, attributes: Mapping[str, Any]) -> None:
    """Raises InputError where most of the pictures that should have labels have none."""
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
        f"{cues:,} cues in {images:,} pictures are {each:.1f} for each tag of a picture: more than there are objects, "
        "unless your pictures show so many."
    )
    yield Figure("cues of a tag", each, says, each / MOST_CUES, "many cues")
    says = f"{tagged - counts['with_cue']:,} of {tagged:,} tags of pictures have no cue."
    yield Figure("tags without a cue", without, says, without / MOST_WITHOUT_CUE, "few cues")


def _of_maps(counts: Counts) -> Iterator[Figure]:
    expected = counts["expected"]
    if not expected:
        return
    pixels = counts["background"] + counts["class"] + counts["unsure"]
    inside, unsure = counts["class"] / pixels, counts["unsure"] / pixels
    says = (
        f"{_percent(inside)} of the semantic maps of tagged pictures is a class: background is taken for objects, "
        "unless your objects fill the pictures."
    )
    yield Figure("share of classes", inside, says, inside / MOST_CLASS, "much class")
    says = f"{_percent(unsure)} of the semantic maps of tagged pictures is unsure: neither a class nor background."
    yield Figure("share unsure", unsure, says, unsure / MOST_UNSURE, "much unsure")
    yield Figure("share of background", 1 - inside - unsure, "", 0.0, "")
    without, filled = counts["without_class"], counts["filled"]
    says = f"{without:,} of {expected:,} tagged pictures have nothing of a class in their semantic map."
    yield Figure("pictures without a class", without / expected, says, without / expected / MOST_WITHOUT_CLASS,
                 "little class")  # fmt: skip
    says = (
        f"In {filled:,} of {expected:,} tagged pictures classes fill nearly all of the semantic map, which is right "
        "only where objects fill the picture."
    )
    yield Figure("pictures filled by classes", filled / expected, says, filled / expected / MOST_FILLED, "much class")


def _of_labels(counts: Counts, cue: str = "cue", whose: str = "tagged pictures") -> Iterator[Figure]:
    """Labels of images; `whose` are those of which some are expected."""
    images, expected, without, labels = (counts[name] for name in ("images", "expected", "without", "labels"))
    if expected:
        why, fault = _why_without(counts, cue) if "undersized" in counts else ("", "no instance")
        lacking = without / expected
        says = f"{without:,} of {expected:,} {whose} ({_percent(lacking)}) have no label{why}."
        yield Figure(WITHOUT_LABEL, lacking, says, lacking / MOST_WITHOUT_LABEL, fault)
    if components := sum(counts.get(name, 0) for name in ("accepted", "empty", "ambiguous")):
        several, none = counts["ambiguous"] / components, counts["empty"] / components
        says = f"{counts['ambiguous']:,} of {components:,} components hold several {cue}s and become no labels."
        yield Figure(f"components with several {cue}s", several, says, several / MOST_CROWDED, "several cues")
        yield Figure(f"components without a {cue}", none, "", 0.0, "")
    if images:
        yield from _of_rounds(labels / images, counts)


def _of_labels_from_points(counts: Counts) -> Iterator[Figure]:
    """Labels under supervision by points, which take the place of cues."""
    return _of_labels(counts, "point", "pictures with a point")


def _why_without(counts: Counts, cue: str) -> tuple[str, str]:
    """Why most of the pictures without a label have none, as a clause and a fault."""
    of_components = {
        "crowded": (f"a component of the semantic map holds several {cue}s", "several cues"),
        "uncued": (f"no component of the semantic map holds a {cue}", "no cue"),
        "undersized": ("all components of the semantic map are too small", "small components"),
        "bare": ("the semantic map has nothing of a class", "little class"),
    }
    of_regions = {
        "undersized": ("the regions that fit are too small", "small regions"),
        "bare": ("the maps of its classes are empty", "tags not learned"),
    }
    causes = of_components if "accepted" in counts else of_regions
    name = max(causes, key=lambda cause: counts[cause])
    clause, fault = causes[name]
    return f"; in {counts[name]:,} of them {clause}", fault


def _of_rounds(now: float, counts: Counts) -> Iterator[Figure]:
    """Labels beside those of the round before, where there was one."""
    before = counts.get("before")
    if not before:
        yield Figure("labels a picture", now, "", 0.0, "")
        return
    then, found = before / counts["images"], counts["again"] / before
    says = f"{now:.1f} labels a picture, where the round before had {then:.1f}: "
    if now >= then:
        says += "the network may cut objects into pieces, as one does that had too little to learn from."
        # new objects are what a round is for, as long as the old ones stay
        strange = now > MOST_LABELS or found < LEAST_AGREEMENT
        yield Figure("labels a picture", now, says, now / then / MOST_CHANGE if strange else 0.0, "many instances")
    else:
        yield Figure("labels a picture", now, f"{says}objects get lost.", _below(now / then, 1 / MOST_CHANGE),
                     "few instances")  # fmt: skip
    says = f"{_percent(found)} of the labels of the round before are found again (same class, IoU of 0.5 and more)."
    yield Figure("labels found again", found, says, _below(found, LEAST_AGREEMENT), "few found again")


def _of_predictions(counts: Counts) -> Iterator[Figure]:
    if counts["images"]:
        yield Figure("predictions a picture", counts["predictions"] / counts["images"], "", 0.0, "")
    if counts["expected"]:
        lacking = counts["without"] / counts["expected"]
        says = f"{counts['without']:,} of {counts['expected']:,} tagged evaluation pictures have no prediction."
        yield Figure("pictures without a prediction", lacking, says, lacking / MOST_WITHOUT_PREDICTION,
                     "no instance")  # fmt: skip


def _of_tags(counts: Counts) -> Iterator[Figure]:
    """How well a classifier recognises each class, and which classes it recognises no better than chance may."""
    known = {name: value for name, value in counts["average_precision"].items() if value is not None}
    for name, precision in known.items():
        yield Figure(f"average precision of {name}", precision, "", 0.0, "")
    chance, limits = counts["chance"], counts["chance_limit"]
    # of very few pictures even the best order may be chance
    judged = [name for name, limit in limits.items() if limit is not None and limit < 1]
    if not judged:
        return
    hardly = [name for name in judged if known[name] <= limits[name]]
    hardly.sort(key=lambda name: known[name] - chance[name])
    first = ", ".join(f"{name} (AP {known[name]:.2f}, by chance {chance[name]:.2f})" for name in hardly[:NAMED])
    more = f" and {len(hardly) - NAMED} more" if len(hardly) > NAMED else ""
    says = (
        f"The classifier recognises {len(hardly)} of {len(judged)} classes hardly better than chance on evaluation "
        f"pictures: {first}{more}."
    )
    # one class is worth a word, all of them more
    beyond = 1 + len(hardly) / len(judged) if hardly else 0.0
    yield Figure("classes hardly recognised", len(hardly) / len(judged), says, beyond, "tags not learned")


def _below(value: float, least: float) -> float:
    """How many times below its lower limit a value is."""
    return min(least / value, UTMOST) if value > 0 else UTMOST
