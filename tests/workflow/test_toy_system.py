"""A new system is one folder and one .smk: from a dry run to its rows in the table and its column in the report."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny_workflow import ROOT, Tiny, copy_code, jobs

from wsis_steps.vision.contracts.instances import Instances

TOY = ROOT / "tests/toy"
CONFIGURATION = {
    "dataset": "toys",
    "seeds": [0, 1],
    "shards": 2,
    "runs": {
        "toy": {"system": "toy", "rounds": 2},
        "toy_small": {"system": "toy", "steps": {"toy_label": {"share": 0.3}}},
        "toy_margin": {"system": "toy", "against": "toy", "steps": {"toy_refine": {"margin": 2}}},
    },
    "steps": {
        "data_draw_shapes": {"image_size": 64, "train": 20, "val": 18, "difficulty": 0},
        "report_render_report": {"images": 4},
    },
}


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()]


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Tiny:
    """A copy of the code with the toy's folder and its .smk, and nothing else."""
    toy = Tiny(tmp_path_factory.mktemp("toy") / "own")
    copy_code(toy)
    (toy.code / "wsis_steps/toy").mkdir()
    for path in files_of(TOY):
        folder = "workflow/systems" if path.suffix == ".smk" else "wsis_steps/toy"
        shutil.copy(path, toy.code / folder / path.name)
    return toy


def configured(toy: Tiny, **runs) -> Path:
    path = toy.folder / "toys.yaml"
    path.write_text(yaml.safe_dump({**CONFIGURATION, "runs": {**CONFIGURATION["runs"], **runs}}, sort_keys=False))
    return path


def of_toy(said: str) -> list[str]:
    return sorted(job for job in jobs(said) if job.startswith("toy_"))


def test_a_system_is_one_folder_and_one_smk(toy):
    assert len(files_of(TOY)) <= 5
    configuration = configured(toy)
    status, said = toy.call("--dry-run", configuration=configuration)
    assert status == 0, said
    # each seed: labels of two runs, of which the third shares the first's; a second round; two jobs share the images
    expected = [f"toy_label {run}_seed{seed}" for seed in (0, 1) for run in ("toy", "toy_small")]
    networks = [("toy", "01"), ("toy", "02"), ("toy_small", "01"), ("toy_margin", "01")]
    expected += [
        f"toy_refine {run}_seed{seed} {number} {shard} 2"
        for seed in (0, 1)
        for run, number in networks
        for shard in (1, 2)
    ]
    assert of_toy(said) == sorted(expected)
    status, said = toy.call(configuration=configuration)
    assert status == 0, said
    results = toy.run / "results/toys"
    rows = pd.read_csv(results / "summary.csv")
    assert set(rows["system"]) == {"toy"}
    stages = {(run, stage) for run, stage in zip(rows["run"], rows["stage"], strict=True)}
    for seed in (0, 1):
        numbers = [stage for run, stage in stages if run == f"toy_seed{seed}"]
        assert sorted(numbers) == ["labels/round00", "labels/round01", "labels/round02", "predictions"]
        assert (f"toy_small_seed{seed}", "predictions") in stages
    assert "(50.0)" in (results / "summary.md").read_text()  # what its paper prints
    check_differences(rows, (results / "summary.md").read_text())
    page = (results / "report.html").read_text()
    for words in ("toy_seed0", "toy_small_seed1", "a rectangle for every tag", "rectangles without tags"):
        assert words in page
    labels = [Instances(results / f"toy_seed0/labels/round{number:02d}.h5") for number in (0, 1, 2)]
    assert [len(one) for one in labels] == [20, 20, 20]
    areas = [sum(found.areas.sum() for found in one) for one in labels]
    assert areas[0] > areas[1] > areas[2] > 0
    other = Instances(results / "toy_seed1/labels/round00.h5")
    assert not np.array_equal([f.boxes for f in other][0], [f.boxes for f in labels[0]][0])  # drawn by its own seed
    status, said = toy.call(configuration=configuration)
    assert status == 0 and "Nothing to be done" in said
    check_corrections(toy)  # here, since another process of the tests would have to run all of it again


def check_differences(rows: pd.DataFrame, text: str) -> None:
    """What a run is compared with stands in a table of its own, without the stage that both share."""
    table = next(block for block in text.split("\n\n") if block.startswith("| paired differences")).splitlines()
    header, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    found = {line[2]: dict(zip(header, line, strict=True)) for line in lines}
    assert set(found) == {"labels/round01", "predictions"}
    for stage, line in found.items():
        assert (line["paired differences"], line["against"]) == ("toy_margin", "toy")
        values = rows[(rows["stage"] == stage) & (rows["metric"] == "abo")].set_index("run")["value"]
        difference = sum(values[f"toy_margin_seed{seed}"] - values[f"toy_seed{seed}"] for seed in (0, 1)) / 2
        assert line["seeds"] == "2" and line["ABO"].startswith(f"{difference * 100:+.1f} ± ")


def check_corrections(toy: Tiny) -> None:
    """Corrections of a finished run's labels lead to what follows, and to nothing else."""
    results = toy.run / "results/toys"
    first = Instances(results / "toy_seed0/labels/round00.h5")
    size = [int(first.heights[0]), int(first.widths[0])]
    square = [[8.0, 8.0, 40.0, 8.0, 40.0, 40.0, 8.0, 40.0]]
    corrected = toy.folder / "corrected.json"
    document = {
        "images": [{"id": 1, "file_name": f"{first.ids[0]}.png", "height": size[0], "width": size[1]}],
        "categories": [{"id": k, "name": name} for k, name in enumerate(first.class_names)],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 0, "segmentation": square, "iscrowd": 0}],
    }
    corrected.write_text(json.dumps(document))
    run = {"system": "toy", "rounds": 2, "corrections": {0: str(corrected)}}
    configuration = configured(toy, toy_corrected=run)
    status, said = toy.call(configuration=configuration)
    assert status == 0, said
    made = {job for job in jobs(said) if job.startswith(("toy_", "data_import_corrections"))}
    assert made == {
        *(f"data_import_corrections toy_corrected_seed{seed} 00" for seed in (0, 1)),
        *(f"toy_refine toy_corrected_seed{seed} {n} {k} 2" for seed in (0, 1) for n in ("01", "02") for k in (1, 2)),
    }
    after = Instances(results / "toy_corrected_seed0/labels/round01.h5").read(0)
    assert len(after) == 1 and after.areas[0] == pytest.approx(30 * 30, rel=0.1)
    rows = pd.read_csv(results / "summary.csv")
    assert "labels/round00_corrected" in set(rows[rows["run"] == "toy_corrected_seed0"]["stage"])


def test_what_is_wrong_with_a_run_of_it_is_told_by_its_chain(toy):
    for run, words in (
        ({"system": "toy", "supervision": "boxes"}, "toy learns from tags, not from boxes"),
        ({"system": "toys"}, "there is no system 'toys', the nearest is 'toy'"),
        (
            {"system": "toy", "corrections": {3: "x"}},
            "nothing trains on the labels of round 3; this run trains on round 0",
        ),
        ({"system": "toy", "steps": {"toy_label": {"shares": 1}}}, "there is no key 'shares', the nearest is 'share'"),
    ):
        status, said = toy.call("--dry-run", configuration=configured(toy, wrong=run))
        assert status and re.search(re.escape(words), said, re.IGNORECASE), said
