"""Which steps a run needs, with which settings, and in which run's folder each result lies. Imports no torch.

Stages that two runs configure identically, from the first step on, are computed once, in the first run's folder.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from typing import get_args

from wsis_steps.engine.settings import Settings, canonical
from wsis_steps.plan.config import Configuration, Run
from wsis_steps.plan.graph import CORRECTIONS, Graph, Node, Product, Source
from wsis_steps.plan.steps import STEPS
from wsis_steps.plan.systems import CHAINS, STAGES, stage_of


class Runs:
    """The runs of a configuration as the rules see them. Paths are relative to `folder`, results/<dataset>.

    prefix: what comes before it, if another workflow uses this one as a module with a `prefix:`.
    """

    def __init__(self, configuration: Configuration, prefix: str = "") -> None:
        self.configuration = configuration
        self.folder = f"{prefix}results/{configuration.dataset}"
        self.runs: dict[str, Run] = configuration.runs
        self.values = cache(self._values)
        self.settings = cache(self._settings)
        self.identity = cache(self._identity)
        self.owner = cache(self._owner)
        self.graph = cache(self._graph)
        self.graphs = {name: self.graph(name) for name in self.runs}

    def _graph(self, name: str) -> Graph:
        return Graph(name, self.runs[name], lambda step: self.values(name, step), self.graph)

    def steps(self, run: str) -> frozenset[str]:
        """All steps that a run needs for its result."""
        return self.graphs[run].steps

    def _values(self, run: str, step: str) -> Settings:
        """The settings model of a step in a run; run `shared` is for steps that all runs share."""
        merged = dict(self.configuration.steps.get(step) or {})
        if run in self.runs:
            chosen, fields = self.runs[run], STEPS[step].model_fields
            merged.update(chosen.steps.get(step) or {})
            seen = "masks" if CHAINS[chosen.system].files else chosen.supervision
            if "seed" in fields:
                merged.setdefault("seed", chosen.seed)
            # a step that cannot use it keeps its default, such as the semantic network with points
            if "supervision" in fields and seen in get_args(fields["supervision"].annotation):
                merged.setdefault("supervision", seen)
            stage = stage_of(step)
            if stage and stage.settings_of:
                other, keys = stage.settings_of
                merged = {**{key: getattr(self.values(run, other), key) for key in keys}, **merged}
        return STEPS[step].model_validate(merged)

    def _settings(self, run: str, step: str) -> str:
        return canonical(self.values(run, step).model_dump(mode="json"))

    def gpus(self, run: str, step: str) -> int:
        """Number of GPUs that a job of a step requests: `gpus_per_job`; for a training, the largest number up to it
        that divides its batch evenly; 0 if an input makes a GPU unnecessary."""
        graph = self.graphs.get(run)
        reads = graph.stage(step).reads if graph else ()
        if any(read.spares_gpu and graph.find(read, graph.node(step)) for read in reads):
            return 0
        values, wanted = self.values(run, step), self.configuration.gpus_per_job
        if not values.shares_batches:
            return wanted
        part = values.batch_size // getattr(values, "accumulation", 1)
        return max((number for number in range(1, wanted + 1) if part % number == 0), default=0)

    def _identity(self, run: str, node: Node) -> str:
        """Equal if two runs compute the same: a digest of the settings of a node and of everything it depends on."""
        graph, parts = self.graphs[run], [node.step, self.settings(run, node.step)]
        if node.step == CORRECTIONS:
            parts.append(str(self.runs[run].corrections[node.round]))
        for name, source in graph.reads(node).items():
            made = (
                source if isinstance(source, str) else f"{self.identity(source.run or run, source.node)} {source.role}"
            )
            parts.append(f"{name} {made}")
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()

    def _owner(self, run: str, step: str, number: int | None = None) -> str:
        """The first run that computes the same as a step of `run`; `number` is the round, if it runs in several."""
        if run not in self.runs:
            return run
        node = self.graphs[run].node(step, number)
        same = self.identity(run, node)
        return next(
            name
            for name, graph in self.graphs.items()
            for other in graph.nodes
            if other.step == step and self.identity(name, other) == same
        )

    def path(self, run: str, source: Source) -> str:
        """Path of something that a run reads or makes."""
        if isinstance(source, str):
            return source
        run = source.run or run
        return f"{self.owner(run, *source.node)}/{self.graphs[run].path(source)}"

    def reads(self, run: str, step: str, name: str, number: int | None = None) -> str | None:
        """Path of one input of a step; None if the run has no such input."""
        graph = self.graphs[run]
        source = graph.reads(graph.node(step, number)).get(name)
        return None if source is None else self.path(run, source)

    def located(self, run: str, path: str) -> str:
        """Where a file of a run really lies: possibly in the folder of another run that computes the same."""
        found = (product for product in self._products(run) if self.graphs[run].path(product) == path)
        product = next(found, None)
        return self.path(run, product) if product else f"{run}/{path}"

    def _products(self, run: str) -> Iterator[Product]:
        graph = self.graphs[run]
        return (Product(node, role) for node in graph.nodes for role in graph.stage(node.step).writes)

    def _owned(self, step: str) -> list[str]:
        """The runs whose folders contain results of a step."""
        audited = STAGES[step].audits if step in STAGES else ""
        found = set()
        for run, graph in self.graphs.items():
            for node in graph.nodes:
                if node.step == step or (audited and audited in graph.stage(node.step).writes):
                    found.add(self.owner(run, *node))
        return sorted(found)

    def owners(self, step: str) -> str:
        """A regular expression for the runs whose folders contain results of a step; matches nothing without any."""
        return "|".join(self._owned(step)) or "no_run"

    def numbers(self, step: str) -> list[str]:
        """The rounds, as two digits, in which any run computes a step; empty if its file names contain no round."""
        nodes = {node for graph in self.graphs.values() for node in graph.nodes if node.step == step}
        stage = stage_of(step)
        return sorted(f"{node.round:02d}" for node in nodes) if stage and stage.numbered else []

    def joined(self) -> str:
        """A regular expression for results joined from shards, without .h5; matches nothing with one shard."""
        if self.configuration.shards == 1:
            return "nothing"
        paths = {f"shared/{path}" for stage in STAGES.values() if stage.shared and stage.divides
                 for path in stage.writes.values()}  # fmt: skip
        for run in self.runs:
            divided = (p for p in self._products(run) if self.graphs[run].stage(p.node.step).divides)
            paths |= {self.path(run, product) for product in divided}
        return "|".join(re.escape(path.removesuffix(".h5")) for path in sorted(paths))

    def audits(self) -> list[tuple[str, str]]:
        """Rows (run, path) of the tag audits, one for each run whose tags are audited."""
        if self.values("shared", "data_import_dataset").format == "shapes":  # generated images have correct tags
            return []
        rows = []
        for stage in (stage for stage in STAGES.values() if stage.audits):
            for run, graph in self.graphs.items():
                looked_at = (node for node in graph.nodes if stage.audits in graph.stage(node.step).writes)
                rows += [(run, f"{self.owner(run, *node)}/{stage.writes['scores']}") for node in looked_at]
        return rows
