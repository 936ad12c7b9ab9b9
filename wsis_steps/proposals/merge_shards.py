"""Joins the proposals of the shards of a step into one file: the one that a single job would have written.

in   shards     proposals of neighbouring ranges of images, in order
out  proposals  proposals of all of them
"""

from dataclasses import replace

from wsis_steps.core.artifact import create
from wsis_steps.core.errors import InputError
from wsis_steps.core.proposals import PARTS, Proposals, ProposalsWriter
from wsis_steps.core.step import Job, Step
from wsis_steps.settings.proposals import ProposalsMergeShards

STEP = Step(
    "proposals_merge_shards", ProposalsMergeShards, inputs=("shards",), outputs=("proposals",), several=("shards",)
)


def main(job: Job) -> None:
    shards = [Proposals(path) for path in job.inputs["shards"]]
    first = shards[0]
    for shard in shards[1:]:
        # a commit between two jobs says nothing about their code, whose fingerprint is compared
        same = replace(shard.provenance, commit=first.provenance.commit) == first.provenance
        if not same or shard.kind != first.kind:
            raise InputError(f"{shard.path} and {first.path} were made differently; delete both and run again.")
    with create(job.outputs["proposals"], Proposals.schema, first.provenance) as file:
        writer = ProposalsWriter(file, first.kind)
        places = [(shard, i) for shard in shards for i in range(len(shard))]
        for shard, i in job.progress(places):
            rows = shard.rows(i)
            columns = {name: shard.dataset(f"proposal/{name}")[rows] for name in writer.columns}
            parts = {name: shard.part(name, i) for name in PARTS[shard.kind]}
            writer.add(shard.ids[i], int(shard.heights[i]), int(shard.widths[i]), columns, parts)
        writer.close()


if __name__ == "__main__":
    STEP.run(main)
