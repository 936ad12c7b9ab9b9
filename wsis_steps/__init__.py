import os

# NumPy runs in worker processes, one per core; more threads inside them would only compete.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# OpenCV reads this limit when it is loaded: the header of an image in someone else's file may claim a billion pixels.
# The import takes fewer (formats/pictures.py); earlier versions took nearly as many.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))
