"""Benchmarks against the project's own limits: `python -m bench.run`."""

import os

# Figures are for one thread; numpy's own threads wait by spinning, which counts as processor time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
