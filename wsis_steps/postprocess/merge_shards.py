"""Joins what jobs made that shared the images of a step into one file: the one that a single job would have written.

in   shards  maps, instances, label sets or proposals of neighbouring ranges of images, in order
out  merged  those of all of them
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import h5py

from wsis_steps.core.artifact import Artifact, create
from wsis_steps.core.errors import InputError
from wsis_steps.core.label_sets import LabelSets, write_label_sets
from wsis_steps.core.proposals import PARTS, Proposals, ProposalsWriter
from wsis_steps.core.step import Job, Step
from wsis_steps.core.store import Instances, Maps, MapsWriter, write_instances
from wsis_steps.settings.postprocess import PostprocessMergeShards

STEP = Step("postprocess_merge_shards", PostprocessMergeShards, ("shards",), ("merged",), several=("shards",))
CONTRACTS: dict[str, type[Artifact]] = {kind.schema: kind for kind in (Maps, Instances, LabelSets, Proposals)}


def open_shards(paths: Sequence[Path]) -> list[Artifact]:
    """The files of the shards.

    Raises:
        InputError: they are of other contracts, of different jobs, or of the same job with other settings or inputs.
    """
    try:
        with h5py.File(paths[0]) as file:
            schema = file.attrs.get("schema")
    except OSError as error:
        raise InputError(f"{paths[0]} is truncated or no HDF5 file; delete it and run again.") from error
    if schema not in CONTRACTS:
        raise InputError(f"{paths[0]} holds '{schema}'; what can be joined is {', '.join(sorted(CONTRACTS))}.")
    first, *others = shards = [CONTRACTS[schema](path) for path in paths]
    for shard in others:
        # a commit between two jobs says nothing about their code, whose fingerprint is compared
        same = replace(shard.provenance, commit=first.provenance.commit) == first.provenance
        if not same or shard.attributes.get("kind") != first.attributes.get("kind"):
            raise InputError(f"{shard.path} and {first.path} were made differently; delete both and run again.")
    return shards


def places(shards: Sequence[Artifact]) -> list[tuple[Artifact, int]]:
    """Each image as a shard and its number there."""
    return [(shard, i) for shard in shards for i in range(len(shard))]


def merge_maps(job: Job, shards: Sequence[Maps]) -> None:
    """Writes the maps of one image after another."""
    stored = shards[0].dataset("maps")
    with create(job.outputs["merged"], Maps.schema, shards[0].provenance) as file:
        writer = MapsWriter(file, stored.shape[1:], stored.dtype)
        for shard, i in job.progress(places(shards)):
            writer.add(shard.ids[i], int(shard.heights[i]), int(shard.widths[i]), *shard.read(i))
        writer.close()


def merge_proposals(job: Job, shards: Sequence[Proposals]) -> None:
    """Writes the encoded proposals of one image after another."""
    with create(job.outputs["merged"], Proposals.schema, shards[0].provenance) as file:
        writer = ProposalsWriter(file, shards[0].kind)
        for shard, i in job.progress(places(shards)):
            rows = shard.rows(i)
            columns = {name: shard.dataset(f"proposal/{name}")[rows] for name in writer.columns}
            parts = {name: shard.part(name, i) for name in PARTS[shard.kind]}
            writer.add(shard.ids[i], int(shard.heights[i]), int(shard.widths[i]), columns, parts)
        writer.close()


def merge_instances(job: Job, shards: Sequence[Instances]) -> None:
    """Writes the instances of all images, and which label sets hold them."""
    table = [
        list(chain.from_iterable(getattr(shard, name) for shard in shards)) for name in ("ids", "heights", "widths")
    ]
    images = chain.from_iterable(shards)
    path, provenance = job.outputs["merged"], shards[0].provenance
    if isinstance(shards[0], LabelSets):
        sets = [shard.sets[shard.rows(i)] for shard, i in places(shards)]
        write_label_sets(path, provenance, *table, images, sets)
    else:
        write_instances(path, provenance, *table, images)


def main(job: Job) -> None:
    shards = open_shards(job.inputs["shards"])
    merge = {Maps: merge_maps, Proposals: merge_proposals}.get(type(shards[0]), merge_instances)
    merge(job, shards)


if __name__ == "__main__":
    STEP.run(main)
