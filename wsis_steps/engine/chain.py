"""How a system describes itself: its stages in order, what each reads and writes, what of it is shown and scored.

A folder of steps has a `chain.py` with `STAGES`, which the chains of all systems may take by what they write, or
`CHAINS`, one a system. Nothing here computes anything, and no step imports it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsis_steps.engine.published import Published

Condition = Callable[[Any, Any], bool]  # of a run (`plan.config.Run`) and the settings of the step in it


def always(run: Any, settings: Any) -> bool:
    """The condition of what every run has."""
    return True


# The rounds of a run in which a stage computes something; its files are numbered by them.
def first_round(run: Any) -> Iterable[int]:
    """Round 0."""
    return (0,)


def each_round(run: Any) -> Iterable[int]:
    """Round 0 to the last but one file: `rounds` of them."""
    return range(run.rounds)


def after_each_round(run: Any) -> Iterable[int]:
    """What a round makes for the next: 1 to `rounds`."""
    return range(1, run.rounds + 1)


def later_rounds(run: Any) -> Iterable[int]:
    """All rounds but the first."""
    return range(1, run.rounds)


@dataclass(frozen=True)
class Read:
    """An input of a stage: what a stage of the run writes in that role, or a file that all runs share.

    A system's own stages come before those which all may take; roles of the latter should not be of the kind that
    every system has, as `model`.
    """

    role: str
    name: str = ""
    """Of the input on the command line; by default the role."""
    back: int = 0
    """How many rounds before the stage's own."""
    later: bool = False
    """Whether the first round lacks it."""
    last: bool = False
    """Of the last round that there is."""
    shared: Callable[[Any], str] | None = None
    """A file below `results/<dataset>/shared/`, by the settings of the step."""
    of: str = ""
    """The step whose settings `shared` and `when` look at, where it is another."""
    when: Condition = always
    compares: bool = False
    """Whether the step only compares its own with it, and does without where it is called by hand: nothing learns."""
    spares_gpu: bool = False
    """Whether a step that reads it needs no GPU."""

    @property
    def option(self) -> str:
        """The name on the command line."""
        return self.name or self.role

    @property
    def optional(self) -> bool:
        """Whether a run may lack it."""
        return self.later or self.compares or self.when is not always


def class_maps(when: Condition = always) -> tuple[Read, Read]:
    """The maps of an image's classes that the run chooses by `class_maps`."""

    def chosen(source: str) -> Condition:
        return lambda run, settings: run.class_maps == source and when(run, settings)

    return Read("maps", when=chosen("activation")), Read("probabilities", name="maps", when=chosen("learned"))


# The classifier of the run, where a training starts from it.
PRETRAINED = Read("classifier", name="pretrained", when=lambda run, settings: settings.weights == "classifier")


@dataclass(frozen=True)
class Show:
    """A file in the report and, where `scored` names the split whose true masks it is compared with, in the table."""

    role: str
    stage: str
    """Its name there; `{round}` stands for two digits."""
    scored: str = ""
    last: bool = False
    """Of the last round only."""
    when: Condition = always
    spare: bool = False
    """Whether it is left out where true masks are given, but none of `scored`: what only the report would read."""
    about: str = ""
    """A clause that says what it is, for the legend."""


def show_labels(about: str) -> Show:
    """The labels that a stage makes of the training images in each round, in the role `labels`."""
    return Show("labels", "labels/round{round}", scored="train", about=about)


@dataclass(frozen=True)
class Stage:
    """One step in the chain of a run."""

    step: str
    reads: tuple[Read, ...] = ()
    writes: Mapping[str, str] = field(default_factory=dict)
    """Files below the folder of the run by role; `{round}` stands for two digits."""
    rounds: Callable[[Any], Iterable[int]] | None = None
    """None: once."""
    divides: bool = False
    """Whether several jobs may share its images."""
    shows: tuple[Show, ...] = ()
    choice: tuple[str, str] | None = None
    """Key and value of a run that choose this stage among those that write the same."""
    shared: bool = False
    """Whether its files are those of all runs, below `shared/`."""
    settings_of: tuple[str, tuple[str, ...]] | None = None
    """Another step, and which of its settings this one shares: set them there."""
    audits: str = ""
    """Role of what it looks at: it is asked for of all data but the generated ones, whose tags are right; only verdicts
    read what it writes, as `scores`."""

    @property
    def optional(self) -> bool:
        """Whether a run may lack one of its inputs."""
        return any(read.optional for read in self.reads)

    @property
    def numbered(self) -> bool:
        """Whether its files carry the number of a round."""
        return any("{round}" in path for path in self.writes.values())


@dataclass(frozen=True)
class Agreement:
    """Settings that several steps of a run must have in common."""

    steps: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Chain:
    """A system: the stages of its own, in order, and where it ends."""

    system: str
    about: str
    """What it is, in a few words."""
    ends: str
    """The step whose results are the system's."""
    ends_in: str
    """What these are, in words."""
    stages: tuple[Stage, ...] = ()
    supervision: tuple[str, ...] = ("tags",)
    """What it can learn from; empty: from the true masks of `files`."""
    rounds: bool = False
    """Whether it can have more than one round."""
    fewest_rounds: int = 1
    """0 where a Mask R-CNN can learn from its first labels."""
    maskrcnn: bool | None = None
    """Whether a run trains a Mask R-CNN on the last labels unless it says otherwise; None: there is no choice."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Roles that files of true masks take, below `shared/`; for upper bounds."""
    agreements: tuple[Agreement, ...] = ()
    published: Mapping[tuple[str, str, str, str], Published] = field(default_factory=dict)
    """What papers print, by data set, run, stage and split, as they are named in `summary.csv`; from the table beside
    the chain with `read_published(__file__)`."""
