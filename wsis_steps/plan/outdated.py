"""Which results are not what the configuration of today would make; imports no torch."""

from pathlib import Path

from wsis_steps.engine.remedies import Made
from wsis_steps.plan.graph import Node, Product
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.systems import STAGES

IMAGES = "shared/data/images.h5"


class Origins:
    """What computes the results of some runs, and from what. Paths are those of files, below the working directory."""

    def __init__(self, runs: Runs) -> None:
        self.runs, self.folder = runs, Path("results", runs.configuration.dataset)
        self.makers: dict[Path, tuple[str, Node]] = {}  # run and node by file
        for run, graph in runs.graphs.items():
            for node in graph.nodes:
                for role in graph.stage(node.step).writes:
                    self.makers.setdefault(self.folder / runs.path(run, Product(node, role)), (run, node))
        for step in (stage.step for stage in STAGES.values() if stage.audits):
            for _, path in runs.audits():
                self.makers.setdefault(self.folder / path, (path.partition("/")[0], Node(step)))

    def is_outdated(self, path: Path, made: Made) -> bool:
        """Whether a result was made with other settings than those of today, by other steps, or of something that is
        newer. made: the steps that made it with their settings, as they are recorded in it.

        KeyError where no run makes it, OSError where it is not there.
        """
        behind = self._behind(*self.makers[path])
        if not all(self._has_settings(step, settings, behind) for step, settings in made):
            return True
        inputs = {IMAGES, *(self.runs.path(run, source) for run, node in behind for source in self._reads(run, node))}
        files = (self.folder / name for name in inputs)
        return any(file.exists() and file.stat().st_mtime > path.stat().st_mtime for file in files)

    def _has_settings(self, step: str, settings: dict, behind: set[tuple[str, Node]]) -> bool:
        """Whether a step that is behind a result has these settings; those that it adds to its own count nothing."""
        today = (self.runs.values(run, step).model_dump(mode="json") for run, node in behind if node.step == step)
        return any({name: settings.get(name) for name in values} == values for values in today)

    def _reads(self, run: str, node: Node) -> list[Product | str]:
        return list(self.runs.graphs[run].reads(node).values())

    def _behind(self, run: str, node: Node) -> set[tuple[str, Node]]:
        """A node with all that it stands on, each with its run."""
        found: set[tuple[str, Node]] = set()
        waiting = [(run, node)]
        while waiting:
            own, at = place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting += [(s.run or own, s.node) for s in self._reads(own, at) if isinstance(s, Product)]
        return found
