"""Lists of ids and of image labels."""

from pathlib import Path

import numpy as np
import pytest
from voc_trees import plain_tree, read_plain

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.problems import Problems
from wsis_steps.formats.lists import read_ids, read_labels
from wsis_steps.formats.voc import VOC_CLASSES

SHARED = Path(__file__).parents[4] / "shared" / "data"
needs_lists = pytest.mark.skipif(not (SHARED / "voc12_lists").is_dir(), reason="the VOC 2012 lists are absent")


def test_ids_of_path_lists(tmp_path):
    (tmp_path / "l.txt").write_text("/JPEGImages/2007_000032.jpg /SegmentationClassAug/2007_000032.png\n\na.b 1\n")
    problems = Problems()
    rows = read_ids(tmp_path / "l.txt", problems)
    assert [name for name, _ in rows] == ["2007_000032", "a.b"]
    assert rows[1][1].endswith("l.txt:3")
    assert not problems.sentences


@needs_lists
def test_the_voc_2012_lists_have_the_published_lengths(tmp_path):
    problems = Problems()
    train, val, plain = (
        {name for name, _ in read_ids(SHARED / "voc12_lists" / f"{n}.txt", problems)}
        for n in ("train_aug", "val", "train")
    )
    assert (len(train), len(val), len(plain)) == (10582, 1449, 1464)
    assert not train & val
    assert plain < train
    labels = read_labels(SHARED / "voc12_lists/cls_labels.npy", VOC_CLASSES, problems)
    assert len(labels) == 12031
    assert set(labels) == train | val
    assert labels["2007_000032"] == (VOC_CLASSES.index("aeroplane"), VOC_CLASSES.index("person"))
    assert not problems.sentences


def test_bad_label_lists_name_the_line(tmp_path):
    plain_tree(tmp_path)
    (tmp_path / "l.txt").write_text("a 20\nb dgo\na 1\n")
    with pytest.raises(InputError) as caught:
        read_plain(tmp_path, labels=tmp_path / "l.txt")
    text = str(caught.value)
    for words in (
        "l.txt:1: class 20",
        "l.txt:2: there is no class 'dgo'; the nearest is 'dog'",
        "l.txt:3",
        "'c' has no line",
    ):
        assert words in text


def test_a_label_file_can_carry_no_code(tmp_path):
    class Harm:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "harm",))

    np.save(tmp_path / "bad.npy", np.array({"a": Harm()}, object))
    np.save(tmp_path / "plain.npy", np.zeros(3))
    np.save(tmp_path / "good.npy", np.array({"a": np.array([0.0, 1.0]), 2007000032: np.array([1.0, 0.0])}, object))
    for name in ("bad", "plain"):
        with pytest.raises(InputError, match=f"{name}.npy is not a label file"):
            read_labels(tmp_path / f"{name}.npy", ["x", "y"], Problems())
    assert not (tmp_path / "harm").exists()
    assert read_labels(tmp_path / "good.npy", ["x", "y"], Problems()) == {"a": (1,), "2007_000032": (0,)}
