"""How well proposals cover the truth: against loops over pixels' arrays, and what must hold whatever they are."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from artifacts import provenance
from hypothesis import given, settings
from hypothesis import strategies as st
from proposal_sets import boxes_of, pixels, random_proposals, write_proposals

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job
from wsis_steps.evaluation.proposal_scores import best_rows, cover, labels, proposal_scores
from wsis_steps.evaluation.score_proposals import main
from wsis_steps.evaluation.settings import EvaluationScoreProposals
from wsis_steps.vision.contracts.instances import write_instances
from wsis_steps.vision.masks import decode, describe, encode
from wsis_steps.vision.regions import BoxProposals, MaskProposals, RegionProposals

KINDS = ("boxes", "regions", "masks")
CLASSES = ("cat", "dog", "cow")
COUNTS = (1, 2, 4)


def random_truth(rng, count, height, width):
    """Disjoint noise with some void, some of it a crowd."""
    owner = rng.integers(-1, count + 1, (height, width))  # -1: background, count: void
    masks = owner[None] == np.arange(count)[:, None, None]
    ignore = encode((owner == count)[None])[0] if rng.random() < 0.7 else None
    return describe(encode(masks), rng.integers(0, 2, count), crowd=rng.random(count) < 0.2, ignore=ignore)


def random_images(rng, kind, sizes):
    """Proposals, truth, height and width of images with so many proposals and instances."""
    images = []
    for proposed, true in sizes:
        height, width = (int(side) for side in rng.integers(4, 14, 2))
        proposals = random_proposals(rng, kind, proposed, height, width)
        images.append((proposals, random_truth(rng, true, height, width), height, width))
    return images


def box_iou(a, b):
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(across, 0) * max(down, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def literally(images, number, drop_void):
    """The figures of the first `number` proposals, from their definitions; None without an instance."""
    mask_ious, box_ious, of_classes = [], [], {}
    for proposals, truth, height, width in images:
        masks = pixels(proposals, height, width)[:number]
        valid = np.ones((height, width), bool)
        if drop_void and truth.ignore:
            valid = ~decode([truth.ignore], height, width)[0].astype(bool)
        true = decode(truth.rles, height, width).astype(bool)
        for k in np.flatnonzero(~truth.crowd):
            best, shared, union = 0.0, 0, (true[k] & valid).sum()
            for mask in masks:
                both, either = (mask & true[k] & valid).sum(), ((mask | true[k]) & valid).sum()
                if either and both / either > best:
                    best, shared, union = both / either, both, either
            mask_ious.append(best)
            sums = of_classes.setdefault(truth.categories[k], [0, 0])
            sums[0] += shared
            sums[1] += union
            box_ious.append(max((box_iou(box, truth.boxes[k]) for box in proposals.boxes[:number]), default=0.0))
    if not mask_ious:
        return None
    figures = {"box_abo": np.mean(box_ious)}
    figures |= {f"box_recall{p}": np.mean([iou > p / 100 for iou in box_ious]) for p in (50, 70)}
    if not isinstance(images[0][0], BoxProposals):
        figures |= {f"recall{p}": np.mean([iou > p / 100 for iou in mask_ious]) for p in (50, 70)}
        figures["j_instances"] = np.mean(mask_ious)
        figures["j_classes"] = np.mean([shared / union for shared, union in of_classes.values()])
    return figures


def scores(images, counts=COUNTS, drop_void=True):
    covered = [cover(*image, counts, drop_void) for image in images]
    covered = [coverage for coverage in covered if coverage is not None]
    found = proposal_scores(covered, counts, len(CLASSES)) if covered else {}
    return {name: float(np.nanmean(value)) for name, value in found.items()}


SIZES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=3)


@settings(max_examples=80, deadline=None)
@given(kind=st.sampled_from(KINDS), sizes=SIZES, drop_void=st.booleans(), seed=st.integers(0, 10**6))
def test_figures_follow_their_definitions(kind, sizes, drop_void, seed):
    images = random_images(np.random.default_rng(seed), kind, sizes)
    found = scores(images, drop_void=drop_void)
    for label, number in zip(labels(COUNTS), [*COUNTS, 1000], strict=True):
        wanted = literally(images, number, drop_void) or {}
        assert {f"{name}_{label}" for name in wanted} == {name for name in found if name.endswith(f"_{label}")}
        for name, value in wanted.items():
            assert found[f"{name}_{label}"] == pytest.approx(value, abs=1e-6), name


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), sizes=SIZES, seed=st.integers(0, 10**6))
def test_more_proposals_cover_no_less(kind, sizes, seed):
    found = scores(random_images(np.random.default_rng(seed), kind, sizes))
    for name in {name.rsplit("_", 1)[0] for name in found} - {"j_classes"}:
        values = [found[f"{name}_{label}"] for label in labels(COUNTS)]
        assert values == sorted(values) and values[0] >= 0 and values[-1] <= 1


def test_a_class_may_lose_by_a_better_proposal_that_is_large():
    true = np.zeros((2, 10, 100), bool)
    true[0, :2, :50], true[1, :, 90:] = True, True  # 100 pixels each
    proposed = np.zeros((3, 10, 100), bool)
    proposed[0, 0, 0], proposed[1], proposed[2, :, :90] = True, true[1], True
    proposals = MaskProposals(
        boxes_of(proposed), np.array([3, 2, 1], np.float32), encode(proposed), *proposed.shape[1:]
    )
    found = scores([(proposals, describe(encode(true), np.zeros(2, int)), 10, 100)], (2,))
    assert found["j_instances_2"] == pytest.approx((0.01 + 1) / 2)
    assert found["j_instances_all"] == pytest.approx((100 / 900 + 1) / 2)
    assert found["j_classes_2"] == pytest.approx((1 + 100) / (100 + 100))
    assert found["j_classes_all"] == pytest.approx((100 + 100) / (900 + 100))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 7), m=st.integers(1, 3), seed=st.integers(0, 10**6))
def test_the_best_row_is_the_first_of_the_largest(n, m, seed):
    overlaps = np.random.default_rng(seed).integers(0, 4, (n, m)) / 4
    taken = np.arange(n + 1)
    found = best_rows(overlaps, taken)
    assert found.shape == (m, n + 1)
    for column in range(m):
        for number in taken:
            first = overlaps[:number, column]
            assert found[column, number] == (first.argmax() if first.any() else -1)


def as_kind(kind, true):
    """Proposals that are the true masks."""
    score = np.ones(len(true), np.float32)
    if kind == "boxes":
        return BoxProposals(boxes_of(true), score, *true.shape[1:])
    if kind == "masks":
        return MaskProposals(boxes_of(true), score, encode(true), *true.shape[1:])
    superpixels = np.arange(true[0].size, dtype=np.int32).reshape(true.shape[1:])
    return RegionProposals(boxes_of(true), score, superpixels, true.reshape(len(true), -1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_itself_scores_one_and_nothing_scores_zero(kind):
    true = np.zeros((4, 12, 13), bool)
    true[0, :5, :6] = true[1, :6, 7:] = true[2, 6:, :6] = true[3, 8:, 8:] = True
    truth = describe(encode(true), np.array([0, 1, 1, 2]))
    nothing = random_proposals(np.random.default_rng(0), kind, 0, 12, 13)
    found = scores([(as_kind(kind, true), truth, 12, 13)])
    assert all(value == 1 for name, value in found.items() if name.endswith(("_4", "_all")))
    assert found["box_abo_1"] == 0.25 and found["box_abo_2"] == 0.5
    assert set(scores([(nothing, truth, 12, 13)]).values()) == {0.0}


def write_truth(path, images, ids, supervision=()):
    heights, widths = ([image[k] for image in images] for k in (2, 3))
    write_instances(path, provenance(CLASSES, supervision), ids, heights, widths, [image[1] for image in images])
    return path


def run(folder, kind, splits, dataset="toy", threads=1, more=()):
    """Calls the step: splits of images by name; returns the figures and the chart."""
    truth = []
    for split, images in splits.items():
        truth.append(write_truth(folder / f"{split}.h5", list(images.values()), list(images), ("masks",)))
    every = {name: (image[0], *image[2:]) for images in splits.values() for name, image in images.items()}
    every |= {name: (image[0], *image[2:]) for name, image in more}
    proposals = write_proposals(folder / "mcg.h5", kind, every, ("masks_seen",))
    job = Job(
        "evaluation_score_proposals",
        EvaluationScoreProposals(counts=COUNTS),
        {"truth": truth, "proposals": proposals},
        {"figures": folder / "figures.json", "chart": folder / "chart.svg"},
        threads,
        values={"split": "+".join(splits), "dataset": dataset},
    )
    main(job)
    return json.loads((folder / "figures.json").read_text()), ElementTree.parse(folder / "chart.svg").getroot()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_step_scores_all_truth_files_and_skips_images_without(tmp_path, kind, threads):
    rng = np.random.default_rng(6)
    images = random_images(rng, kind, [(6, 3), (5, 0), (0, 2), (7, 4), (3, 2)])
    crowd = replace(images[4][1], crowd=np.ones(len(images[4][1]), bool))
    images[4] = (images[4][0], crowd, *images[4][2:])
    train, val = dict(zip("abc", images[:3], strict=True)), dict(zip("de", images[3:], strict=True))
    figures, chart = run(tmp_path, kind, {"train": train, "val": val}, threads=threads, more=[("x", images[0])])
    scored = [images[k] for k in (0, 2, 3)]
    assert figures["metrics"] == pytest.approx(scores(scored))
    assert figures["split"] == "train+val" and figures["supervision"] == ["masks_seen"]
    assert figures["counts"]["images"] == 3
    assert figures["counts"]["truths"] == sum((~truth.crowd).sum() for _, truth, *_ in scored)
    assert figures["counts"]["proposals"] == pytest.approx({"1": 2 / 3, "2": 4 / 3, "4": 8 / 3, "all": 13 / 3})
    assert len(chart.findall(".//{*}polyline")) == (3 if kind == "boxes" else 7)
    by_class = [name for name in figures["per_class"] if figures["per_class"][name].keys() == set(CLASSES)]
    assert by_class == ([] if kind == "boxes" else [f"j_classes_{label}" for label in labels(COUNTS)])


def test_published_curves_stand_beside_ours_on_their_data(tmp_path):
    rng = np.random.default_rng(8)
    images = {"val": dict(zip("ab", random_images(rng, "regions", [(9, 3), (6, 2)]), strict=True))}
    for dataset, published in (("voc2012", 4), ("coco2017", 2), ("toy", 0)):
        _, chart = run(tmp_path, "regions", images, dataset)
        lines = chart.findall(".//{*}polyline")
        dashed = [line for line in lines if line.get("stroke-dasharray")]
        assert len(lines) - len(dashed) == 7 and len(dashed) == (22 if published == 4 else 6 * published)
        legend = [text.text for text in chart.iter("{http://www.w3.org/2000/svg}text") if "published" in text.text]
        assert len(legend) == published


def test_an_image_that_the_proposals_lack_is_named(tmp_path):
    rng = np.random.default_rng(0)
    images = random_images(rng, "masks", [(2, 2), (2, 2)])
    write_truth(tmp_path / "val.h5", images, ["a", "b"])
    proposals = write_proposals(tmp_path / "mcg.h5", "masks", {"a": (images[0][0], *images[0][2:])})
    inputs = {"truth": [tmp_path / "val.h5"], "proposals": proposals}
    job = Job("evaluation_score_proposals", EvaluationScoreProposals(), inputs, {}, values={"split": "", "dataset": ""})
    with pytest.raises(InputError, match=r"val\.h5 holds image 'b', which .*mcg\.h5 does not"):
        main(job)


def test_no_truth_is_one_sentence(tmp_path):
    rng = np.random.default_rng(0)
    images = {"a": random_images(rng, "masks", [(2, 0)])[0]}
    for splits in ({"val": images}, {}):
        with pytest.raises(InputError, match=r"no image has a true instance to score .*mcg\.h5 against"):
            run(tmp_path, "masks", splits)
    assert not (tmp_path / "figures.json").exists()


def test_numbers_must_ascend():
    assert EvaluationScoreProposals().counts == (100, 200, 500, 1000, 2000)
    for counts in ((), (0, 5), (5, 5), (9, 5)):
        with pytest.raises(ValueError, match="counts"):
            EvaluationScoreProposals(counts=counts)
