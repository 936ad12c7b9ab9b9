"""Flipped bytes and truncated files of every kind are reported or have no effect; they are never read as other data.

The environment variable WSIS_FAULTS sets the number of damaged copies of each file (40).
"""

import os
import random

import pytest
from every_artifact import WRITERS, read_everything
from flips import cuts, flips, outcomes

from wsis_steps.engine.documents import (
    check_table,
    digest_of_file,
    read_document,
    read_lines,
    write_document,
    write_lines,
)

COPIES = int(os.environ.get("WSIS_FAULTS", 40))


def check(path, read):
    """Asserts that damaged copies of a file are reported, or read like the file itself."""
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


def test_a_part_of_a_model_that_calls_itself_a_folder_is_noticed(tmp_path):
    """One flipped bit in the zip directory, which no checksum covers, lets torch read weights from unset memory."""
    from small_model import read_model, write_model

    path = write_model(tmp_path / "model.pt")
    data, mark, copies = path.read_bytes(), b"PK\1\2", []
    place = data.find(mark)
    while place >= 0:
        copies.append((f"entry at {place}", data[: place + 38] + b"\x10" + data[place + 39 :]))
        place = data.find(mark, place + 1)
    counts, wrong = outcomes(path, read_model, copies)
    assert len(copies) > 5 and counts == {"noticed": len(copies)}, wrong


def known(content, keys):
    """The part of JSON values that readers use; they look at no other keys."""
    return repr({key: content.get(key) for key in keys})


def test_damage_to_a_document_is_noticed(tmp_path):
    metrics = {"mask_ap50": 0.1234567, "miou": None, "abo": 1 / 3}
    write_document(tmp_path / "figures.json", {"split": "val", "metrics": metrics, "counts": {"instances": 12}})
    check(tmp_path / "figures.json", lambda path: known(read_document(path), ("split", "metrics", "counts")))


def test_damage_to_lines_is_noticed(tmp_path):
    write_lines(tmp_path / "metrics.jsonl", [{"iteration": k, "total": 1 / (k + 1)} for k in range(9)])
    check(tmp_path / "metrics.jsonl", lambda path: [known(line, ("iteration", "total")) for line in read_lines(path)])


def test_damage_to_the_table_is_noticed(tmp_path):
    table = tmp_path / "summary.csv"
    table.write_text("run,system,supervision,stage,split,metric,value\na,bestie,tags,predictions,val,miou,0.51234\n")
    write_document(tmp_path / "summary.json", {"verdicts": [], "table": digest_of_file(table)})

    def read(path):
        check_table(path, tmp_path / "summary.json")
        return path.read_bytes()

    check(table, read)
