"""Draws the generated data set `shapes` as a VOC tree.

out  tree  folder with JPEGImages, Annotations, ImageSets, SegmentationClass and SegmentationObject

Six classes that differ in outline, pattern and, in part, hue; see wsis_steps/data/shapes.py and shape_looks.py.
"""

from wsis_steps.data.settings import DataDrawShapes
from wsis_steps.data.shapes import draw_voc_tree
from wsis_steps.engine.pool import forked_pool
from wsis_steps.engine.step import Job, Step

STEP = Step("data_draw_shapes", DataDrawShapes, outputs=("tree",))


def main(job: Job) -> None:
    settings: DataDrawShapes = job.settings
    with forked_pool(job.threads) as pool:
        draw_voc_tree(job.outputs["tree"], settings, pool.map)


if __name__ == "__main__":
    STEP.run(main)
