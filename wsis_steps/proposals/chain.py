"""Region and box proposals of all images, shared by every run."""

from wsis_steps.engine.chain import Stage

STAGES = (
    Stage(
        "proposals_search_selectively",
        writes={"proposals": "proposals/selective_search.h5"},
        divides=True,
        shared=True,
    ),
    Stage("proposals_group_regions", writes={"proposals": "proposals/mcg.h5"}, divides=True, shared=True),
    Stage("proposals_import_proposals", writes={"proposals": "proposals/imported.h5"}, shared=True),
    Stage("proposals_find_edges", writes={"edges": "proposals/edges.h5"}, divides=True, shared=True),
)
