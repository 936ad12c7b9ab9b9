"""The contracts: what is written is read back, and what is not the contract is refused in one sentence."""

import multiprocessing
import pickle

import h5py
import numpy as np
import pytest
from artifacts import CLASSES, SIZE, nothing, picture, png, provenance, squares, write_images, write_labels
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import PATIENCE

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.features import Features, FeaturesWriter
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.instances import ImageInstances, Instances, write_instances
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.maps import SEMANTIC, Maps, MapsWriter
from wsis_steps.vision.contracts.points import Points, write_points
from wsis_steps.vision.masks import decode, describe, encode


def test_images_come_back_with_their_bytes_splits_tags_points_and_boxes(tmp_path):
    with create(tmp_path / "i.h5", Images.schema, provenance()) as file:
        writer = ImagesWriter(file)
        annotations = [
            Annotation(np.array([0, 1]), np.array([[1.5, 2, 1]]), np.zeros((0, 5))),
            Annotation(np.array([], int), np.zeros((0, 3)), np.array([[0, 1, 2, 3, 0], [4, 5, 6, 7, 1]])),
            Annotation(np.array([1]), np.array([[3, 4, 1], [5, 6, 1.0]]), np.array([[7, 8, 9, 10, 1]])),
        ]
        for k, annotation in enumerate(annotations):
            writer.add(f"näme {k}", ("train", "val", "train")[k], bytes([k] * (k + 1)), 10 + k, 20 + k, annotation)
        writer.close()
    images = Images(tmp_path / "i.h5")
    assert images.ids == ["näme 0", "näme 1", "näme 2"] and images.index["näme 2"] == 2 and len(images) == 3
    assert [images.encoded(i).tobytes() for i in range(3)] == [b"\0", b"\1\1", b"\2\2\2"]
    assert images.members("train").tolist() == [0, 2] and images.members("val").tolist() == [1]
    assert images.heights.tolist() == [10, 11, 12] and images.widths.tolist() == [20, 21, 22]
    assert images.tags.tolist() == [[True, True], [False, False], [False, True]]
    for i, annotation in enumerate(annotations):
        np.testing.assert_array_equal(images.points[i], annotation.points)
        np.testing.assert_array_equal(images.boxes[i], annotation.boxes)
    assert images.class_names == CLASSES and images.supervision == ("tags",)


@settings(max_examples=20, deadline=None)
@given(counts=st.lists(st.integers(0, 3), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_instances_come_back_whatever_an_image_holds(tmp_path_factory, counts, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("store") / "l.h5"
    written = []
    for count in counts:
        masks = rng.random((count, 7, 9)) < 0.5
        masks[:, 0, 0] = True
        columns = {"categories": rng.integers(0, 2, count), "scores": rng.random(count), "weights": rng.random(count)}
        ignore = encode(rng.random((1, 7, 9)) < 0.3)[0] if rng.random() < 0.5 else None
        written.append(describe(encode(masks), **columns, crowd=rng.random(count) < 0.5, ignore=ignore))
    ids = [str(k) for k in range(len(counts))]
    write_instances(path, provenance(), ids, [7] * len(ids), [9] * len(ids), written)
    for found, own in zip(Instances(path), written, strict=True):
        assert found.rles == own.rles
        assert found.ignore == own.ignore
        for name in ("categories", "scores", "weights", "boxes", "areas", "crowd"):
            np.testing.assert_array_equal(getattr(found, name), getattr(own, name))
            assert getattr(found, name).dtype == getattr(own, name).dtype


def test_weights_that_were_not_given_are_one(tmp_path):
    one = squares(0)
    plain = ImageInstances(one.rles, one.categories, one.scores, one.boxes, one.areas, one.crowd)
    write_instances(tmp_path / "l.h5", provenance(), ["a"], [SIZE], [SIZE], [plain])
    assert Instances(tmp_path / "l.h5").read(0).weights.tolist() == [1.0]


def test_no_images_at_all_is_a_file_too(tmp_path):
    write_instances(tmp_path / "l.h5", provenance(), [], [], [], [])
    assert len(Instances(tmp_path / "l.h5")) == 0 and list(Instances(tmp_path / "l.h5")) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"heights": [SIZE - 1]}, "masks of"),
        ({"ids": [], "heights": [], "widths": []}, "shorter"),
        ({"category": 7}, r"categories \[7\] with 2 classes"),
        ({"category": -1}, r"categories \[-1\] with 2 classes"),
    ],
)
def test_instances_that_would_mislead_a_reader_are_not_written(tmp_path, change, words):
    found = describe(encode(np.ones((1, SIZE, SIZE), bool)), np.array([change.pop("category", 0)]))
    table = {"ids": ["a"], "heights": [SIZE], "widths": [SIZE]} | change
    with pytest.raises(ValueError, match=words):
        write_instances(tmp_path / "l.h5", provenance(), *table.values(), [found])
    assert not (tmp_path / "l.h5").exists()


