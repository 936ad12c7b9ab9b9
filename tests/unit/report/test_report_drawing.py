import base64
import json
import re

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import ndimage

from wsis_steps.drawing.colors import class_colors, shade
from wsis_steps.drawing.raster import heatmap
from wsis_steps.engine.errors import InputError
from wsis_steps.evaluation.axes import log_ticks, ticks
from wsis_steps.report.curves import Series, line_chart, read_series, run_style, value_scale
from wsis_steps.report.pictures import (
    MOST,
    instances_overlay,
    jpeg_address,
    outline,
    points_overlay,
    semantic_overlay,
)
from wsis_steps.report.tables import summary_html
from wsis_steps.vision.masks import describe, encode

NAMES = ("cat", "dog")


def fill(path, shape):
    """The pixels inside or on a path of whole pixels, by the even-odd rule: OpenCV as the renderer."""
    mask = np.zeros(shape, np.uint8)
    rings = [np.array(ring.split(), int).reshape(-1, 1, 2) for ring in re.findall(r"M([^Z]*)Z", path)]
    cv2.fillPoly(mask, rings, 1)
    cv2.polylines(mask, rings, True, 1)
    return mask


@pytest.mark.parametrize("seed", range(8))
def test_an_outline_encloses_its_mask(seed):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(90, 120)), 5)
    mask = (noise > 0.02).astype(np.uint8)
    drawn = fill(outline(mask), mask.shape)
    both, either = (drawn & mask).sum(), (drawn | mask).sum()
    assert either - both <= 0.03 * either  # corners of half a pixel


def test_outlines_keep_holes_and_single_pixels():
    mask = np.zeros((30, 40), np.uint8)
    mask[2:20, 3:30] = 1
    mask[6:12, 8:20] = 0
    mask[25, 35] = 1
    assert np.array_equal(fill(outline(mask), mask.shape), mask)
    assert outline(mask).count("M") == 3


def test_an_empty_mask_has_no_outline():
    assert outline(np.zeros((4, 4), bool)) == ""


@pytest.mark.parametrize("count", [1, 20, 90])
def test_classes_have_colors_of_their_own(count):
    colors = class_colors(count)
    assert len(set(colors)) == count
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors)


def test_neighbours_of_a_class_differ_in_shade():
    shades = [shade("#4080c0", place) for place in range(4)]
    assert shades[0] == "#4080c0" == shades[3]
    brightness = [sum(bytes.fromhex(color[1:])) for color in shades]
    assert brightness[1] > brightness[0] > brightness[2]


def decoded(address):
    kind, data = address.split(",")
    assert kind == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_an_embedded_picture_is_the_picture():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20] = 200, 40, 90
    assert np.abs(decoded(jpeg_address(picture, 100, 95)).astype(int) - picture).mean() < 3


