import os

# Numpy's products run in worker processes, one a core: threads inside them would only get in each other's way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
