"""The model file of a small training, and its content as the reader returns it."""

from pathlib import Path

import torch
from artifacts import provenance
from torch import nn

from wsis_steps.vision.models import load_any_model, save_model


def write_model(path: Path) -> Path:
    """The model file of a training of a small network."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    save_model(path, network, provenance(), (100, 4095))
    return path


def read_model(path: Path) -> object:
    """Everything that the reader of a trained model returns, as text."""
    trained, made = load_any_model(path)
    state = {name: (str(value.dtype), value.tolist()) for name, value in trained.state.items()}
    return repr([state, trained.settings, trained.class_names, trained.supervision, trained.picture_range, made])
