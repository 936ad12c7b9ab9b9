import os

# Numpy's products run in worker processes, one a core: threads inside them would only get in each other's way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# OpenCV reads it when it is loaded: a picture in somebody's file may say that it is of a billion pixels. The import
# takes fewer (formats/pictures.py), and once took nearly so many.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))