def test_maps_of_different_sizes_and_counts_come_back(tmp_path):
    rng = np.random.default_rng(0)
    stacks = [rng.random(shape).astype(np.float16) for shape in ((2, 4, 6), (0, 3, 5), (1, 5, 2))]
    with create(tmp_path / "m.h5", Maps.schema, provenance()) as file:
        writer = MapsWriter(file, (5, 6), np.float16)
        for k, (stack, categories) in enumerate(zip(stacks, ([1, 0], [], [1]), strict=True)):
            writer.add(str(k), 40 + k, 50 + k, stack, categories)
        writer.close()
    maps = Maps(tmp_path / "m.h5")
    for i, categories in enumerate(([1, 0], [], [1])):
        stack, found = maps.read(i)
        np.testing.assert_array_equal(stack, stacks[i])
        assert found.tolist() == categories
    assert maps.heights.tolist() == [40, 41, 42]  # of the images, not of the maps


def test_features_of_several_sizes_come_back(tmp_path):
    rng = np.random.default_rng(0)
    sizes = [[(4, 6), (2, 3)], [(5, 2), (1, 1)]]
    written = [[rng.normal(size=(3, *size)).astype(np.float16) for size in both] for both in sizes]
    with create(tmp_path / "f.h5", Features.schema, provenance()) as file:
        writer = FeaturesWriter(file, 3, (5, 6))
        for k, maps in enumerate(written):
            writer.add(str(k), 40 + k, 50 + k, maps)
        writer.close()
    features = Features(tmp_path / "f.h5")
    assert features.dataset("features").chunks == (1, 3, 5, 6)
    for i, maps in enumerate(written):
        for found, own in zip(features.read(i), maps, strict=True):
            np.testing.assert_array_equal(found, own)
    assert features.heights.tolist() == [40, 41] and features.widths.tolist() == [50, 51]  # of the images


def write_features(path, first: int, largest=(5, 6)):
    """Two images, from number `first` on, with two maps each."""
    rng = np.random.default_rng(first)
    with create(path, Features.schema, provenance()) as file:
        writer = FeaturesWriter(file, 3, largest)
        for k in range(first, first + 2):
            writer.add(str(k), 40, 50, [rng.normal(size=(3, k % 5 + 1, side)).astype(np.float16) for side in (6, 2)])
        writer.close()
    return path


def test_joined_features_are_those_of_the_parts_and_need_chunks_of_one_size(tmp_path):
    parts = [write_features(tmp_path / f"{k}.h5", k) for k in (0, 2)]
    join_shards(parts, tmp_path / "joined.h5")
    joined = Features(tmp_path / "joined.h5")
    assert joined.ids == ["0", "1", "2", "3"] and joined.dataset("features").chunks == (1, 3, 5, 6)
    own = [maps for part in map(Features, parts) for maps in map(part.read, range(2))]
    for i, maps in enumerate(own):
        for found, expected in zip(joined.read(i), maps, strict=True):
            np.testing.assert_array_equal(found, expected)
    other = write_features(tmp_path / "other.h5", 4, largest=(5, 7))
    with pytest.raises(InputError, match=r"other\.h5 and .*0\.h5 have maps of different sizes; delete both"):
        join_shards([parts[0], other], tmp_path / "again.h5")
    assert not (tmp_path / "again.h5").exists()


def test_a_semantic_map_is_one_row_marked_as_such(tmp_path):
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    with create(tmp_path / "m.h5", Maps.schema, provenance()) as file:
        writer = MapsWriter(file, (8, 8), np.uint8)
        writer.add("a", 3, 4, labels[None])
        writer.close()
    maps = Maps(tmp_path / "m.h5")
    np.testing.assert_array_equal(maps.semantic(0), labels)
    assert maps.read(0)[1].tolist() == [SEMANTIC]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(maps)).semantic(0), labels)  # after a dataset was looked up


