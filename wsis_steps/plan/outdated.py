"""Which results the current configuration would not make. Imports no torch."""

from pathlib import Path

from wsis_steps.engine.remedies import Made
from wsis_steps.plan.graph import Node, Product
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.systems import STAGES

IMAGES = "shared/data/images.h5"


class Origins:
    """What computes the results of the runs, and from what. Paths are relative to the working directory."""

    def __init__(self, runs: Runs) -> None:
        self.runs, self.folder = runs, Path(runs.folder)
        self.makers: dict[Path, tuple[str, Node]] = {}  # file -> run and node
        for run, graph in runs.graphs.items():
            for node in graph.nodes:
                for role in graph.stage(node.step).writes:
                    self.makers.setdefault(self.folder / runs.path(run, Product(node, role)), (run, node))
        for step in (stage.step for stage in STAGES.values() if stage.audits):
            for _, path in runs.audits():
                self.makers.setdefault(self.folder / path, (path.partition("/")[0], Node(step)))

    def is_outdated(self, path: Path, made: Made) -> bool:
        """Whether a result was made by other steps, with other settings, or before one of its inputs changed.

        made: the steps that made it, with their settings, as recorded in the file. Raises KeyError if no run makes the
        result, OSError if it does not exist.
        """
        behind = self._behind(*self.makers[path])
        if not all(self._has_settings(step, settings, behind) for step, settings in made):
            return True
        inputs = {IMAGES, *(self.runs.path(run, source) for run, node in behind for source in self._reads(run, node))}
        files = (self.folder / name for name in inputs)
        return any(file.exists() and file.stat().st_mtime > path.stat().st_mtime for file in files)

    def _has_settings(self, step: str, settings: dict, behind: set[tuple[str, Node]]) -> bool:
        """Whether a step behind a result has these settings; recorded settings that its model lacks are ignored."""
        today = (self.runs.values(run, step).model_dump(mode="json") for run, node in behind if node.step == step)
        return any({name: settings.get(name) for name in values} == values for values in today)

    def _reads(self, run: str, node: Node) -> list[Product | str]:
        return list(self.runs.graphs[run].reads(node).values())

    def _behind(self, run: str, node: Node) -> set[tuple[str, Node]]:
        """A node and everything it depends on, each with its run."""
        found: set[tuple[str, Node]] = set()
        waiting = [(run, node)]
        while waiting:
            own, at = place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting += [(s.run or own, s.node) for s in self._reads(own, at) if isinstance(s, Product)]
        return found
