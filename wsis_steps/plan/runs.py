"""Which steps a run needs, with which settings, and in whose folder each result lies; imports no torch.

What two runs configure alike, from the first step on, is computed once: in the folder of the first of them.
"""

from functools import cache
from pathlib import Path

from wsis_steps.annotation_consistency.settings import Scoring
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.settings import canonical
from wsis_steps.plan.config import Configuration, Run
from wsis_steps.plan.steps import STEPS
from wsis_steps.vision.settings import Training

SEMANTIC_STEPS = {
    "activation_crf": "postprocess_refine_with_crf",
    "learning_to_segment": "learning_to_segment_infer",
    "imported": "data_import_semantic",
}
LABEL_STEPS = {  # of a system's last labels
    "bestie": "bestie_infer",
    "community_learning": "community_learning_infer",
}
CONSISTENCY = "annotation_consistency"
# what steps make whose images several jobs may share, below the folder of a run, without its .h5
SHARED_OUTPUTS = {
    "classifier_infer": "classifier/train",
    "postprocess_refine_with_crf": "semantic/train",
    "learning_to_segment_infer": "semantic/(train|val)",
    "bestie_infer": r"(labels/round(?!00)|predictions/round)\d\d",
    "community_learning_infer": "(labels/round00|predictions/direct)",
    f"{CONSISTENCY}_sample": rf"({CONSISTENCY}/round\d\d/samples|labels/round\d\d)",
    "maskrcnn_infer": "predictions/val",
}
SEMANTIC_SYSTEMS = ("learning_to_segment", "supervised_semantic")  # those that end in semantic maps