@pytest.mark.parametrize("shape", [(100, 300), (300, 100), (300, 300)])
def test_large_pictures_shrink_in_proportion(shape):
    found = decoded(jpeg_address(np.zeros((*shape, 3), np.uint8), 150)).shape[:2]
    assert found == tuple(side // 2 for side in shape)


def squares(count, scores):
    masks = np.zeros((count, 40, 50), np.uint8)
    for k in range(count):
        masks[k, : 2 + k, : 3 + k] = 1
    return describe(encode(masks), np.arange(count) % 2, np.array(scores))


def test_instances_carry_class_name_and_score():
    overlay = instances_overlay(squares(2, [0.25, 0.5]), 40, 50, NAMES, class_colors(2), scored=True)
    assert re.findall(r'<g data-c="(\d)" data-s="([\d.]+)">', overlay.svg) == [("1", "0.5000"), ("0", "0.2500")]
    assert re.findall(r"<text[^>]*>([^<]*)<", overlay.svg) == ["dog 0.50", "cat 0.25"]  # the smaller one on top
    assert overlay.found == ((1, 0.5), (0, 0.25))


def test_truth_has_no_scores():
    overlay = instances_overlay(squares(2, [1, 1]), 40, 50, NAMES, class_colors(2), scored=False)
    assert "data-s" not in overlay.svg and ">cat</text>" in overlay.svg


def test_of_many_instances_the_strongest_are_drawn():
    scores = np.linspace(0.1, 0.9, MOST + 5)
    overlay = instances_overlay(squares(MOST + 5, scores), 40, 50, NAMES, class_colors(2), scored=True)
    drawn = sorted(float(score) for score in re.findall(r'data-s="([\d.]+)"', overlay.svg))
    assert drawn == pytest.approx(scores[5:], abs=1e-4)


def test_ignored_regions_are_no_instances():
    region = np.zeros((40, 50), np.uint8)
    region[30:, 30:] = 1
    instances = describe([], np.zeros(0, int), ignore=encode(region[None])[0])
    overlay = instances_overlay(instances, 40, 50, NAMES, class_colors(2), scored=False)
    path = re.search(r'class="ignore" d="([^"]*)"', overlay.svg)[1]
    assert np.array_equal(fill(path, region.shape), region) and overlay.found == ()


def test_names_start_inside_the_picture():
    masks = np.zeros((3, 40, 90), np.uint8)
    masks[0, :5, :5] = masks[1, 20:30, 40:50] = masks[2, 30:, 85:] = 1
    overlay = instances_overlay(describe(encode(masks), np.zeros(3, int)), 40, 90, NAMES, class_colors(2), False)
    places = {anchor: int(x) for x, anchor in re.findall(r'x="(\d+)" y="\d+" text-anchor="(\w+)"', overlay.svg)}
    assert places == {"start": 0, "middle": 45, "end": 90}


def test_semantic_regions_cover_their_labels():
    labels = np.zeros((30, 30), np.uint8)
    labels[2:12, 2:12], labels[15:25, 5:25], labels[27:] = 2, 1, 255
    overlay = semantic_overlay(labels, NAMES, class_colors(2))
    regions = dict(re.findall(r'data-c="(\d)"><path class="region" d="([^"]*)"', overlay.svg))
    for category, path in regions.items():
        assert np.array_equal(fill(path, labels.shape), labels == int(category) + 1)
    assert set(regions) == {"0", "1"} and "unsure" in overlay.svg


def test_heat_takes_the_color_of_the_strongest_class():
    picture = np.full((8, 8, 3), 100, np.uint8)
    maps = np.zeros((2, 8, 8), np.float16)
    maps[0, :, :4], maps[1, :, 4:] = 1, 0.5
    found = heatmap(picture, maps, np.array([1, 0]), ["#ff0000", "#0000ff"])
    assert found[0, 0].tolist() == [0, 0, 255]
    assert found[0, 7] == pytest.approx([(45 + 255) / 2, 22.5, 22.5], abs=1)


def test_without_maps_the_picture_is_dim_and_gray():
    picture = np.full((4, 5, 3), (10, 200, 30), np.uint8)
    found = heatmap(picture, np.zeros((0, 2, 3)), np.zeros(0, int), [])
    assert found.shape == picture.shape and np.ptp(found) == 0 and found.max() < 100


def test_points_show_confidence_where_there_is_one():
    overlay = points_overlay(np.array([[1, 2, 0, 0.5]]), 10, 20, NAMES, class_colors(2))
    assert "<title>cat 0.50</title>" in overlay.svg and 'cx="1.0" cy="2.0"' in overlay.svg
    assert "<title>dog</title>" in points_overlay(np.array([[1, 2, 1]]), 10, 20, NAMES, class_colors(2)).svg


@example(1.0, 41.0, 3)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(3, 8))
def test_ticks_are_round_few_and_inside(low, length, most):
    high = low + length
    found = np.array(ticks(low, high, most))
    slack = 1e-6 * length
    assert 1 <= len(found) <= most
    assert found.min() >= low - slack and found.max() <= high + slack
    if len(found) > 1:
        steps = np.diff(found)
        assert np.allclose(steps, steps[0], rtol=1e-6)
        leading = steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-9)
        assert np.isclose(leading, [1, 2, 5, 10], rtol=1e-5).any()


@given(st.floats(1e-6, 1e3), st.floats(31, 1e8))
def test_logarithmic_ticks_lie_inside(low, ratio):
    found = log_ticks(low, low * ratio)
    assert 2 <= len(found) <= 6
    assert min(found) >= low and max(found) <= low * ratio


