"""Figures of published region proposals, for comparison in a chart.

From the files that Pont-Tuset et al. published with "Multiscale Combinatorial Grouping for Image Segmentation and
Object Proposal Generation" (repository jponttuset/mcg, folder arxiv-paper; COCO: the second edition, whose truths may
overlap). MCG and SCG were trained on masks of VOC 2012's training images.
"""

from dataclasses import dataclass

import numpy as np

_MASKS = ("j_classes", "j_instances", "recall50", "recall70")
_BOXES = ("box_recall50", "box_recall70")


@dataclass(frozen=True)
class ProposalCurve:
    """Figures of one kind of proposals: `values` by name, each float64 (k,), 0 to 1, at the mean `numbers` (k,) of
    proposals an image."""

    name: str
    numbers: np.ndarray
    values: dict[str, np.ndarray]


def _curve(name: str, *rows: tuple[float, ...]) -> ProposalCurve:
    """rows: the number of proposals, then the figures of masks and, if known, of boxes."""
    numbers, *columns = np.array(rows, dtype=np.float64).T
    return ProposalCurve(name, numbers, dict(zip((*_MASKS, *_BOXES), columns, strict=False)))


_VOC = (
    _curve(
        "MCG, VOC 2012 val",
        (100, 0.7040, 0.6379, 0.7012, 0.4996, 0.7464, 0.5349),
        (200, 0.7504, 0.6791, 0.7549, 0.5565, 0.7949, 0.5982),
        (500, 0.7968, 0.7258, 0.8185, 0.6215, 0.8436, 0.6641),
        (999, 0.8186, 0.7567, 0.8588, 0.6697, 0.8798, 0.7167),
        (1937, 0.8314, 0.7812, 0.8912, 0.7129, 0.9092, 0.7590),
        (5138, 0.8430, 0.8077, 0.9215, 0.7715, 0.9396, 0.8124),
    ),
    _curve(
        "SCG, VOC 2012 val",
        (100, 0.6941, 0.6081, 0.6694, 0.4505, 0.7140, 0.5074),
        (200, 0.7407, 0.6525, 0.7283, 0.5086, 0.7648, 0.5582),
        (500, 0.7814, 0.7013, 0.7946, 0.5795, 0.8252, 0.6309),
        (977, 0.7972, 0.7279, 0.8310, 0.6247, 0.8573, 0.6761),
        (1685, 0.8044, 0.7464, 0.8582, 0.6501, 0.8812, 0.7029),
        (2126, 0.8068, 0.7545, 0.8707, 0.6633, 0.8952, 0.7178),
    ),
    _curve(
        "MCG, SBD val",
        (100, 0.6893, 0.6054, 0.6831, 0.4184, 0.7535, 0.5385),
        (200, 0.7344, 0.6442, 0.7415, 0.4795, 0.8048, 0.6020),
        (500, 0.7748, 0.6848, 0.8010, 0.5461, 0.8589, 0.6699),
        (999, 0.7966, 0.7128, 0.8424, 0.5968, 0.8965, 0.7252),
        (1942, 0.8110, 0.7350, 0.8773, 0.6425, 0.9259, 0.7722),
        (5140, 0.8221, 0.7587, 0.9109, 0.6989, 0.9517, 0.8312),
    ),
    _curve(
        "SCG, SBD val",
        (100, 0.6683, 0.5786, 0.6464, 0.3774),
        (200, 0.7161, 0.6176, 0.7004, 0.4343),
        (500, 0.7560, 0.6615, 0.7695, 0.5015),
        (978, 0.7748, 0.6860, 0.8097, 0.5426),
        (1675, 0.7835, 0.7028, 0.8393, 0.5719),
        (2130, 0.7858, 0.7094, 0.8504, 0.5833),
    ),
)
_COCO = (
    _curve(
        "MCG, COCO 2014 val",
        (100, 0.4404, 0.3781, 0.3692, 0.1936, 0.4350, 0.2686),
        (200, 0.5320, 0.4282, 0.4301, 0.2302, 0.5049, 0.3192),
        (500, 0.6323, 0.4882, 0.5065, 0.2771, 0.5952, 0.3870),
        (1000, 0.6864, 0.5285, 0.5633, 0.3144, 0.6623, 0.4434),
        (1963, 0.7198, 0.5610, 0.6143, 0.3524, 0.7204, 0.4998),
        (5354, 0.7445, 0.6001, 0.6841, 0.4147, 0.7911, 0.5924),
    ),
    _curve(
        "SCG, COCO 2014 val",
        (100, 0.4336, 0.3546, 0.3366, 0.1690, 0.4021, 0.2425),
        (200, 0.5119, 0.3997, 0.3908, 0.2012, 0.4622, 0.2840),
        (500, 0.6020, 0.4575, 0.4639, 0.2465, 0.5467, 0.3449),
        (975, 0.6528, 0.4958, 0.5176, 0.2813, 0.6106, 0.3941),
        (1667, 0.6801, 0.5230, 0.5591, 0.3104, 0.6624, 0.4391),
        (2111, 0.6878, 0.5344, 0.5781, 0.3244, 0.6858, 0.4618),
    ),
)


def published_curves(dataset: str) -> tuple[ProposalCurve, ...]:
    """The published curves for a data set, by its name under `results/`: VOC 2012 or COCO, otherwise none."""
    return _VOC if dataset.startswith("voc2012") else _COCO if dataset.startswith("coco20") else ()
