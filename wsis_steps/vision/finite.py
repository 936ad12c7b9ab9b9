"""Outputs of networks must be finite numbers: with NaN they would silently find nothing."""

import torch
from torch import Tensor

from wsis_steps.engine.errors import InputError


def check_outputs(*outputs: Tensor) -> None:
    """Raises InputError if an output of a network for a batch of images is NaN or infinite; synchronizes a GPU once."""
    finite = torch.stack([output.isfinite().all() for output in outputs])
    if not finite.all():
        raise InputError(
            "The network's outputs for an image are not finite numbers; its training may have diverged: train it again "
            "with a lower learning rate."
        )
