"""How a system describes itself: its stages in order, what each reads and writes, and what is shown and scored.

A folder of steps has a `chain.py` that defines `STAGES`, which all systems may use, or `CHAINS`, one per system.
Nothing here computes anything, and no step imports it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsis_steps.engine.published import Published

Condition = Callable[[Any, Any], bool]  # takes a run (`plan.config.Run`) and the settings of the step in it


def always(run: Any, settings: Any) -> bool:
    """The condition of something that every run has."""
    return True


# These return the rounds of a run in which a stage computes something; its files are numbered by round.
def first_round(run: Any) -> Iterable[int]:
    """Round 0."""
    return (0,)


def each_round(run: Any) -> Iterable[int]:
    """Rounds 0 to `rounds` - 1."""
    return range(run.rounds)


def after_each_round(run: Any) -> Iterable[int]:
    """Rounds 1 to `rounds`: what each round makes for the next."""
    return range(1, run.rounds + 1)


def later_rounds(run: Any) -> Iterable[int]:
    """All rounds but the first."""
    return range(1, run.rounds)


@dataclass(frozen=True)
class Read:
    """An input of a stage: what a stage of the run writes in this role, or a file that all runs share.

    A system's own stages take precedence over the shared ones. Roles of shared stages should not have names that every
    system uses, such as `model`.
    """

    role: str
    name: str = ""
    """Name of the input on the command line; by default the role."""
    back: int = 0
    """How many rounds before the stage's own round the input was made."""
    later: bool = False
    """Whether the input does not exist in the first round."""
    last: bool = False
    """Whether the input comes from the last round."""
    shared: Callable[[Any], str] | None = None
    """Returns the path of a file below `results/<dataset>/shared/`, given the settings of the step."""
    of: str = ""
    """The step whose settings are passed to `shared` and `when`; by default the stage's own step."""
    when: Condition = always
    compares: bool = False
    """Whether the step only compares its result with this input: nothing is learned from it, and it is optional."""
    spares_gpu: bool = False
    """Whether a step with this input needs no GPU."""

    @property
    def option(self) -> str:
        """The input's name on the command line."""
        return self.name or self.role

    @property
    def optional(self) -> bool:
        """Whether a run may lack it."""
        return self.later or self.compares or self.when is not always


def class_maps(when: Condition = always) -> tuple[Read, Read]:
    """The class maps of an image that the run selects with `class_maps`."""

    def chosen(source: str) -> Condition:
        return lambda run, settings: run.class_maps == source and when(run, settings)

    return Read("maps", when=chosen("activation")), Read("probabilities", name="maps", when=chosen("learned"))


# The run's classifier, for trainings that start from it.
PRETRAINED = Read("classifier", name="pretrained", when=lambda run, settings: settings.weights == "classifier")


@dataclass(frozen=True)
class Show:
    """A file in the report and, if `scored` names a split with ground-truth masks, in the table."""

    role: str
    stage: str
    """Name of the stage there; `{round}` is replaced by two digits."""
    scored: str = ""
    last: bool = False
    """Only the file of the last round."""
    when: Condition = always
    spare: bool = False
    """Whether to leave it out if ground-truth masks exist, but none of `scored`: only the report would read it."""
    about: str = ""
    """A phrase that describes it, for the legend."""


def show_labels(about: str) -> Show:
    """The labels (role `labels`) that a stage makes of the training images in each round."""
    return Show("labels", "labels/round{round}", scored="train", about=about)


@dataclass(frozen=True)
class Stage:
    """One step in the chain of a run."""

    step: str
    reads: tuple[Read, ...] = ()
    writes: Mapping[str, str] = field(default_factory=dict)
    """Paths below the run's folder, by role; `{round}` is replaced by two digits."""
    rounds: Callable[[Any], Iterable[int]] | None = None
    """Returns the rounds of a run in which the stage computes something; None: it runs once."""
    divides: bool = False
    """Whether several jobs may share its images."""
    shows: tuple[Show, ...] = ()
    choice: tuple[str, str] | None = None
    """The run's key and value that select this stage among those with the same output."""
    shared: bool = False
    """Whether all runs share its files, below `shared/`."""
    settings_of: tuple[str, tuple[str, ...]] | None = None
    """Another step and the settings that this stage takes from it: they are set there."""
    predicts: bool = False
    """Whether `wsis predict` takes the model that this stage reads."""
    audits: str = ""
    """Role that this stage audits. It runs for all data but the generated ones, whose tags are correct; only verdicts
    read its output, the role `scores`."""

    @property
    def optional(self) -> bool:
        """Whether a run may lack one of the stage's inputs."""
        return any(read.optional for read in self.reads)

    @property
    def numbered(self) -> bool:
        """Whether the names of its files contain a round."""
        return any("{round}" in path for path in self.writes.values())


@dataclass(frozen=True)
class Agreement:
    """Settings that must be equal in several steps of a run."""

    steps: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Chain:
    """A system: its own stages in order, and the step that it ends in."""

    system: str
    about: str
    """A short description."""
    ends: str
    """The step whose results are the system's."""
    ends_in: str
    """What these results are, in words."""
    stages: tuple[Stage, ...] = ()
    borrows: tuple[str, ...] = ()
    """Steps of other systems whose stages come before its own."""
    supervision: tuple[str, ...] = ("tags",)
    """Annotations it can learn from; empty if it learns from the ground-truth masks in `files`."""
    rounds: bool = False
    """Whether it can have more than one round."""
    fewest_rounds: int = 1
    """0 if a Mask R-CNN can learn from its first labels."""
    maskrcnn: bool | None = None
    """Whether a run trains a Mask R-CNN on the last labels by default; None if the run cannot choose."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files of ground-truth masks below `shared/`, by the role they take; for upper bounds."""
    agreements: tuple[Agreement, ...] = ()
    published: Mapping[tuple[str, str, str, str], Published] = field(default_factory=dict)
    """Figures printed in papers, by data set, run, stage and split, as named in `summary.csv`;
    `read_published(__file__)` reads them from the table beside the chain."""