class Runs:
    """The runs of a configuration as the rules see them."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.runs: dict[str, Run] = configuration.runs
        self.results = f"results/{configuration.dataset}"
        self.settings = cache(self._settings)
        self.steps = cache(self._steps)
        self.identity = cache(self._identity)

    def check(self) -> None:
        """InputError where there are `faults`, or the tables of a folder are wrong: were these refused by the import
        only, Snakemake would by then have deleted the last good one, and all that follows would run again."""
        if found := self.faults():
            text = "; ".join(found)
            raise InputError(f"{text[0].upper()}{text[1:]}.")
        data = self.values("shared", "data_import_dataset")
        if data.format == "folder" and data.root:
            from wsis_steps.data.folder import read_folder  # takes a moment, which only this format should cost

            read_folder(data.root, data.val_share, data.class_names)

    def faults(self) -> list[str]:
        """A clause for each run that sets a step that it does not have, or needs points, boxes or true masks that the
        data lack."""
        data = self.values("shared", "data_import_dataset")
        folder = data.root if data.format == "folder" and data.root and data.root.is_dir() else None
        points, boxes = (folder / name if folder else None for name in ("points.csv", "boxes.csv"))
        faults = []
        for name, run in self.runs.items():
            have = self.steps(name)
            faults += [f"run {name} sets {step}, but its steps are {', '.join(sorted(have))}"
                       for step in run.steps if step not in have]  # fmt: skip
            if run.supervision == "points" and "bestie_label" in have and points and not points.is_file():
                faults.append(f"run {name} is supervised by points, but {points} does not exist")
            if run.system == "community_learning" and (run.rounds > 1 or run.supervision != "tags"):
                faults.append(f"run {name}: community_learning has one round and learns from tags")
            faults += [f"run {name}: corrections of round {number}: {path} does not exist"
                       for number, path in run.corrections.items() if not path.exists()]  # fmt: skip
            if run.system == CONSISTENCY:
                faults += self._different_scores(name)
                if run.supervision == "boxes" and boxes and not boxes.is_file():
                    faults.append(f"run {name} is supervised by boxes, but {boxes} does not exist")
            if run.system.startswith("supervised") and "train" not in data.truth:
                faults.append(
                    f"run {name} learns from the true masks of the training images, but data_import_dataset.truth is "
                    f"[{', '.join(data.truth)}]; set the run to null or, where the data have masks, add train to truth"
                )
        return faults

    def _different_scores(self, name: str) -> list[str]:
        """Settings that the two steps that score labellings have to share and do not."""
        if self.runs[name].rounds == 1:
            return []
        steps = [f"{CONSISTENCY}_{step}" for step in ("sample", "train_conditional")]
        first, second = (self.values(name, step).model_dump() for step in steps)
        shared = [key for key in (*Scoring.model_fields, "proposals") if first[key] != second[key]]
        return [f"run {name}: {key} is {first[key]} in {steps[0]} and {second[key]} in {steps[1]}" for key in shared]

    def values(self, run: str, step: str):
        """The settings of a step in a run (`shared`: of all runs) as a model."""
        merged = dict(self.configuration.steps.get(step) or {})
        if run in self.runs:
            chosen = self.runs[run]
            merged.update(chosen.steps.get(step) or {})
            supervision = chosen.supervision
            if step == "learning_to_segment_train":  # points are of no use to it
                supervision = "masks" if chosen.system == "supervised_semantic" else "tags"
            for name, value in (("seed", chosen.seed), ("supervision", supervision)):
                if name in STEPS[step].model_fields:
                    merged.setdefault(name, value)
        return STEPS[step].model_validate(merged)

    def _settings(self, run: str, step: str) -> str:
        return canonical(self.values(run, step).model_dump(mode="json"))

    def gpus(self, run: str, step: str) -> int:
        """How many GPUs a job of a step asks for: `gpus_per_job`; a training the most, up to them, that share a batch
        evenly."""
        values, wanted = self.values(run, step), self.configuration.gpus_per_job
        if not isinstance(values, Training):
            return wanted
        part = values.batch_size // getattr(values, "accumulation", 1)
        return max((number for number in range(1, wanted + 1) if part % number == 0), default=0)

    def needs(self, run: str, step: str) -> tuple[str, ...]:
        """The steps whose results a step of this run reads."""
        chosen = self.runs[run]
        semantic = self.semantic_step(run)
        needed = {
            "classifier_infer": ("classifier_train",),
            "classifier_find_peaks": ("classifier_infer",),
            "postprocess_refine_with_crf": ("classifier_infer",),
            "learning_to_segment_infer": ("learning_to_segment_train",),
            "bestie_label": (semantic,) if chosen.supervision == "points" else (semantic, "classifier_find_peaks"),
            "bestie_train": ("bestie_label", semantic),
            "bestie_infer": ("bestie_train",),
            "community_learning_infer": ("community_learning_train",),
            "postprocess_replace_with_proposals": ("community_learning_infer",),
            "maskrcnn_train": () if chosen.system == "supervised" else (self.label_step(run),),
            "maskrcnn_infer": ("maskrcnn_train",),
            f"{CONSISTENCY}_sample": (f"{CONSISTENCY}_initialise",),
            f"{CONSISTENCY}_train_prediction": (f"{CONSISTENCY}_sample",),
            f"{CONSISTENCY}_train_conditional": (f"{CONSISTENCY}_train_prediction",),
        }.get(step, ())
        if step == "maskrcnn_infer" and chosen.system == CONSISTENCY:
            needed = (f"{CONSISTENCY}_train_{'conditional' if chosen.rounds > 1 else 'prediction'}",)
        if getattr(self.values(run, step), "weights", "") == "classifier":
            needed += ("classifier_train",)
        return needed

    def _steps(self, run: str) -> frozenset[str]:
        """All steps that a run needs for its result."""
        chosen = self.runs[run]
        last = "postprocess_replace_with_proposals" if chosen.system == "community_learning" else "bestie_infer"
        ends_in_maskrcnn = chosen.retrains or chosen.system in ("supervised", CONSISTENCY)
        waiting = {"maskrcnn_infer"} if ends_in_maskrcnn else {last}
        if chosen.system in SEMANTIC_SYSTEMS:
            waiting = {"learning_to_segment_infer"}
        reached: set[str] = set()
        while waiting:
            step = waiting.pop()
            reached.add(step)
            waiting |= set(self.needs(run, step)) - reached
        return frozenset(reached)

    def semantic_step(self, run: str) -> str:
        """The step that makes a run's semantic maps."""
        chosen = self.runs[run]
        return "learning_to_segment_infer" if chosen.system in SEMANTIC_SYSTEMS else SEMANTIC_STEPS[chosen.semantic]

    def proposals(self, run: str) -> list[str]:
        """Names of the proposals that a run takes, in the order of its steps."""
        found = [getattr(self.values(run, step), "proposals", None) for step in sorted(self.steps(run))]
        return list(dict.fromkeys(name for name in found if name))

    def label_step(self, run: str) -> str:
        """The step that makes a run's last labels, with its own predictions."""
        return LABEL_STEPS.get(self.runs[run].system, "bestie_infer")

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
            and self._corrections(other, step, rounds) == self._corrections(run, step, rounds)
            # from the second round on, a network trains on what this step made of the round before
            and (rounds < 2 or self.identity(other, self.loop_step(run)) == self.identity(run, self.loop_step(run)))
        )

    def _corrections(self, run: str, step: str, rounds: int) -> dict[int, str]:
        """The corrections that what `step` makes in so many rounds has learnt from."""
        end = 0 if step == "bestie_label" else rounds
        learnt = self.runs[run].corrections.items()
        return {number: str(path) for number, path in learnt if number < end or step.startswith("maskrcnn")}

    def loop_step(self, run: str) -> str:
        """The step of a run's system that leads from one round to the next."""
        return f"{CONSISTENCY}_train_conditional" if self.runs[run].system == CONSISTENCY else "bestie_infer"

    def round_file(self, run: str, number: int, name: str) -> str:
        """Path below results/<dataset>/ of what annotation_consistency makes in a round: `conditional.pt`, `samples.h5`
        or `prediction.pt`."""
        step = {"samples.h5": "sample", "prediction.pt": "train_prediction"}.get(name, "train_conditional")
        step = "initialise" if name == "conditional.pt" and number == 0 else step
        return f"{self.owner(run, f'{CONSISTENCY}_{step}', number + 1)}/{CONSISTENCY}/round{number:02d}/{name}"

    def detector(self, run: str) -> str:
        """Path below results/<dataset>/ of the Mask R-CNN whose predictions are a run's result."""
        if self.runs[run].system == CONSISTENCY:
            return self.round_file(run, self.runs[run].rounds - 1, "prediction.pt")
        return f"{self.owner(run, 'maskrcnn_train')}/maskrcnn/model.pt"

    def owners(self, step: str) -> str:
        """A pattern of the runs in whose folders a step's results lie; matches nothing where there is none."""
        found = {
            self.owner(run, step, rounds)
            for run, chosen in self.runs.items()
            if step in self.steps(run)
            for rounds in range(1, chosen.rounds + 1)
        }
        return "|".join(sorted(found)) or "no_run"

    def joined(self) -> str:
        """A pattern of the results, below results/<dataset>/, that are joined from parts; matches nothing without."""
        if self.configuration.shards == 1:
            return "nothing"
        of_runs = [f"({self.owners(step)})/{path}" for step, path in SHARED_OUTPUTS.items()]
        return "|".join(["shared/proposals/(selective_search|mcg|edges)", *of_runs])

    def labels(self, run: str, number: int) -> str:
        """Path below results/<dataset>/ of the labels of a round of this run."""
        step = "bestie_label" if number == 0 else "bestie_infer"
        return f"{self.owner(run, step, max(number, 1))}/labels/round{number:02d}.h5"

    def learnt(self, run: str, number: int) -> str:
        """Path below results/<dataset>/ of what trains in this run see of a round's labels: corrected ones, if any."""
        if number in self.runs[run].corrections:
            return f"{run}/labels/round{number:02d}_corrected.h5"
        return self.uncorrected(run, number)

    def uncorrected(self, run: str, number: int) -> str:
        """Path below results/<dataset>/ of a round's labels as the system made them."""
        if self.label_step(run) == "bestie_infer":
            return self.labels(run, number)
        return f"{self.owner(run, self.label_step(run))}/labels/round00.h5"

    def trained(self, run: str, number: int) -> str:
        """Path below results/<dataset>/ of the network whose outputs are BESTIE's labels of a round from 1 on."""
        return f"{self.owner(run, 'bestie_train', number)}/bestie/round{number - 1:02d}/model.pt"

    def last_labels(self, run: str) -> str:
        """Path below results/<dataset>/ of what a Mask R-CNN of this run trains on: labels, or the true masks."""
        if self.runs[run].system == "supervised":
            return "shared/data/instances_train.h5"
        return self.learnt(run, self.runs[run].rounds if self.label_step(run) == "bestie_infer" else 0)

    def figures(self, truth: tuple[str, ...]) -> list[tuple[str, str, str, str]]:
        """Rows of run, system, stage, evaluation file for the table; `truth`: the splits that have true masks."""
        return [row for run in self.runs for row in self._figures(run, truth)]

    def _figures(self, name: str, truth: tuple[str, ...]) -> list[tuple[str, str, str, str]]:
        run = self.runs[name]
        rows = [(name, run.system, f"proposals/{one}", f"{self.results}/shared/evaluation/proposals_{one}.json")
                for one in self.proposals(name) if truth]  # fmt: skip

        def scored(stage: str, split: str, step: str, path: str, rounds: int = 0) -> None:
            if split in truth and step in self.steps(name):
                folder = f"{self.results}/{self.owner(name, step, rounds)}/evaluation"
                rows.append((name, run.system, stage, f"{folder}/{path}.json"))

        if run.system in SEMANTIC_SYSTEMS:
            scored("semantic", "val", "learning_to_segment_infer", "semantic_val")
        if run.system != "supervised_semantic":
            scored("semantic", "train", self.semantic_step(name), "semantic_train")
        scored("labels/round00", "train", "bestie_label", "labels_round00")
        for number in range(1, run.rounds + 1):
            scored(f"labels/round{number:02d}", "train", "bestie_infer", f"labels_round{number:02d}", number)
        for number in range(run.rounds):
            step = f"{CONSISTENCY}_sample"
            scored(f"labels/round{number:02d}", "train", step, f"labels_round{number:02d}", number + 1)
        for number in run.corrections if "train" in truth else ():
            path = f"{self.results}/{name}/evaluation/labels_round{number:02d}_corrected.json"
            rows.append((name, run.system, f"labels/round{number:02d}_corrected", path))
        scored("predictions_direct", "val", "bestie_infer", f"predictions_round{run.rounds:02d}", run.rounds)
        scored("labels/round00", "train", "community_learning_infer", "labels_round00")
        own = "predictions_direct" if run.retrains else "predictions"
        scored(own, "val", "community_learning_infer", "predictions_direct")
        scored("predictions_mcg", "val", "postprocess_replace_with_proposals", "predictions_direct_mcg")
        scored("predictions", "val", "maskrcnn_infer", "predictions_val")
        return rows

    def shown(self) -> list[tuple[str, str, str]]:
        """Rows of run, stage, file of all that the report shows, those of a run in the order in which it makes them."""
        return [row for run in self.runs for row in self._shown(run)]

    def _shown(self, name: str) -> list[tuple[str, str, str]]:
        run, rows = self.runs[name], []

        def made(stage: str, step: str, path: str, rounds: int = 0) -> None:
            if step in self.steps(name):
                rows.append((name, stage, f"{self.results}/{self.owner(name, step, rounds)}/{path}"))

        made("classifier", "classifier_train", "classifier/metrics.jsonl")
        made("activation maps", "classifier_infer", "classifier/train.h5")
        made("cues", "classifier_find_peaks", "classifier/peaks.h5")
        if run.supervision == "points" and "bestie_label" in self.steps(name):
            rows.append((name, "points", f"{self.results}/shared/data/images.h5"))
        made("learning_to_segment", "learning_to_segment_train", "learning_to_segment/metrics.jsonl")
        made("semantic", self.semantic_step(name), "semantic/train.h5")
        if run.system in SEMANTIC_SYSTEMS:
            made("semantic", "learning_to_segment_infer", "semantic/val.h5")
        made("labels/round00", "bestie_label", "labels/round00.h5")
        for number in range(1, run.rounds + 1):
            trained = f"bestie/round{number - 1:02d}"
            made(trained, "bestie_train", f"{trained}/metrics.jsonl", number)
            made(f"labels/round{number:02d}", "bestie_infer", f"labels/round{number:02d}.h5", number)
        for number in range(run.rounds):
            folder = f"{CONSISTENCY}/round{number:02d}"
            trained = "train_conditional" if number else "initialise"
            made(f"{folder} conditional", f"{CONSISTENCY}_{trained}", f"{folder}/conditional.jsonl", number + 1)
            made(f"labels/round{number:02d}", f"{CONSISTENCY}_sample", f"labels/round{number:02d}.h5", number + 1)
            step = f"{CONSISTENCY}_train_prediction"
            made(f"{folder} prediction", step, f"{folder}/prediction.jsonl", number + 1)
        made("predictions_direct", "bestie_infer", f"predictions/round{run.rounds:02d}.h5", run.rounds)
        made("community_learning", "community_learning_train", "community_learning/metrics.jsonl")
        made("labels/round00", "community_learning_infer", "labels/round00.h5")
        own = "predictions_direct" if run.retrains else "predictions"
        made(own, "community_learning_infer", "predictions/direct.h5")
        made("predictions_mcg", "postprocess_replace_with_proposals", "predictions/direct_mcg.h5")
        for number in run.corrections:
            stage = f"labels/round{number:02d}_corrected"
            rows.append((name, stage, f"{self.results}/{name}/{stage}.h5"))
        made("maskrcnn", "maskrcnn_train", "maskrcnn/metrics.jsonl")
        made("predictions", "maskrcnn_infer", "predictions/val.h5")
        return rows

    def source(self) -> list[str]:
        """What the import reads that Snakemake can watch: the drawn tree, or the lists that name the images."""
        chosen = self.values("shared", "data_import_dataset")
        if chosen.format == "shapes":
            return [f"{self.results}/shared/source"]
        root = chosen.root or Path()
        lists = [root / f"ImageSets/Segmentation/{name}.txt" for name in (chosen.train_list, chosen.val_list)]
        lists += [Path(chosen.train_list), Path(chosen.val_list), *filter(None, (chosen.class_map, chosen.annotations))]
        lists += [root / name for name in ("tags.csv", "points.csv", "boxes.csv")]
        lists += root.glob("annotations/instances_*.json")
        return [str(path) for path in lists if path.is_file()]

    def labelme_files(self) -> list[str]:
        """LabelMe's files beside the pictures, where they are what is imported."""
        data = self.values("shared", "data_import_dataset")
        beside = data.format == "drawn" and data.root and not data.annotations
        return sorted(map(str, data.root.rglob("*.json"))) if beside else []

    def audits(self) -> list[str]:
        """The pages of the tag audit, one a classifier."""
        owners = {self.owner(run, "classifier_train") for run in self.runs if "classifier_train" in self.steps(run)}
        return [f"{self.results}/{run}/classifier/tag_audit.html" for run in sorted(owners)]

    def trainings(self) -> list[tuple[str, str, str, str]]:
        """Rows of run, stage, step and settings (those that differ from the defaults, as JSON) of every training step;
        one that runs share is with the first."""
        rows = []
        for run in self.runs:
            own = (step for step in self.steps(run) if hasattr(self.values(run, step), "learning_rate"))
            steps = sorted(step for step in own if self.owner(run, step) == run)
            for step in steps:
                changed = self.values(run, step).model_dump(mode="json", exclude_defaults=True)
                rows.append((run, step.removesuffix("_train"), step, canonical(changed)))
        return rows
