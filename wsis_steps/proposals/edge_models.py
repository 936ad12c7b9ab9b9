"""The models of contours, by their names in the settings."""

from functools import partial
from pathlib import Path

from wsis_steps.proposals.contours import EdgeFinder
from wsis_steps.proposals.edge_network import find_edges, load_network
from wsis_steps.proposals.structured_forest import forest_edges, load_forest

PACKAGE_WEIGHTS = Path(__file__).with_name("edge_models_learned.pt")


def load_edge_finder(edges: str, model: Path | None) -> tuple[EdgeFinder | None, tuple[str, ...]]:
    """A function from an RGB picture to contour strength, and its supervision; none for the gradient.

    Raises:
        InputError: the model's file is missing or not such a model.
    """
    if edges == "gradient":
        return None, ()
    if edges == "learned":
        return partial(find_edges, load_network(model or PACKAGE_WEIGHTS)), ("masks_seen: boundaries",)
    return partial(forest_edges, load_forest(model)), ("masks_seen: boundaries",)
