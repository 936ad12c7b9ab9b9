"""Measurements of the limits that the project sets itself: `python -m bench.run`."""

import os

# Figures are of one thread; numpy's own threads wait for work by spinning, which counts as time of the processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