def test_a_map_costs_its_own_size_whatever_the_largest_of_the_file(tmp_path):
    rng = np.random.default_rng(0)
    stacks = [rng.integers(0, 20, shape).astype(np.uint8) for shape in ((90, 120), (700, 530), (1, 1300))]
    with create(tmp_path / "m.h5", Maps.schema, provenance()) as file:
        writer = MapsWriter(file, (4000, 6000), np.uint8)
        for k, labels in enumerate(stacks):
            writer.add(str(k), *labels.shape, labels[None])
        assert np.prod(writer.maps.chunks) <= 2**18  # what is compressed at once, in memory twice
        written = writer.maps.id.get_num_chunks()
        writer.close()
    assert written == 1 + 4 + 3  # of 96 a row
    maps = Maps(tmp_path / "m.h5")
    for i, labels in enumerate(stacks):
        np.testing.assert_array_equal(maps.semantic(i), labels)


def test_points_come_back_image_by_image(tmp_path):
    rows = [np.array([[1, 2, 0, 0.5]]), np.zeros((0, 4)), np.array([[3, 4, 1, 1], [5, 6, 0, 0.25]])]
    write_points(tmp_path / "p.h5", provenance(), ["a", "b", "c"], [9] * 3, [9] * 3, rows)
    points = Points(tmp_path / "p.h5")
    for i, own in enumerate(rows):
        np.testing.assert_array_equal(points.read(i), own.astype(np.float32))


def _read_in_child(labels, file, ids, queue):
    queue.put((labels.read(1).rles, labels.file is file, labels.dataset("image/id") is ids))


def test_an_artifact_crosses_a_fork_and_a_pickle_and_opens_its_own_file(tmp_path):
    labels = Instances(write_labels(tmp_path / "l.h5"))
    expected, ids = labels.read(1).rles, labels.dataset("image/id")  # opened before the fork
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_read_in_child, args=(labels, labels.file, ids, queue))
    child.start()
    assert queue.get(timeout=PATIENCE) == (expected, False, False)
    child.join()
    assert pickle.loads(pickle.dumps(labels)).read(1).rles == expected


def test_the_root_says_what_made_the_file(tmp_path):
    write_labels(tmp_path / "l.h5")
    with h5py.File(tmp_path / "l.h5") as file:
        about = {name: value.decode() if isinstance(value, bytes) else value for name, value in file.attrs.items()}
    assert about["schema"] == "instances" and about["step"] == "test" and about["code"] == "0123"
    assert about["class_names"] == '["cat", "dog"]' and about["supervision"] == '["tags"]'


def check_refused(contract, path, *words):
    with pytest.raises(InputError) as caught:
        contract(path)
    text = str(caught.value)
    assert str(path) in text and all(word in text for word in words) and "\n" not in text


def test_a_missing_a_foreign_and_a_truncated_file_are_refused(tmp_path):
    check_refused(Images, tmp_path / "absent.h5", "does not exist")
    (tmp_path / "text.h5").write_text("no HDF5")
    check_refused(Images, tmp_path / "text.h5", "truncated")
    whole = write_images(tmp_path / "i.h5").read_bytes()
    for share in (0.1, 0.5, 0.99):
        (tmp_path / "cut.h5").write_bytes(whole[: int(len(whole) * share)])
        check_refused(Images, tmp_path / "cut.h5", "truncated")


def test_another_kind_is_refused(tmp_path):
    check_refused(Images, write_labels(tmp_path / "l.h5"), "'instances'", "'images'")


def test_another_version_is_refused(tmp_path):
    with h5py.File(write_labels(tmp_path / "l.h5"), "a") as file:
        file.attrs["schema_version"] = 99
    check_refused(Instances, tmp_path / "l.h5", "version 99", "version 2")


def test_helpers_of_these_tests_agree_with_themselves(tmp_path):
    images = Images(write_images(tmp_path / "i.h5"))
    assert images.encoded(3).tobytes() == png(picture(3))
    inside = decode(squares(3).rles, SIZE, SIZE)[0] > 0
    assert picture(3)[inside].min() >= 150 > picture(3)[~inside].max()
    x, y, category = images.points[3][0].astype(int)
    assert inside[y, x] and category == 1 and len(nothing()) == 0
