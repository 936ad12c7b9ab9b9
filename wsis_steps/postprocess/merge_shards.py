"""Merges the results of jobs that shared the images of a step into the file that a single job would have written.

in   shards  maps, instances, label sets or proposals of consecutive ranges of images, in order
out  merged  those of all images
"""

from wsis_steps.engine.step import Job, Step
from wsis_steps.postprocess.settings import PostprocessMergeShards
from wsis_steps.vision.contracts.joining import join_shards

STEP = Step("postprocess_merge_shards", PostprocessMergeShards, ("shards",), ("merged",), several=("shards",))


def main(job: Job) -> None:
    join_shards(job.inputs["shards"], job.outputs["merged"], job.progress)


if __name__ == "__main__":
    STEP.run(main)
