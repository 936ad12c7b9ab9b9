"""The runs and the whole configuration, validated; imports no torch."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.settings import Count, Positive, Settings, explain
from wsis_steps.plan.chain_faults import check_chains
from wsis_steps.plan.steps import STEPS
from wsis_steps.plan.systems import CHAINS, Semantic, System

# Steps whose results all runs share, or whose figures must be comparable between them.
SHARED_STEPS = ("data_draw", "data_import_dataset", "data_download", "proposals_", "evaluation_", "report_")


class Run(Settings):
    """A system with its overrides: one row of the table, one folder under results/<dataset>/."""

    system: System
    """Which chain of steps."""
    rounds: Count = 1
    """How often the system trains, each time on the labels that the last round refined; for systems with rounds. 0,
    for systems that allow it, leaves out the network: Mask R-CNN learns from the first labels."""
    semantic: Semantic = "activation_crf"
    """Where the semantic maps come from, for systems that read them."""
    class_maps: Literal["activation", "learned"] = "activation"
    """Which maps of an image's classes regions are pooled from and compared with, where the semantic maps or the first
    labels are made of regions: the classifier's activation maps, or probabilities of pixels that are learned from them
    on frozen features (`classifier_learn_pixels`)."""
    supervision: Literal["tags", "points", "boxes"] = "tags"
    """What the system may see of the training images; not every system can use points or boxes."""
    maskrcnn: bool | None = None
    """Train a Mask R-CNN on the last labels; without it the system's own predictions are the result. By default as in
    the system's paper."""
    takes: dict[Literal["semantic", "pretrained"], str] = {}
    """What the run takes of another run, which it names, and does not make itself: `semantic`, the semantic maps of the
    training images; `pretrained`, the classifier that trainings start from. So an ablation of the classifier can leave
    both as they are. Of a run that is repeated for several seeds that of the same seed."""
    corrections: dict[Count, Path] = {}
    """Files of labels that people corrected (`wsis export` and back), by the round that they correct: what trains on
    that round's labels takes them instead."""
    seed: Count | None = None
    """Seed of every training step of the run; by default the configuration's."""
    against: str | None = None
    """The run that this one is compared with, seed by seed: `summary.md` shows the paired differences."""
    steps: dict[str, dict[str, Any]] = {}
    """Settings that differ from the global ones, by step."""

    @property
    def retrains(self) -> bool:
        """Whether a Mask R-CNN on the last labels is the result."""
        return bool(CHAINS[self.system].maskrcnn if self.maskrcnn is None else self.maskrcnn)

    @model_validator(mode="after")
    def _check(self) -> "Run":
        chain = CHAINS[self.system]
        usable, given = chain.supervision, "supervision" in self.model_fields_set
        if not usable and given:
            raise ValueError(f"{self.system} learns from the true masks; leave supervision out")
        if usable and self.supervision not in usable:
            others = [other.system for other in CHAINS.values() if self.supervision in other.supervision]
            raise ValueError(
                f"{self.system} learns from {' or '.join(usable)}, not from {self.supervision}; "
                f"{' and '.join(others)} can"
            )
        if chain.maskrcnn is None and self.maskrcnn is not None:
            raise ValueError(f"{self.system} ends in {chain.ends_in}; leave maskrcnn out")
        if "semantic" in self.takes and "semantic" in self.model_fields_set:
            raise ValueError(f"it takes the semantic maps of run {self.takes['semantic']}; leave semantic out")
        if (self.rounds > 1 and not chain.rounds) or self.rounds < chain.fewest_rounds:
            fewest = "at least one round" if chain.rounds else "one round"
            raise ValueError(f"{self.system} has {fewest}, not {self.rounds}")
        if not self.rounds and not self.retrains:
            raise ValueError("rounds: 0 leaves only a Mask R-CNN on the first labels; leave maskrcnn: false out")
        return self


