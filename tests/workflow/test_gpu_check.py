"""The check on a GPU as a whole, dry: every task gives its figures, and a CPU agrees with itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.gpu_check import ROOT, TASKS


def test_dry_run(tmp_path: Path):
    command = [sys.executable, "-m", "bench.gpu_check", "--dry", "--out", str(tmp_path / "figures.json")]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert (tmp_path / "figures.json").exists(), done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert [one for one in figures if "fault" in one] == []
    assert {one["task"] for one in figures} == {
        f"{task} {step}".strip() for _, task, step, _ in TASKS if task != "networks"
    }
    equal = [one["value"] for one in figures if one["task"].startswith("against_cpu")]
    assert len(equal) == 16
    assert max(equal) == 0
    mixed = [one["value"] for one in figures if one["task"].startswith("mixed") and "gradients" in one["what"]]
    assert min(mixed) > 1e-4  # bfloat16 was in use
    assert all(one["value"] > 0 for one in figures if one["unit"] in ("images/s", "GB", "images"))
    (resumed,) = (one for one in figures if one["task"] == "resumed")
    assert resumed["value"] == 0  # bit-identical on a CPU
    assert done.returncode == 0, done.stdout
