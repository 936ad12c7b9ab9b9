"""Damaged files of every format: a data set that lost nothing without a word, or a sentence; never a traceback or a
hang.

The number of files a format is 2,000; the environment variable WSIS_FUZZ takes another.
"""

import os
import random
import re
import signal
from contextlib import contextmanager

import numpy as np
import pytest
from authors import Mark, Picture
from imports import imported
from mutations import damage
from test_odd_inputs import AUTHORS, SQUARE, mark

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.notes import SHAPE_REASONS
from wsis_steps.formats.table import FORMATS

COUNT = int(os.environ.get("WSIS_FUZZ", "2000"))
SECONDS = 20  # for one import, which takes milliseconds
PYTHONS_OWN = re.compile(
    r"Traceback|NoneType|has no attribute|object is not|not subscriptable|unhashable|invalid literal|could not convert"
    r"|indices must|Error:|<class '|unpack|out of range|must be real number|codec can't"
)
ANNOTATIONS = (".json", ".xml", ".txt", ".csv", ".yaml")


@contextmanager
def limited():
    """TimeoutError where the block takes too long."""

    def stop(*_):
        raise TimeoutError("an import that hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pictures(name):
    """Three small pictures with all that the format carries."""
    carries, size = AUTHORS[name].CARRIES, (24, 32)
    small = SQUARE * [0.4, 0.4]
    others = {
        "point": Mark("point", "stem", (5.0, 6.0)), "tag": Mark("tag", "root"),
        "ellipse": Mark("ellipse", "leaf", (16.0, 12.0, 5.0, 3.0)), "box": Mark("box", "stem", (3.0, 4.0, 20.0, 15.0)),
        "mask": Mark("mask", "leaf", np.pad(np.ones((6, 7), np.uint8), ((3, 15), (5, 20)))),
    }  # fmt: skip
    if name == "class_folders":
        others = {}
    if name == "folder":  # what is marked is tagged
        others["tag"] = Mark("tag", "stem")
    marks = (mark(name, corners=small, size=size), *(one for kind, one in others.items() if kind in carries))
    second = (mark(name, "stem", corners=small + [8, 3], size=size),)
    split = {"split": "train"}
    return [Picture("a.jpg", marks, size, **split), Picture("b.jpg", second, size, **split),
            Picture("c.jpg", second if "empty" not in carries else (), size, **split)]  # fmt: skip


def attempt(reader, folder, file, settings):
    """The data set, or the InputError; anything else passes through."""
    try:
        with limited():
            return imported(reader, folder, file, **settings)
    except InputError as error:
        return error


@pytest.mark.parametrize("name", [name for name in AUTHORS if name != "class_folders"])
def test_damaged_files_lose_nothing_without_a_word(name, tmp_path):
    base = tmp_path / "base"
    file = AUTHORS[name].write(base, pictures(name))
    files = (
        [file] if file and file.is_file() else [path for path in sorted(base.rglob("*")) if path.suffix in ANNOTATIONS]
    )
    whole = {path: path.read_bytes() for path in files}
    outcomes = {"read": 0, "refused": 0}
    for seed in range(COUNT):
        rng = random.Random(f"{name} {seed}")
        damaged = rng.choice(files)
        damage(damaged, rng)
        settings = (
            {"truth": ("train", "val"), "val_share": 0, "without_mask": "leave_out"} if rng.random() < 0.5 else {}
        )
        settings["unknown_shapes"] = rng.choice(("refuse", "skip"))
        outcome = attempt(FORMATS[name].read, base, file, settings)
        outcomes["refused" if isinstance(outcome, InputError) else "read"] += 1
        if isinstance(outcome, InputError):
            told = "\n".join(outcome.sentences)
            assert not PYTHONS_OWN.search(told), f"{name} {seed}: {told}"
        else:
            shapes = AUTHORS[name].count(base, file)
            left_out = sum(count for reason, count in outcome.left_out.items() if reason in SHAPE_REASONS)
            assert shapes in (-1, outcome.counts["shapes"] + left_out), f"{name} {seed}: {shapes} shapes in {damaged}"
        damaged.write_bytes(whole[damaged])
    assert min(outcomes.values()) > COUNT / 50, outcomes
