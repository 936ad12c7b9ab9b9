"""The models of a run and of the whole configuration, and their validation. Imports no torch."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.settings import Count, Positive, Settings, explain
from wsis_steps.plan.chain_faults import check_chains
from wsis_steps.plan.steps import STEPS
from wsis_steps.plan.systems import CHAINS, Semantic, System

# Steps whose results are shared by all runs, or must be comparable between them.
SHARED_STEPS = ("data_draw", "data_import_dataset", "data_download", "proposals_", "evaluation_", "report_")


class Run(Settings):
    """A system with its overrides: one row of the table, one folder under results/<dataset>/."""

    system: System
    """Chain of steps to run."""
    rounds: Count = 1
    """How often the system trains, each time on the labels that the last round refined; for systems with rounds. 0,
    for systems that allow it, leaves out the network: Mask R-CNN learns from the first labels."""
    semantic: Semantic = "activation_crf"
    """Source of the semantic maps, for systems that read them."""
    class_maps: Literal["activation", "learned"] = "activation"
    """Class maps that regions are pooled from and compared with, if the semantic maps or the first labels are made of
    regions. activation: the classifier's activation maps; learned: class probabilities of each pixel, learned from them
    on frozen features (`classifier_learn_pixels`)."""
    supervision: Literal["tags", "points", "boxes"] = "tags"
    """Annotations of the training images that the system may use; not every system can use points or boxes."""
    maskrcnn: bool | None = None
    """Train a Mask R-CNN on the last labels; otherwise the result is the system's own predictions. Default: as in the
    system's paper."""
    takes: dict[Literal["semantic", "pretrained"], str] = {}
    """Results to take from another run instead of computing them: `semantic`, its semantic maps of the training images;
    `pretrained`, the classifier that trainings start from. For instance, an ablation of the classifier can keep both
    unchanged. With several seeds, each run takes from the run with the same seed."""
    corrections: dict[Count, Path] = {}
    """Files of manually corrected labels (made with `wsis export` and an annotation tool), by the round they correct.
    They replace that round's labels in training."""
    seed: Count | None = None
    """Seed of every training step of the run; by default that of the configuration."""
    against: str | None = None
    """Run to compare this one with, seed by seed; `summary.md` shows the paired differences."""
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
            raise ValueError(f"{self.system} learns from ground-truth masks; remove supervision")
        if usable and self.supervision not in usable:
            others = [other.system for other in CHAINS.values() if self.supervision in other.supervision]
            raise ValueError(
                f"{self.system} learns from {' or '.join(usable)}, not from {self.supervision}; "
                f"{' and '.join(others)} can"
            )
        if chain.maskrcnn is None and self.maskrcnn is not None:
            raise ValueError(f"{self.system} ends in {chain.ends_in}; remove maskrcnn")
        if "semantic" in self.takes and "semantic" in self.model_fields_set:
            raise ValueError(f"it takes the semantic maps of run {self.takes['semantic']}; remove semantic")
        if (self.rounds > 1 and not chain.rounds) or self.rounds < chain.fewest_rounds:
            fewest = "at least one round" if chain.rounds else "one round"
            raise ValueError(f"{self.system} has {fewest}, not {self.rounds}")
        if not self.rounds and not self.retrains:
            raise ValueError("rounds: 0 leaves only a Mask R-CNN on the first labels; remove maskrcnn: false")
        return self


class Configuration(Settings):
    """The whole of config.yaml."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    """Name of the data set: its folder under results/."""
    seeds: Annotated[tuple[Count, ...], Field(min_length=1)] = (0,)
    """With more than one seed, every run is repeated as <run>_seed<k>."""
    shards: Positive = 1
    """Number of jobs that divide the images of proposals, activation maps, CRFs and inference, for clusters. The
    results are byte-identical for any number."""
    gpus_per_job: Count = 1
    """Largest number of GPUs that one training or inference may use. A training uses as many as divide its batches
    evenly; inference divides its images among them. 0 requests no GPU, for clusters without any."""
    verdict: Literal["stop", "warn"] = "stop"
    """What to do if more than half of the tagged images have no label. stop: train nothing on the labels, but keep them
    for inspection; warn: train anyway. Changing this does not rerun finished jobs."""
    runs: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], Run]
    """Runs by name. A run set to null is left out, so a second --configfile can drop runs of the first."""
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
            raise ValueError("seeds: a seed is listed twice; list each once")
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
                    raise ValueError(f"{where}.{step} applies to all runs; set it under the top-level 'steps'")
                if "supervision" in (values or {}):
                    raise ValueError(f"{where}.{step}: supervision belongs to the run; set it beside its system")
                merged = {**(self.steps.get(step) or {}), **(values or {})}
                try:
                    STEPS[step].model_validate(merged)
                except ValidationError as error:
                    raise ValueError(explain(error, STEPS[step], f"{where}.{step}")) from error
        return self

    def _check_pair(self, name: str, run: Run) -> None:
        """ValueError if `against` names the run itself, no run, or a run with another seed."""
        if run.against is None:
            return
        where = f"runs.{name}.against"
        if run.against == name:
            raise ValueError(f"{where}: a run cannot be compared with itself")
        if run.against not in self.runs:
            raise ValueError(f"{where}: there is no run '{run.against}', {nearest(run.against, self.runs)}")
        own, other = (self.seeds[0] if one.seed is None else one.seed for one in (run, self.runs[run.against]))
        if own != other:
            raise ValueError(f"{where}: {name} has seed {own}, but {run.against} has seed {other}; they must be equal")

    def _check_taken(self, name: str, behind: tuple[str, ...] = ()) -> None:
        """ValueError if a run takes a result from a run that does not exist, or in a circle from itself."""
        if name in behind:
            raise ValueError(f"runs: {' takes from '.join([*behind[behind.index(name) :], name])}, which is a circle")
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
