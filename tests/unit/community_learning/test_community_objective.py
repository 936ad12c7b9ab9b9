"""How the terms of the loss hang together, and what inference makes of the detector, against both written out."""

import community_reference as plain
import numpy as np
import pytest
import torch
from test_community_network import batch, network, some_boxes

from wsis_steps.community_learning import infer, objective
from wsis_steps.community_learning.boxes import apply_offsets
from wsis_steps.community_learning.detector import Detections, refined_scores
from wsis_steps.community_learning.infer import find_instances
from wsis_steps.community_learning.inference import View, detect
from wsis_steps.community_learning.objective import batch_loss, refinement_terms, regressed, regression_term
from wsis_steps.community_learning.pseudo_labels import Sample, best_of_each_class, cluster_boxes, find_foreground
from wsis_steps.community_learning.settings import CommunityLearningInfer, CommunityLearningTrain
from wsis_steps.vision.masks import decode

TAGS = torch.tensor([True, False, True])


def outputs(seed: int, count: int, per_class: bool = False) -> Detections:
    generator = torch.Generator().manual_seed(seed)
    shapes = (count, 3), (count, 3), (count, 3, 4), (count, 12 if per_class else 4)
    return Detections(*(torch.randn(*shape, generator=generator) for shape in shapes))


def seeds_of(scores: np.ndarray) -> list[tuple[int, int]]:
    """The best proposal of each tagged class, none twice."""
    taken: list[tuple[int, int]] = []
    for c in TAGS.nonzero()[:, 0].tolist():
        left = [r for r in range(len(scores)) if r not in {row for row, _ in taken}]
        taken.append((max(left, key=lambda r: scores[r, c]), c))
    return taken


@pytest.mark.parametrize("seed", range(4))
def test_each_head_learns_from_the_scores_of_the_one_before(seed):
    found, boxes = outputs(seed, 12), some_boxes(seed, 12)
    terms = refinement_terms(found, boxes, TAGS, (48, 48), CommunityLearningTrain())
    scores = np.array(plain.midn(found.classes.tolist(), found.places.tolist()))
    assert float(terms["classification"]) == pytest.approx(plain.l_cls(scores.sum(0).tolist(), TAGS.tolist()), rel=1e-4)
    for k in range(3):
        seeds, labels, weights = seeds_of(scores), [], []
        for r in range(12):
            reached = [plain.overlap(boxes[r].tolist(), boxes[row].tolist()) for row, _ in seeds]
            row, c = seeds[int(np.argmax(reached))]
            labels.append(1 + c if max(reached) >= 0.5 else 0)
            weights.append(float(scores[row, c]))
        wanted = plain.l_refine(found.refined[:, k].tolist(), labels, weights)
        assert float(terms[f"refinement{k + 1}"]) == pytest.approx(wanted, rel=1e-4)
        scores = np.array([plain.softmax(row)[1:] for row in found.refined[:, k].tolist()])


@pytest.mark.parametrize("where", ["proposed", "moved", "cluster"])
@pytest.mark.parametrize("seed", range(3))
def test_every_foreground_proposal_may_be_a_seed_and_lie_elsewhere_than_proposed(seed, where):
    settings = CommunityLearningTrain(seeds="foreground", seed_boxes=where, min_foreground_share=0.6)
    found, boxes = outputs(seed, 15), some_boxes(seed, 15)
    terms = refinement_terms(found, boxes, TAGS, (48, 48), settings)
    scores = np.array(plain.midn(found.classes.tolist(), found.places.tolist()))
    for k in range(3):
        seeds = []
        for c in (0, 2):
            strong = [r for r in range(15) if scores[r, c] >= 0.6 * scores[:, c].max()]
            kept = plain.suppressed(boxes[strong].tolist(), scores[strong, c].tolist(), 0.3)
            seeds += [(strong[row], c) for row in kept]
        rows = [row for row, _ in seeds]
        places = boxes[rows]
        if where == "moved":
            places = apply_offsets(places, found.offsets[rows], (0.1, 0.1, 0.2, 0.2)).clamp(0, 48)
        if where == "cluster":
            near = [
                [r for r in range(15) if plain.overlap(boxes[r].tolist(), boxes[row].tolist()) > 0.3] for row in rows
            ]
            means = [np.average(boxes[own], 0, scores[own, c]) for own, (_, c) in zip(near, seeds, strict=True)]
            places = torch.from_numpy(np.stack(means))
        labels, weights = [], []
        for r in range(15):
            reached = [plain.overlap(boxes[r].tolist(), place) for place in places.tolist()]
            best = max(range(len(seeds)), key=lambda j: (reached[j], scores[seeds[j]]))
            labels.append(1 + seeds[best][1] if reached[best] >= 0.5 else 0)
            weights.append(float(scores[seeds[best]]))
        wanted = plain.l_refine(found.refined[:, k].tolist(), labels, weights)
        assert float(terms[f"refinement{k + 1}"]) == pytest.approx(wanted, rel=1e-4)
        scores = np.array([plain.softmax(row)[1:] for row in found.refined[:, k].tolist()])


