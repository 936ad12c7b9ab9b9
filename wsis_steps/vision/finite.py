"""What networks compute must be finite numbers: with NaN they find nothing, without a word."""

import torch
from torch import Tensor

from wsis_steps.engine.errors import InputError


def check_outputs(*outputs: Tensor) -> None:
    """Raises InputError where an output of a network for some pictures is NaN or infinite; waits for a GPU once."""
    finite = torch.stack([output.isfinite().all() for output in outputs])
    if not finite.all():
        raise InputError(
            "The network computes values of a picture that are no finite numbers, so nothing can be found in it; its "
            "training may have diverged: train it again, at a lower learning rate."
        )
