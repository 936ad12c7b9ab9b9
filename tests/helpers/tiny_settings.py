"""Settings with which every step runs in a moment on the images of `artifacts.py`."""

CLASSIFIER = {
    "backbone": "small", "weights": "none", "head_width": 8, "epochs": 4, "batch_size": 3, "resize": 32, "crop": 32,
}  # fmt: skip
BESTIE = {
    "backbone": "small", "weights": "none", "iterations": 4, "batch_size": 2, "warm_up": 0, "long_side": 0,
    "crop": 32, "min_area": 5, "window": 7, "sigma": 2,
}  # fmt: skip
MASKRCNN = {
    "backbone": "small", "weights": "none", "iterations": 4, "batch_size": 2, "warm_up": 0, "min_size": 32,
    "max_size": 32, "fpn_channels": 8, "anchor_scale": 3, "proposals_before_nms": [16, 16],
    "proposals_after_nms": [8, 8], "rois": 8, "box_width": 8, "mask_width": 8, "mask_layers": 1, "frozen_levels": 0,
}  # fmt: skip
LEARNING_TO_SEGMENT = {
    "backbone": "small", "weights": "none", "skip_width": 4, "decoder_width": 4, "iterations": 4, "batch_size": 2,
    "resize": 32, "crop": 32,
}  # fmt: skip
COMMUNITY_LEARNING = {
    "backbone": "small", "weights": "none", "iterations": 4, "batch_size": 2, "short_sides": [32], "roi_size": 3,
    "regressor_width": 8, "activation_width": 8, "mask_size": 8, "segmentation_width": 4, "segmentation_layers": 1,
}  # fmt: skip
INITIALISE = {
    "backbone": "small", "weights": "none", "iterations": 4, "batch_size": 2, "width": 6, "decoder_width": 8,
    "decoder_layers": 1, "pooling": "mask", "learning_rate": 1e-3,
}  # fmt: skip
TRAIN_PREDICTION = MASKRCNN
TRAIN_CONDITIONAL = {"iterations": 4, "batch_size": 2, "samples": 3, "learning_rate": 1e-3}
