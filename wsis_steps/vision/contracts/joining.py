"""Joins the outputs of jobs or processes that shared a step's images into the file that a single one would write."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.hdf5 import open_hdf5, read_attributes
from wsis_steps.vision.contracts.artifact import Artifact, create
from wsis_steps.vision.contracts.features import Features, FeaturesWriter
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.contracts.label_sets import LabelSets, write_label_sets
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.contracts.proposals import PARTS, Proposals, ProposalsWriter
from wsis_steps.vision.counts import add_counts

CONTRACTS: dict[str, type[Artifact]] = {kind.schema: kind for kind in (Maps, Features, Instances, LabelSets, Proposals)}


def open_shards(paths: Sequence[Path]) -> list[Artifact]:
    """The files of the shards.

    Raises:
        InputError: they have other contracts, or were made by different steps, settings or inputs.
    """
    with open_hdf5(paths[0]) as file:
        schema = read_attributes(file).get("schema")
    if schema not in CONTRACTS:
        raise InputError(f"{paths[0]} holds '{schema}'; only these can be joined: {', '.join(sorted(CONTRACTS))}.")
    first, *others = shards = [CONTRACTS[schema](path) for path in paths]
    for shard in others:
        # commits between two jobs do not matter: the fingerprints of their code are compared
        same = replace(shard.provenance, commit=first.provenance.commit) == first.provenance
        if not same or shard.attributes.get("kind") != first.attributes.get("kind"):
            raise InputError(f"{shard.path} and {first.path} were made differently; delete both and run again.")
    return shards


def join_shards(
    paths: Sequence[Path], joined: Path, progress: Callable[[Sequence], Iterable] = lambda places: places
) -> None:
    """Writes `joined` from files of consecutive ranges of images, in order; their contracts must be in `CONTRACTS`.

    progress: passes on the images of maps, features and proposals, like `Job.progress`.

    Raises:
        InputError: the files have other contracts, or were made by different steps, settings or inputs.
    """
    shards = open_shards(paths)
    places = [(shard, i) for shard in shards for i in range(len(shard))]
    if isinstance(shards[0], Maps):
        _join_maps(shards, progress(places), joined)
    elif isinstance(shards[0], Features):
        _join_features(shards, progress(places), joined)
    elif isinstance(shards[0], Proposals):
        _join_proposals(shards[0], progress(places), joined)
    else:
        _join_instances(shards, places, joined)


def _join_maps(shards: Sequence[Maps], places: Iterable[tuple[Maps, int]], joined: Path) -> None:
    stored, counts = shards[0].dataset("maps"), add_counts([shard.counts for shard in shards])
    with create(joined, Maps.schema, shards[0].provenance, counts) as file:
        writer = MapsWriter(file, stored.shape[1:], stored.dtype)
        for shard, i in places:
            writer.add(shard.ids[i], int(shard.heights[i]), int(shard.widths[i]), *shard.read(i))
        writer.close()


def _join_features(shards: Sequence[Features], places: Iterable[tuple[Features, int]], joined: Path) -> None:
    first, *others = shards
    channels, *largest = first.dataset("features").shape[1:]
    for shard in others:
        if shard.dataset("features").chunks != first.dataset("features").chunks:
            raise InputError(f"{shard.path} and {first.path} have maps of different sizes; delete both and run again.")
    with create(joined, Features.schema, first.provenance) as file:
        writer = FeaturesWriter(file, channels, tuple(largest))
        for shard, i in places:
            writer.copy(shard, i)
        writer.close()


def _join_proposals(first: Proposals, places: Iterable[tuple[Proposals, int]], joined: Path) -> None:
    with create(joined, Proposals.schema, first.provenance) as file:
        writer = ProposalsWriter(file, first.kind)
        for shard, i in places:
            rows = shard.rows(i)
            columns = {name: shard.dataset(f"proposal/{name}")[rows] for name in writer.columns}
            parts = {name: shard.part(name, i) for name in PARTS[shard.kind]}
            writer.add(shard.ids[i], int(shard.heights[i]), int(shard.widths[i]), columns, parts)
        writer.close()


def _join_instances(shards: Sequence[Instances], places: Sequence[tuple[Instances, int]], joined: Path) -> None:
    table = [
        list(chain.from_iterable(getattr(shard, name) for shard in shards)) for name in ("ids", "heights", "widths")
    ]
    images, provenance = chain.from_iterable(shards), shards[0].provenance
    if isinstance(shards[0], LabelSets):
        sets = [shard.sets[shard.rows(i)] for shard, i in places]
        write_label_sets(joined, provenance, *table, images, sets)
    else:
        counts = add_counts([shard.counts for shard in shards])
        write_instances(joined, provenance, *table, images, counts)