@pytest.mark.parametrize("target", ["best", "cluster"])
@pytest.mark.parametrize("seed", range(3))
def test_the_regressor_learns_the_pseudo_ground_truth_of_its_class(seed, target):
    settings = CommunityLearningTrain(
        regression="class_specific", regression_target=target, regression_overlap=0.2, offset_std=(1, 1, 1, 1)
    )
    found, boxes = outputs(seed, 30, per_class=True), some_boxes(seed, 30, 30)
    scores = refined_scores(found.refined)[:, 1:]
    foreground = find_foreground(scores, boxes, TAGS, settings)
    truths = best_of_each_class(foreground)
    targets = cluster_boxes(boxes, scores, truths, 0.3) if target == "cluster" else boxes[truths.rows]
    rows = torch.randperm(30, generator=torch.Generator().manual_seed(seed))[:25]  # R of the equation
    table = [[plain.overlap(p, g) for g in targets.tolist()] for p in boxes.tolist()]
    near = [[j == int(np.argmax(row)) and row[j] > 0.2 for j in range(len(row))] for row in table]
    chosen = [4 * (int(truths.categories[int(np.argmax(row))]) - 1) for row in table]
    v = [found.offsets[r, place : place + 4].tolist() for r, place in enumerate(chosen)]
    v, near = [v[r] for r in rows], [near[r] for r in rows]
    wanted = plain.l_reg(v, boxes[rows].tolist(), targets.tolist(), near)
    assert wanted > 0
    term = regression_term(found, boxes, scores, foreground, rows, settings)
    assert float(term) == pytest.approx(wanted, rel=1e-3)


def test_masks_are_made_of_objects_as_they_are_regressed():
    boxes = torch.tensor([[4.0, 4, 12, 12], [20, 20, 30, 30], [2, 2, 30, 30]])
    found = outputs(0, 3)._replace(offsets=torch.tensor([[10.0, 0, 0, 0], [10, 0, 0, 0], [0, 0, 5, 5]]))
    no = torch.zeros(3, dtype=torch.bool)
    sample = Sample(torch.tensor([2, 0, 1]), torch.tensor([1, 2, 0]), no, no)
    moved = regressed(found, boxes, sample, (32, 32), CommunityLearningTrain())
    torch.testing.assert_close(moved, torch.tensor([[0.0, 0, 32, 32], [12, 4, 20, 12], [20, 20, 30, 30]]))
    without = regressed(found, boxes, sample, (32, 32), CommunityLearningTrain(regression="none"))
    assert torch.equal(without, boxes[sample.rows])


@pytest.mark.parametrize("regression", ["sampled", "all"])
@pytest.mark.parametrize("segmentation", ["selected", "foreground", "sampled"])
def test_equations_5_and_9_count_the_regions_that_the_settings_say(monkeypatch, regression, segmentation):
    values = {"regression_regions": regression, "segmentation_regions": segmentation, "norm": "frozen"}
    model, one = network(**values, image_losses="mean", foreground_overlap=0.3), batch()[:1]
    boxes = one[0]["boxes"]
    kept = {}
    for module in ("detect", "segment"):
        original = getattr(model, module)
        monkeypatch.setattr(model, module, lambda *a, name=module, f=original: kept.setdefault(name, f(*a)))
    draw = objective.sample_proposals
    monkeypatch.setattr(objective, "sample_proposals", lambda *a: kept.setdefault("sample", draw(*a)))
    terms = batch_loss(model, one)
    sample, masks = kept["sample"], kept["segment"]
    foreground = find_foreground(
        refined_scores(kept["detect"].refined.detach())[:, 1:], boxes, one[0]["tags"], model.settings
    )
    listed = set(foreground.rows.tolist())
    objects = [n for n in range(len(sample.rows)) if sample.categories[n] > 0]
    truths = {int(c): int(r) for r, c in reversed(list(zip(foreground.rows, foreground.categories, strict=True)))}
    listed = set(truths.values()) if segmentation == "selected" else listed
    chosen = [n for n in objects if segmentation == "sampled" or int(sample.rows[n]) in listed]
    m = (masks.activation[chosen] > 0.4).tolist()
    wanted = plain.l_seg(masks.segmentation[chosen].tolist(), m)
    assert float(terms["segmentation"].detach()) == pytest.approx(wanted, rel=1e-4)
    rows = sample.rows.tolist() if regression == "sampled" else range(len(boxes))
    targets = boxes[list(truths.values())].tolist()
    loss = 0.0
    for r in rows:
        reached = [plain.overlap(boxes[r].tolist(), g) for g in targets]
        t = plain.offsets(*(plain.centered(box) for box in (boxes[r].tolist(), targets[int(np.argmax(reached))])))
        v = kept["detect"].offsets[r].tolist()
        if max(reached) > 0.6:
            loss += sum(plain.smooth_l1(t[k] / std - v[k]) for k, std in enumerate((0.1, 0.1, 0.2, 0.2)))
    assert float(terms["regression"].detach()) == pytest.approx(loss / len(rows), rel=1e-3, abs=1e-6)


