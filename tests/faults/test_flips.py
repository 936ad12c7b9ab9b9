"""Flipped bytes and cut ends of every kind of file: noticed with a sentence, or of no effect; never read as other data.

The environment variable WSIS_FAULTS says how many copies of each file are damaged (40).
"""

import os
import random

import pytest
from every_artifact import WRITERS, read_everything
from flips import cuts, flips, outcomes

COPIES = int(os.environ.get("WSIS_FAULTS", 40))


def check(path, read):
    """Damaged copies of a file are noticed, or read as the file itself."""
    data, rng = path.read_bytes(), random.Random(path.name)
    copies = [*flips(data, COPIES, rng), *cuts(data, COPIES // 4, rng)]
    counts, wrong = outcomes(path, read, copies)
    print(f"{path.name}, {len(data)} bytes: {dict(counts)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", WRITERS)
def test_damage_to_an_artifact_is_noticed(tmp_path, kind):
    check(WRITERS[kind](tmp_path / f"{kind}.h5"), read_everything)


def test_damage_to_a_model_is_noticed(tmp_path):
    from small_model import read_model, write_model  # torch takes seconds to import, which the others do without

    check(write_model(tmp_path / "model.pt"), read_model)
