"""Predicts what the trainings and inferences of a configuration take, from counts on fake tensors (`passes.py`)."""

import importlib.util
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from wsis_steps.plan.graph import Node, Product
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.steps import folders
from wsis_steps.vision.passes import MODEL, Pictures, Sketch, Taken, count

# What to lower if a step does not fit, in this order.
LOWER = ("batch_size", "max_proposals", "roi_chunk", "long_side", "short_sides", "size", "min_size")


@dataclass(frozen=True)
class Forecast:
    """What a job takes. times: iterations of a training, otherwise images. flops, memory (bytes): of an iteration or an
    image; None if the step is not counted. settings: that would lower the memory. before: the jobs it waits for.
    """

    run: str
    step: str
    round: int | None
    trains: bool
    times: int
    taken: Taken | None
    memory: int
    settings: tuple[str, ...]
    before: tuple["Forecast", ...] = ()

    @property
    def name(self) -> str:
        """<run>/<step>, with the round if it has one."""
        return f"{self.run}/{self.step}" + ("" if self.round is None else f"_round{self.round:02d}")

    @property
    def flops(self) -> float:
        """Of the whole job; 0 if it is not counted."""
        return self.taken.flops * self.times if self.taken else 0.0


def sketches() -> dict[str, Sketch]:
    """The sketches of all folders by step."""
    found: dict[str, Sketch] = {}
    for folder in folders():
        name = f"wsis_steps.{folder}.passes"
        if importlib.util.find_spec(name):
            found |= pkgutil.resolve_name(name).PASSES
    return found


def iterations(settings: Any, images: int) -> int:
    """How long a training on so many images is."""
    if hasattr(settings, "iterations"):
        return settings.iterations
    return max(settings.epochs * images // settings.batch_size, 1)


class Counts:
    """The counts of steps; what two runs configure alike is counted once."""

    def __init__(self, runs: Runs, pictures: Pictures) -> None:
        self.runs, self.pictures, self.sketches = runs, pictures, sketches()
        self.known: dict[str, list[tuple[dict[str, str], Taken | None]]] = {}

    def find(self, run: str, node: Node) -> Taken | None:
        """What a pass of a node takes; None if that is not known."""
        if node.step not in self.sketches:
            return None
        asked: dict[str, str] = {}

        def settings_of(name: str) -> tuple[str, str]:
            if name != MODEL:
                return run, name
            model = self.runs.graphs[run].reads(node)["model"]
            return model.run or run, model.node.step

        def values(name: str) -> Any:
            asked[name] = self.runs.settings(*settings_of(name))
            return self.runs.values(*settings_of(name))

        known = self.known.setdefault(node.step, [])
        for before, taken in known:
            if all(self.runs.settings(*settings_of(name)) == text for name, text in before.items()):
                return taken
        taken = count(self.sketches[node.step], values, self.pictures)
        known.append((asked, taken))
        return taken


def forecast(runs: Runs, images: dict[str, int], pictures: Pictures) -> list[Forecast]:
    """Every job of the runs that is not shared, in an order in which they can run. images: their number in each split,
    train and val."""
    counts = Counts(runs, pictures)
    made: dict[tuple[str, Node], Forecast] = {}
    for run, node in _nodes(runs):
        settings, trains = runs.values(run, node.step), runs.values(run, node.step).shares_batches
        reads = runs.graphs[run].reads(node).values()
        products = [source for source in reads if isinstance(source, Product)]
        taken = counts.find(run, node)
        made[run, node] = Forecast(
            run,
            node.step,
            node.round,
            trains,
            iterations(settings, images["train"]) if trains else sum(map(images.get, splits_of(runs, run, node))),
            taken,
            taken.memory(settings.optimizer if trains else None) if taken else 0,
            tuple(name for name in LOWER if hasattr(settings, name)),
            tuple(made[_maker(runs, product.run or run, product.node)] for product in products),
        )
    return list(made.values())


def _nodes(runs: Runs) -> Iterator[tuple[str, Node]]:
    """What is computed, each after what it reads: the runs' own nodes, after those of the runs they take from."""
    seen: set[tuple[str, Node]] = set()

    def reach(run: str, node: Node) -> Iterator[tuple[str, Node]]:
        run, node = _maker(runs, run, node)
        if (run, node) in seen:
            return
        seen.add((run, node))
        for source in runs.graphs[run].reads(node).values():
            if isinstance(source, Product):
                yield from reach(source.run or run, source.node)
        yield run, node

    for run, graph in runs.graphs.items():
        for node in graph.nodes:
            yield from reach(run, node)


def _maker(runs: Runs, run: str, node: Node) -> tuple[str, Node]:
    """The run that computes a node, and its node there."""
    owner = runs.owner(run, *node)
    if owner == run:
        return run, node
    same = runs.identity(run, node)
    found = (other for other in runs.graphs[owner].nodes if other.step == node.step)
    return owner, next(other for other in found if runs.identity(owner, other) == same)


def splits_of(runs: Runs, run: str, node: Node) -> set[str]:
    """The splits whose images an inference goes through: those of its files that are read or shown."""
    graph, settings = runs.graphs[run], runs.values(run, node.step)
    stage, read = graph.stage(node.step), set()
    for other in graph.nodes:
        read |= {source.role for source in graph.reads(other).values() if isinstance(source, Product)}
    shown = {
        show.scored
        for show in stage.shows
        if show.scored and (show.role in read or show.when(graph.run, settings))
    }  # fmt: skip
    return shown or {"train"}


def longest(jobs: list[Forecast], hours: Callable[[Forecast], float]) -> tuple[float, list[Forecast]]:
    """The chain of jobs that takes longest, each waiting for the one before it, and its hours."""
    ends: dict[int, tuple[float, Forecast | None]] = {}
    for job in jobs:
        start, last = max(
            ((ends[id(other)][0], other) for other in job.before), key=lambda one: one[0], default=(0, None)
        )
        ends[id(job)] = start + hours(job), last
    if not jobs:
        return 0.0, []
    job, chain = max(jobs, key=lambda one: ends[id(one)][0]), []
    whole = ends[id(job)][0]
    while job is not None:
        chain.insert(0, job)
        job = ends[id(job)][1]
    return whole, chain
