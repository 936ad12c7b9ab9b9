"""The trained rankers: the package's, or the user's own."""

from pathlib import Path

from wsis_steps.engine.errors import InputError
from wsis_steps.proposals.mcg.ranking import Ranker
from wsis_steps.vision.models import load_model


def load_ranker(ranker: str, model: Path | None, edges: str, mode: str) -> tuple[Ranker | None, tuple[str, ...]]:
    """A ranker and its supervision; `none` has none.

    Without a model file it is the package's for contours of that origin in that mode; contours of a structured forest
    are ranked like learned ones.

    Raises:
        InputError: the file is missing or not a ranker of these features.
    """
    if ranker == "none":
        return None, ()
    origin = "gradient" if edges == "gradient" else "learned"
    path = model or Path(__file__).with_name(f"rankers_{origin}_{mode}.pt")
    if not path.is_file():
        raise InputError(f"{path} does not exist; proposals_train_ranker makes such a file.")
    trained = load_model(path, "proposals_train_ranker")
    found = Ranker(trained.settings["width"])
    try:
        found.load_state_dict(trained.state)
    except RuntimeError as error:
        raise InputError(f"{path} was trained on other features; train it again.") from error
    return found.eval(), trained.supervision
