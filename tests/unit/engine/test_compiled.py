"""Compiled functions where nothing can be kept for later processes."""

import os
import subprocess
import sys

PROGRAM = """
from wsis_steps.engine.compiled import compiled
from wsis_steps.proposals.mcg.ranking import FEATURES  # a module with compiled functions

def twice(value):
    return 2 * value

assert compiled(twice)(21) == 42
"""


def test_a_package_and_a_home_that_cannot_be_written_stop_nothing(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    # the only place that numba may then use is a zip file, which the package is not in
    variables = {**os.environ, "NUMBA_CACHE_LOCATOR_CLASSES": "ZipCacheLocator"}
    done = subprocess.run([sys.executable, tmp_path / "program.py"], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
