"""A run whose classifier is frozen, as the workflow plans it beside one whose is not."""

import subprocess
import sys

import yaml
from tiny_workflow import ROOT

FROZEN = {"frozen": True, "backbone": "timm/test_vit", "output_stride": "own"}


def test_only_a_frozen_classifier_has_features_and_its_steps_are_told_where_they_lie(tmp_path):
    values = yaml.safe_load((ROOT / "tests/tiny.yaml").read_text())
    run = {"system": "bestie", "maskrcnn": False}
    steps = {"classifier_train": FROZEN, "bestie_train": {"weights": "none"}}
    values["runs"] = {"plain": run, "frozen": {**run, "steps": steps}}
    (tmp_path / "frozen.yaml").write_text(yaml.safe_dump({**values, "shards": 2, "gpus_per_job": 4}))
    words = ["--dry-run", "--printshellcmds", "--cores", "1", "--directory", str(tmp_path)]
    command = [sys.executable, "-m", "snakemake", *words, "--configfile", str(tmp_path / "frozen.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    commands = [line for line in said.splitlines() if "python -m wsis_steps.classifier." in line]
    extracts = [line for line in commands if "classifier.extract" in line]
    folder = "results/tiny/frozen/classifier"
    assert len(extracts) == 2 and all("--ranks 4" in line and '"backbone":"timm/test_vit"' in line for line in extracts)
    assert all(any(f"--features {folder}/features/{k}_of_2.h5" in line for line in extracts) for k in (1, 2))
    reading = [line for line in commands if f"--features {folder}/features.h5" in line]
    assert len(reading) == 3 and all("--ranks 0" in line for line in reading)  # a training, two shards of the maps
    assert all("/frozen/" in line for line in commands if "--features" in line)
