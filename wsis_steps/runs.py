"""Which steps a run needs, with which settings, and in whose folder each result lies; imports no torch.

What two runs configure alike, from the first step on, is computed once: in the folder of the first of them.
"""

from functools import cache

from wsis_steps.config import Configuration, Run, canonical
from wsis_steps.settings import STEPS

SEMANTIC_STEPS = {"activation_crf": "postprocess_refine_with_crf", "imported": "data_import_semantic"}


class Runs:
    """The runs of a configuration as the rules see them."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.runs: dict[str, Run] = configuration.runs
        self.settings = cache(self._settings)
        self.steps = cache(self._steps)
        self.identity = cache(self._identity)

    def values(self, run: str, step: str):
        """The settings of a step in a run (`shared`: of all runs) as a model."""
        merged = dict(self.configuration.steps.get(step) or {})
        if run in self.runs:
            chosen = self.runs[run]
            merged.update(chosen.steps.get(step) or {})
            for name, value in (("seed", chosen.seed), ("supervision", chosen.supervision)):
                if name in STEPS[step].model_fields:
                    merged.setdefault(name, value)
        return STEPS[step].model_validate(merged)

    def _settings(self, run: str, step: str) -> str:
        return canonical(self.values(run, step).model_dump(mode="json"))

    def needs(self, run: str, step: str) -> tuple[str, ...]:
        """The steps whose results a step of this run reads."""
        chosen = self.runs[run]
        semantic = SEMANTIC_STEPS[chosen.semantic]
        needed = {
            "classifier_infer": ("classifier_train",),
            "classifier_find_peaks": ("classifier_infer",),
            "postprocess_refine_with_crf": ("classifier_infer",),
            "bestie_label": (semantic,) if chosen.supervision == "points" else (semantic, "classifier_find_peaks"),
            "bestie_train": ("bestie_label", semantic),
            "bestie_infer": ("bestie_train",),
            "maskrcnn_train": () if chosen.system == "supervised" else ("bestie_infer",),
            "maskrcnn_infer": ("maskrcnn_train",),
        }.get(step, ())
        if getattr(self.values(run, step), "weights", "") == "classifier":
            needed += ("classifier_train",)
        return needed

    def _steps(self, run: str) -> frozenset[str]:
        """All steps that a run needs for its result."""
        chosen = self.runs[run]
        waiting = {"maskrcnn_infer"} if chosen.maskrcnn or chosen.system == "supervised" else {"bestie_infer"}
        reached: set[str] = set()
        while waiting:
            step = waiting.pop()
            reached.add(step)
            waiting |= set(self.needs(run, step)) - reached
        return frozenset(reached)

    def _identity(self, run: str, step: str) -> tuple:
        """Equal where a step computes the same: its settings and those of all it stands on."""
        above = tuple(self.identity(run, needed) for needed in self.needs(run, step))
        last = self.runs[run].rounds if step.startswith("maskrcnn") else 0
        return step, self.settings(run, step), last, above

    def owner(self, run: str, step: str, rounds: int = 0) -> str:
        """The first run that computes what `step` of `run` computes, in at least that many rounds."""
        if run not in self.runs:
            return run
        return next(
            other
            for other, chosen in self.runs.items()
            if step in self.steps(other)
            and chosen.rounds >= rounds
            and self.identity(other, step) == self.identity(run, step)
            # from the second round on, a network trains on what bestie_infer made of the round before
            and (rounds < 2 or self.identity(other, "bestie_infer") == self.identity(run, "bestie_infer"))
        )

    def owners(self, step: str) -> str:
        """A pattern of the runs in whose folders a step's results lie; matches nothing where there is none."""
        found = {
            self.owner(run, step, rounds)
            for run, chosen in self.runs.items()
            if step in self.steps(run)
            for rounds in range(1, chosen.rounds + 1)
        }
        return "|".join(sorted(found)) or "no_run"

    def labels(self, run: str, number: int) -> str:
        """Path below results/<dataset>/ of the labels of a round of this run."""
        step = "bestie_label" if number == 0 else "bestie_infer"
        return f"{self.owner(run, step, max(number, 1))}/labels/round{number:02d}.h5"
