"""The stages of one run, round by round, and what each of them reads. Imports no torch."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from wsis_steps.engine.chain import Read, Stage
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.settings import Settings
from wsis_steps.plan.config import Run
from wsis_steps.plan.systems import CHAINS, STAGES, stage_of

RETRAINED = "maskrcnn_infer"  # ends a run that trains a Mask R-CNN on its last labels
CORRECTIONS, LABELS = "data_import_corrections", "labels"


class Node(NamedTuple):
    """A step of a run, with its round if it runs in several."""

    step: str
    round: int | None = None


class Product(NamedTuple):
    """A file that a node writes; `run` is set if the node belongs to another run."""

    node: Node
    role: str
    run: str | None = None


Source = Product | str  # what a node reads; a str is a path below results/<dataset>/ that is the same for all runs


class Graph:
    """What a run computes. `values` returns the settings of a step in this run, `others` the graph of another run that
    this one takes results from."""

    def __init__(
        self,
        name: str,
        run: Run,
        values: Callable[[str], Settings],
        others: Callable[[str], "Graph"] | None = None,
    ) -> None:
        self.name, self.run, self.values, self.others = name, run, values, others
        self.chain = CHAINS[run.system]
        self.own = {stage.step: stage for stage in self.chain.stages}
        self.rounds = cache(self._rounds)
        self.reads = cache(self._reads)
        self.nodes = self._reach()
        self.steps = frozenset(node.step for node in self.nodes)

    def stage(self, step: str) -> Stage:
        """The stage of a step: this system's own, or the shared one."""
        return self.own.get(step) or stage_of(step)

    @property
    def end(self) -> str:
        """The step that the run ends in."""
        return RETRAINED if self.run.retrains else self.chain.ends

    @property
    def predicts(self) -> bool:
        """Whether `wsis predict` takes the run's model."""
        return self.stage(self.end).predicts

    def _rounds(self, step: str) -> tuple[int | None, ...]:
        """The rounds in which a step computes something."""
        rounds = self.stage(step).rounds
        return (None,) if rounds is None else tuple(rounds(self.run))

    def node(self, step: str, number: int | None = None) -> Node:
        """The node of a step, in its first round by default; InputError if it has no such round."""
        rounds = self.rounds(step)
        if number is not None and number not in rounds:
            raise InputError(f"Run {self.name} has no round {number} of {step}.")
        return Node(step, rounds[0] if number is None else number)

    def path(self, product: Product) -> str:
        """The path of a product below the folder of the run that computes it."""
        number = product.node.round
        template = self.stage(product.node.step).writes[product.role]
        return template if number is None else template.format(round=f"{number:02d}")

    def _writers(self, role: str) -> list[str]:
        """The steps that write a role in this run: those of its own chain, otherwise the shared ones."""
        own = [step for step, stage in self.own.items() if role in stage.writes]
        return own or [
            step
            for step, stage in STAGES.items()
            if role in stage.writes
            and not stage.shared
            and (stage.choice is None or getattr(self.run, stage.choice[0]) == stage.choice[1])
        ]

    def written(self, role: str, number: int | None = None) -> Product | None:
        """The product that fills a role in a round, by default the last in the chain; None if there is none."""
        nodes = [Node(step, own) for step in self._writers(role) for own in self.rounds(step)]
        if number is None:
            return Product(nodes[-1], role) if nodes else None
        return next((Product(node, role) for node in nodes if node.round in (None, number)), None)

    def find(self, read: Read, node: Node) -> Source | None:
        """The source of one input of a node; None if this run has no such input."""
        settings = self.values(read.of or node.step)
        if not read.when(self.run, settings):
            return None
        if read.option in self.run.takes:
            return self._taken(read)
        if read.role in self.chain.files:
            return f"shared/{self.chain.files[read.role]}"
        if read.shared:
            return f"shared/{read.shared(settings)}"
        number = None if read.last or node.round is None else node.round - read.back
        found = self.written(read.role, number)
        if found is None and not read.later:
            raise InputError(f"Run {self.name}: {node.step} reads {read.role}, but no step makes it.")
        corrected = found and read.role == LABELS and not read.compares and node.step != CORRECTIONS
        if corrected and found.node.round in self.run.corrections:
            return Product(Node(CORRECTIONS, found.node.round), "corrected")
        return found

    def _taken(self, read: Read) -> Product:
        """A product of another run, or of a third run that it takes it from."""
        other = self.others(self.run.takes[read.option])
        if read.option in other.run.takes:
            return other._taken(read)
        found = (node for node in other.nodes if read.role in other.stage(node.step).writes)
        node = next(found, None)
        if node is None:
            raise InputError(
                f"Run {self.name} takes {read.option} from run {other.name}, which does not make it: its steps are "
                f"{', '.join(sorted(other.steps))}."
            )
        return Product(node, read.role, other.name)

    def _reads(self, node: Node) -> dict[str, Source]:
        """The sources of a node, by input name."""
        found = ((read.option, self.find(read, node)) for read in self.stage(node.step).reads)
        return {name: source for name, source in found if source is not None}

    def _reach(self) -> tuple[Node, ...]:
        """All nodes that the run's result depends on, and its own, each after those it reads from."""
        end = self.end
        reached: dict[Node, None] = {}

        def reach(node: Node, behind: tuple[Node, ...]) -> None:
            for source in self.reads(node).values():
                if isinstance(source, Product) and source.run is None and source.node not in reached:
                    if source.node in (*behind, node):
                        raise InputError(f"Run {self.name}: {node.step} depends on its own {source.role}.")
                    reach(source.node, (*behind, node))
            reached[node] = None

        reach(Node(end, self.rounds(end)[-1]), ())
        return tuple(reached)

    def corrected_rounds(self) -> list[int]:
        """The rounds whose labels some step of the run trains on."""
        read = [
            self.reads(node).get(read.option)
            for node in self.nodes
            for read in self.stage(node.step).reads
            if node.step != CORRECTIONS and not read.compares
        ]
        labels = {s.node.round for s in read if isinstance(s, Product) and s.role in (LABELS, "corrected")}
        return sorted(labels - {None})