@given(st.floats(1e-6, 1e6), st.floats(1, 31))
def test_a_narrow_logarithmic_range_has_ticks_too(low, ratio):
    found, slack = log_ticks(low, low * ratio), 1e-9 * low * ratio
    assert 1 <= len(found) <= 6
    assert min(found) >= low - slack and max(found) <= low * ratio + slack


def series(values, name="run", place=0):
    return Series(name, place, np.arange(1, len(values) + 1), {"total": np.array(values, float)})


@pytest.mark.parametrize("values", [[4.0, 3, 2, 1], [100.0, 10, 1, 0.1]])
def test_a_curve_passes_through_its_values(values):
    chart = line_chart("total", [series(values)])
    points = np.array([p.split(",") for p in re.search(r'points="([^"]*)"', chart)[1].split()], float)
    scale = value_scale(np.array(values))
    share = (scale.start - points[:, 1]) / (scale.start - scale.end)
    if scale.logarithmic:
        back = scale.low * (scale.high / scale.low) ** share
    else:
        back = scale.low + share * (scale.high - scale.low)
    assert back == pytest.approx(values, rel=0.02)
    assert np.diff(points[:, 0]) == pytest.approx(np.ptp(points[:, 0]) / 3, abs=0.1)
    assert ("logarithmic" in chart) == scale.logarithmic == (values[0] == 100)


def test_zeros_keep_the_scale_linear_and_gaps_are_left_out():
    assert not value_scale(np.array([0.0, 100, 1e-5])).logarithmic
    chart = line_chart("total", [series([1, np.nan, 3])])
    assert len(re.search(r'points="([^"]*)"', chart)[1].split()) == 2 and "nan" not in chart


def test_a_curve_of_nothing_is_an_empty_chart():
    assert "<polyline" not in line_chart("total", [])
    assert 'points=""' in line_chart("total", [series([np.nan])])


def test_charts_say_who_went_from_what_to_what():
    chart = line_chart("total", [series([2, 1], "a"), series([4, 3], "b<c", 1)])
    assert 'aria-label="total: a from 2 to 1; b&lt;c from 4 to 3"' in chart


def test_runs_have_lines_of_their_own():
    assert len({run_style(place) for place in range(32)}) == 32


def test_metrics_are_read_as_written(tmp_path):
    lines = [
        {"iteration": 5, "learning_rate": 1, "a": 2.0, "total": 3.0},
        {"iteration": 9, "learning_rate": 1, "total": 1.0},
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = read_series(tmp_path / "m.jsonl", "run", 3)
    assert found.iterations.tolist() == [5, 9] and list(found.terms) == ["a", "total"]
    np.testing.assert_equal(found.terms["a"], [2.0, np.nan])


@pytest.mark.parametrize("text", ["{", "[1]\n", '{"total": 1}\n'])
def test_broken_metrics_are_refused(tmp_path, text):
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(InputError, match="not a metrics file"):
        read_series(tmp_path / "m.jsonl", "run", 0)


def test_a_summary_of_one_line_is_a_table_and_one_of_none_is_its_notes():
    head = "| run | AP50 |\n| --- | ---: |\n"
    assert "<td>a</td>" in summary_html(head + "| a | 1.0 |\n\nIn percent.\n", "figures")
    assert summary_html(head + "\nIn percent.\n", "figures") == "<p class='note'>In percent.</p>"


def test_a_summary_of_two_tables_is_two_tables_and_their_notes():
    runs = "| run | AP50 |\n| --- | ---: |\n| a | 1.0 |\n"
    proposals = "| proposals | 100 | all |\n| --- | ---: | ---: |\n| mcg | 2.0 | 3.0 |\n"
    found = summary_html(f"{runs}\n{proposals}\nIn percent.\n", "figures")
    assert re.findall("<caption>(.*?)</caption>", found) == ["figures", "proposals: figures"]
    assert re.findall('<td(?: class="number")?>(.*?)</td>', found) == ["a", "1.0", "mcg", "2.0", "3.0"]
    assert found.endswith("<p class='note'>In percent.</p>") and found.count("<p") == 1
