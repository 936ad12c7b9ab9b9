"""What is counted while results are written, against counting pixel by pixel."""

from collections import Counter

import numpy as np
import pytest
from artifacts import provenance
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from instance_sets import SIZE, decode, instances, rectangle, rectangles

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.counts import add_counts, compare_rounds, count_instances, count_map, expect_labels

ONE = instances([rectangle(1, 1, 5, 5)], [0])
lists = st.lists(rectangles(), min_size=1, max_size=5)


def counted(found, tagged, name="labels"):
    counts = Counter()
    assert list(count_instances(found, np.array(tagged), name, counts)) == list(found)
    return counts


@given(lists, st.data())
@settings(max_examples=50, deadline=None)
def test_instances_are_counted_as_they_pass_and_shards_add_up(found, data):
    tagged = data.draw(st.lists(st.booleans(), min_size=len(found), max_size=len(found)))
    counts = counted(found, tagged)
    assert counts == {
        "images": len(found),
        "expected": sum(tagged),
        "without": sum(1 for one, wanted in zip(found, tagged, strict=True) if wanted and len(one) == 0),
        "labels": sum(len(one.rles) for one in found),
    }
    cut = data.draw(st.integers(0, len(found)))  # a shard may be empty
    assert add_counts([counted(found[:cut], tagged[:cut]), counted(found[cut:], tagged[cut:])]) == counts


@given(st.lists(st.tuples(rectangles(), rectangles()), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_labels_that_are_found_again_are_those_of_a_search_one_by_one(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("rounds") / "before.h5"
    before, found = zip(*pairs, strict=True)
    ids, heights, widths = [f"image{k}" for k in range(len(pairs))], [SIZE[0]] * len(pairs), [SIZE[1]] * len(pairs)
    write_instances(path, provenance(), ids, heights, widths, before)
    expected = 0
    for then, now in pairs:
        for mask, category in zip(decode(then), then.categories, strict=True):
            overlaps = [0.0]
            for other, kind in zip(decode(now), now.categories, strict=True):
                if kind == category and (mask | other).any():
                    overlaps.append((mask & other).sum() / (mask | other).sum())
            expected += max(overlaps) >= 0.5
    counts = Counter()
    rounds = compare_rounds(found[::-1], ids[::-1], Instances(path), counts)  # found by name, whatever the order
    assert list(rounds) == list(found[::-1])
    assert counts == {"before": sum(map(len, before)), "again": expected}


def test_labels_are_expected_of_tagged_images_and_under_points_of_those_that_have_one(tmp_path):
    with create(tmp_path / "images.h5", Images.schema, provenance()) as file:
        writer = ImagesWriter(file)
        for k, (tags, points) in enumerate((([], 0), ([1], 0), ([0], 1), ([0, 1], 2))):
            marks = Annotation(np.array(tags, np.int64), np.ones((points, 3)), np.zeros((0, 5)))
            writer.add(f"image{k}", "train", b"", 12, 16, marks)
        writer.close()
    images, members = Images(tmp_path / "images.h5"), np.array([3, 1, 0, 2])
    for supervision, expected in (("tags", [True, True, False, True]), ("points", [True, False, False, True])):
        assert expect_labels(images, members, supervision).tolist() == expected


def test_a_round_before_of_other_images_is_refused(tmp_path):
    write_instances(tmp_path / "before.h5", provenance(), ["image0"], [12], [16], [ONE])
    with pytest.raises(InputError, match="before.h5 has no image 'image1'"):
        list(compare_rounds([ONE], ["image1"], Instances(tmp_path / "before.h5"), Counter()))


@given(st.lists(st.tuples(arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 254, 255])), st.booleans())))
@settings(max_examples=50, deadline=None)
def test_label_maps_are_counted_pixel_by_pixel(maps):
    counts, expected = Counter(), Counter()
    for labels, tagged in maps:
        count_map(labels, np.bool_(tagged), counts)
        values = [int(value) for row in labels for value in row]
        inside = sum(0 < value < 255 for value in values)
        expected.update({"images": 1, "expected": int(tagged)})
        if tagged:
            expected.update({"background": values.count(0), "unsure": values.count(255), "class": inside})
            expected.update({"without_class": int(inside == 0), "filled": int(inside / 30 > 0.8)})
    assert counts == expected
    assert all(type(value) is int for value in counts.values())  # JSON knows no others