class Configuration(Settings):
    """The whole of config.yaml."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    """Name of the data set: its folder under results/."""
    seeds: Annotated[tuple[Count, ...], Field(min_length=1)] = (0,)
    """With more than one, every run is repeated as <run>_seed<k>."""
    shards: Positive = 1
    """Jobs that share the images of proposals, activation maps, CRFs and inference, for clusters; the results have the
    same bytes whatever their number."""
    gpus_per_job: Count = 1
    """GPUs that a training or an inference may use at once. A training uses as many as share its batches evenly;
    inference divides its images. 0 asks for none, for clusters without."""
    verdict: Literal["stop", "warn"] = "stop"
    """Where more than half of the tagged pictures have no label: with stop nothing is trained on the labels, which stay
    to be looked at; with warn it is. Changing it runs nothing again that is done."""
    runs: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], Run]
    """Runs by name. One that is null is left out: so a second --configfile drops a run of the first."""
    steps: dict[str, dict[str, Any]] = {}
    """Settings of steps for all runs."""

    @field_validator("runs", mode="before")
    @classmethod
    def _drop_null(cls, runs: Any) -> Any:
        return {name: run for name, run in runs.items() if run is not None} if isinstance(runs, dict) else runs

    @model_validator(mode="after")
    def _check(self) -> "Configuration":
        if not self.runs:
            raise ValueError("runs is empty; name at least one run")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: a seed stands there twice, which would be one run")
        if "shared" in self.runs:
            raise ValueError("runs: 'shared' is a reserved name")
        if len(self.seeds) > 1 and any(run.seed is not None for run in self.runs.values()):
            raise ValueError("runs: a run with its own seed cannot be repeated for several seeds; drop one of the two")
        for name, run in self.runs.items():
            self._check_pair(name, run)
            self._check_taken(name)
        sections = {"steps": self.steps}
        sections.update({f"runs.{name}.steps": run.steps for name, run in self.runs.items()})
        for where, steps in sections.items():
            for step, values in steps.items():
                if step not in STEPS:
                    raise ValueError(f"{where}: there is no step '{step}', {nearest(step, STEPS)}")
                if where != "steps" and step.startswith(SHARED_STEPS):
                    raise ValueError(f"{where}.{step} would be the same for all runs; set it under the global 'steps'")
                if "supervision" in (values or {}):
                    raise ValueError(f"{where}.{step}: supervision is a run's; write it beside its system")
                merged = {**(self.steps.get(step) or {}), **(values or {})}
                try:
                    STEPS[step].model_validate(merged)
                except ValidationError as error:
                    raise ValueError(explain(error, STEPS[step], f"{where}.{step}")) from error
        return self

    def _check_pair(self, name: str, run: Run) -> None:
        """ValueError where the run that a run is compared with is none, or has another seed."""
        if run.against is None:
            return
        where = f"runs.{name}.against"
        if run.against == name:
            raise ValueError(f"{where}: a run is not compared with itself")
        if run.against not in self.runs:
            raise ValueError(f"{where}: there is no run '{run.against}', {nearest(run.against, self.runs)}")
        own, other = (self.seeds[0] if one.seed is None else one.seed for one in (run, self.runs[run.against]))
        if own != other:
            raise ValueError(f"{where}: {name} has seed {own} and {run.against} seed {other}; a pair has one seed")

    def _check_taken(self, name: str, behind: tuple[str, ...] = ()) -> None:
        """ValueError where a run takes something of a run that there is not, or by way of others of itself."""
        if name in behind:
            raise ValueError(f"runs: {' takes of '.join([*behind[behind.index(name) :], name])}, which is a circle")
        for what, other in self.runs[name].takes.items():
            if other not in self.runs:
                raise ValueError(f"runs.{name}.takes.{what}: there is no run '{other}', {nearest(other, self.runs)}")
            self._check_taken(other, (*behind, name))


def load(values: dict[str, Any]) -> Configuration:
    """Validates a configuration and repeats its runs for each seed; InputError names every wrong key."""
    check_chains()
    try:
        configuration = Configuration.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, Configuration, "the configuration")) from error
    if len(configuration.seeds) == 1:
        runs = {
            name: run.model_copy(update={"seed": configuration.seeds[0] if run.seed is None else run.seed})
            for name, run in configuration.runs.items()
        }
    else:
        runs = {
            f"{name}_seed{seed}": run.model_copy(
                update={
                    "seed": seed,
                    "against": run.against and f"{run.against}_seed{seed}",
                    "takes": {what: f"{other}_seed{seed}" for what, other in run.takes.items()},
                }
            )
            for seed in configuration.seeds
            for name, run in configuration.runs.items()
        }
    return configuration.model_copy(update={"runs": runs})