def test_a_batch_without_tags_has_the_same_terms():
    samples = batch()
    blank = [{**sample, "tags": torch.zeros(3, dtype=torch.bool)} for sample in samples]
    assert batch_loss(network(), blank).keys() == batch_loss(network(), samples).keys()


class Scripted:
    """A network whose detector gives what it is told for each view."""

    def __init__(self, settings: CommunityLearningTrain, answers: list[Detections]) -> None:
        self.settings, self.answers = settings, answers

    def detect(self, maps: int, regions: torch.Tensor, chunk: int) -> Detections:
        return self.answers[maps]


def test_views_are_averaged_and_led_back_to_the_image():
    settings = CommunityLearningTrain(offset_std=(1, 1, 1, 1))
    boxes = torch.tensor([[10.0, 10, 30, 20], [40, 40, 50, 60]])
    right, none = torch.tensor([[0.1, 0, 0, 0]] * 2), torch.zeros(2, 4)
    first, second = outputs(1, 2)._replace(offsets=right), outputs(2, 2)._replace(offsets=none)
    views = [View(0, torch.full((4,), 2.0), True, 200), View(1, torch.ones(4), False, 100)]
    found = detect(Scripted(settings, [first, second]), views, boxes, None, CommunityLearningInfer())
    scores = (refined_scores(first.refined) + refined_scores(second.refined))[:, 1:] / 2
    torch.testing.assert_close(found.scores, scores.amax(1))
    assert found.categories.tolist() == (scores.argmax(1) + 1).tolist()
    # to the right in the mirrored picture is to the left in the image; the other view leaves the box where it is
    widths = boxes[:, 2] - boxes[:, 0]
    torch.testing.assert_close(found.boxes[:, 0], boxes[:, 0] - 0.1 * widths / 2)
    torch.testing.assert_close(found.boxes[:, 1::2], boxes[:, 1::2])


def test_of_class_specific_offsets_those_of_the_found_class_count():
    settings = CommunityLearningTrain(regression="class_specific", offset_std=(1, 1, 1, 1))
    boxes, answer = some_boxes(0, 5), outputs(3, 5, per_class=True)
    answer = answer._replace(offsets=answer.offsets / 10)
    view = View(0, torch.ones(4), False, 100)
    found = detect(Scripted(settings, [answer]), [view], boxes, None, CommunityLearningInfer())
    own = torch.stack([row[4 * c : 4 * c + 4] for row, c in zip(answer.offsets, found.categories - 1, strict=True)])
    torch.testing.assert_close(found.boxes, apply_offsets(boxes, own, (1, 1, 1, 1)))


def test_in_training_images_each_tag_has_its_best_box_and_no_other_class_is_found():
    answer = outputs(4, 6)
    answer.refined[:, :, 1] += 9  # class 0 is the likeliest everywhere
    view = View(0, torch.ones(4), False, 100)
    settings = CommunityLearningTrain(regression="none")
    found = detect(Scripted(settings, [answer]), [view], some_boxes(0, 6), TAGS, CommunityLearningInfer())
    scores = refined_scores(answer.refined)[:, 1:]
    rows = dict((c, r) for r, c in seeds_of(scores.numpy()))
    assert set(found.categories.tolist()) == {1, 3} and found.categories[rows[2]] == 3
    assert float(found.scores[rows[2]]) == pytest.approx(float(scores[rows[2], 2]))


def test_a_detection_without_a_mask_fills_its_box():
    model = network(norm="frozen", mask_threshold=1.0).eval()  # no mean of maps is above 1
    picture, settings = batch()[0]["picture"], CommunityLearningInfer(short_sides=(40,))
    found = find_instances(model, picture, some_boxes(0, 9, 32).numpy(), None, settings)
    assert len(found)
    for mask, (x1, y1, x2, y2) in zip(decode(found.rles, *picture.shape[1:]), found.boxes, strict=True):
        y, x = np.nonzero(mask)
        assert abs(x.min() - x1) <= 1 and abs(x.max() + 1 - x2) <= 1
        assert abs(y.min() - y1) <= 1 and abs(y.max() + 1 - y2) <= 1
        assert mask.sum() == (x.max() + 1 - x.min()) * (y.max() + 1 - y.min())


def test_masks_enter_the_crf_with_their_certainty(monkeypatch):
    entered = []

    def follow(picture, likely, boxes, settings):
        entered.append(likely)
        return likely > 0.5

    monkeypatch.setattr(infer, "follow_outlines", follow)
    model, picture = network(norm="frozen").eval(), batch()[0]["picture"]
    some, size = some_boxes(0, 9, 32).numpy(), picture.shape[1:]
    without = find_instances(model, picture, some, None, CommunityLearningInfer(short_sides=(40,)))
    settings = CommunityLearningInfer(short_sides=(40,), crf_iterations=2, certainty=0.8)
    refined = find_instances(model, picture, some, None, settings)
    np.testing.assert_allclose(entered[0], np.where(decode(without.rles, *size), 0.8, 0.2), rtol=1e-6)
    assert refined.rles == without.rles
    np.testing.assert_array_equal(refined.boxes, without.boxes)
