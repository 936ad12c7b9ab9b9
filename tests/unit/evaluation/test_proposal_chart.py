"""The curves of proposals as a picture, and the published figures in it."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from wsis_steps.evaluation.proposal_chart import BOTTOM, HEIGHT, LEFT, PANELS, RIGHT, TOP, WIDTH, proposal_chart
from wsis_steps.evaluation.published_proposals import ProposalCurve, published_curves

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = np.array([10.0, 100, 1000])


def curve(name="own", numbers=NUMBERS, **values):
    return ProposalCurve(name, numbers, {key: np.array(value, float) for key, value in values.items()})


def drawn(own, published=()):
    """Per panel: its title and, per curve, points in shares of the plotted area and its attributes."""
    panels = []
    for group in ElementTree.fromstring(proposal_chart("a < b", own, published)).findall(f"{SVG}g[@transform]"):
        lines = []
        for line in group.findall(f"{SVG}polyline"):
            points = np.array([p.split(",") for p in line.get("points").split()], float).reshape(-1, 2)
            x = (points[:, 0] - LEFT) / (WIDTH - RIGHT - LEFT)
            y = (HEIGHT - BOTTOM - points[:, 1]) / (HEIGHT - BOTTOM - TOP)
            lines.append((x, y, line.get("stroke-dasharray"), line.findtext(f"{SVG}title")))
        panels.append((group.findtext(f"{SVG}text"), lines))
    return panels


def test_curves_pass_through_their_values_over_a_logarithmic_number():
    ((title, ((x, y, dash, said),)),) = drawn(curve(j_instances=[0, 0.5, 1]))
    assert title == PANELS["j_instances"] and dash is None
    assert x == pytest.approx([0, 0.5, 1], abs=1e-3) and y == pytest.approx([0, 0.5, 1], abs=1e-3)
    assert said == "own: 0.000 at 10, 0.500 at 100, 1.000 at 1,000"


def test_a_panel_for_each_figure_that_is_ours_with_what_is_published_of_it_dashed():
    other = curve("theirs", numbers=np.array([100.0, 10_000]), recall50=[0.2, 0.4], box_recall70=[0, 1])
    panels = drawn(curve(recall50=[0, 0, 0.3], box_abo=[0.1, 0.2, 0.3]), [other])
    assert [title for title, _ in panels] == [PANELS["recall50"], PANELS["box_abo"]]
    (own, theirs), (alone,) = panels[0][1], panels[1][1]
    assert own[2] is None is alone[2] and theirs[2]
    assert own[0] == pytest.approx([0, 1 / 3, 2 / 3], abs=1e-3) and theirs[0] == pytest.approx([1 / 3, 1], abs=1e-3)
    assert theirs[1] == pytest.approx([0.2, 0.4], abs=1e-3)


def test_no_proposals_at_all_and_undefined_figures_still_make_a_picture():
    ((_, ((x, y, _, _),)),) = drawn(curve(numbers=np.zeros(3), j_classes=[0, np.nan, 0]))
    assert len(x) == len(y) == 2 and np.isfinite([x, y]).all()


def test_names_are_text():
    root = ElementTree.fromstring(proposal_chart("a < b", curve("<i>&", j_instances=[0, 0, 0]), []))
    assert root.get("aria-label") == "a < b"
    assert "<i>&" in [text.text for text in root.iter(f"{SVG}text")]


def test_published_curves_rise_and_are_fractions():
    curves = [*published_curves("voc2012"), *published_curves("coco2017")]
    assert len({published.name for published in curves}) == len(curves) == 6
    for published in curves:
        assert (np.diff(published.numbers) > 0).all()
        assert set(published.values) <= set(PANELS)
        for values in published.values.values():
            assert values.shape == published.numbers.shape and (np.diff(values) > 0).all()
            assert values[0] > 0 and values[-1] < 1
        assert (published.values["recall70"] < published.values["recall50"]).all()


@pytest.mark.parametrize(
    ("dataset", "name", "number", "figures"),
    [
        ("voc2012", "MCG, VOC 2012 val", 500, (0.726, 0.819, 0.622)),
        ("voc2012", "SCG, VOC 2012 val", 2126, (0.754, 0.871, 0.663)),
        ("voc2012_imagenet", "MCG, SBD val", 1942, (0.735, 0.877, 0.643)),
        ("coco2017", "MCG, COCO 2014 val", 100, (0.378, 0.369, 0.194)),
        ("coco2017", "SCG, COCO 2014 val", 2111, (0.534, 0.578, 0.324)),
    ],
)
def test_published_figures(dataset, name, number, figures):
    (found,) = (published for published in published_curves(dataset) if published.name == name)
    k = found.numbers.tolist().index(number)
    assert tuple(round(found.values[key][k], 3) for key in ("j_instances", "recall50", "recall70")) == pytest.approx(
        figures, abs=1.1e-3
    )


def test_other_data_have_no_published_curves():
    assert published_curves("shapes") == ()
