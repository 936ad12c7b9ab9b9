"""`wsis check results` reads every file with its checksums and lists those that are damaged."""

import pytest
from artifacts import write_images, write_labels, write_semantic

from wsis_steps.commands.check import check_results
from wsis_steps.commands.results import are_results, find_damaged
from wsis_steps.engine.documents import digest_of_file, write_document, write_lines
from wsis_steps.engine.errors import InputError


@pytest.fixture
def tree(tmp_path):
    """A small folder of results, of every kind of file that carries a checksum but models."""
    data = tmp_path / "results/shapes"
    for folder in ("shared/data", "one/labels", "one/semantic", "one/evaluation"):
        (data / folder).mkdir(parents=True)
    write_images(data / "shared/data/images.h5")
    write_labels(data / "one/labels/round00.h5")
    write_semantic(data / "one/semantic/train.h5")
    write_document(data / "one/evaluation/semantic.json", {"metrics": {"miou": 0.5}})
    write_lines(data / "one/metrics.jsonl", [{"iteration": 1, "total": 2.0}, {"iteration": 2, "total": 1.0}])
    (data / "summary.csv").write_text("run,value\none,0.5\n")
    write_document(data / "summary.json", {"verdicts": [], "table": digest_of_file(data / "summary.csv")})
    (data / "cost.csv").write_text("run,step,jobs,minutes\none,bestie_train,1,5.0\n")
    write_document(data / "cost.json", {"table": digest_of_file(data / "cost.csv")})
    for name in ("shared/data/summary.json", "one/labels/counts.json"):
        write_document(data / name, {"images": 12, "accepted": 7})
    (data / "report.html").write_text("no checksum")
    return tmp_path / "results"


def flip(path, place=-20):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("threads", [1, 2])
def test_whole_results_are_told_as_such(tree, threads, capsys):
    assert are_results(tree) and are_results(tree / "shapes") and not are_results(tree / "shapes/one")
    assert find_damaged(tree, threads) == (11, [])
    check_results(tree / "shapes", threads)
    assert capsys.readouterr().out.splitlines()[-1] == f"{tree / 'shapes'}: all 11 files are intact."


def test_each_damaged_file_has_a_line_and_all_are_counted(tree, capsys):
    damaged = ["shapes/cost.csv", "shapes/one/evaluation/semantic.json", "shapes/one/labels/counts.json",
               "shapes/one/metrics.jsonl", "shapes/shared/data/summary.json", "shapes/summary.csv"]  # fmt: skip
    for name in damaged:
        flip(tree / name, -4)
    pictures = tree / "shapes/shared/data/images.h5"
    flip(pictures, pictures.read_bytes().index(b"IHDR") + 40)  # inside a picture, far from what opening reads
    with pytest.raises(InputError, match=f"^{tree}: 7 of 11 files are damaged; delete them"):
        check_results(tree, 1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(str(tree / name) for name in [*damaged, pictures])
