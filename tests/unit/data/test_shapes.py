"""The generated data set: what it promises of its pictures, and that workers cannot change it."""

from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from scipy import ndimage

from wsis_steps.data import shape_looks, shapes
from wsis_steps.data.settings import DataDrawShapes
from wsis_steps.formats.voc_masks import palette


def drawn(size: int, train: int, val: int, seed: int) -> DataDrawShapes:
    return DataDrawShapes(image_size=size, train=train, val=val, seed=seed)


def _pictures(count: int, difficulty: float = 1.0, size: int = 96):
    for index in range(count):
        yield shapes.draw_image(np.random.default_rng([7, index]), size, difficulty)


def test_picture_and_maps_have_the_promised_shapes_and_values():
    for image, instance_map, semantic_map in _pictures(20, size=72):
        assert image.shape == (72, 72, 3)
        assert {image.dtype, instance_map.dtype, semantic_map.dtype} == {np.dtype(np.uint8)}
        ids = np.unique(instance_map)
        assert ids.tolist() == list(range(len(ids)))  # no gap, with background
        assert 2 <= len(ids) <= 6
        categories = np.unique(semantic_map[semantic_map > 0])
        assert 1 <= len(categories) <= 3
        assert categories.max() <= len(shape_looks.CLASS_NAMES)
        np.testing.assert_array_equal(semantic_map > 0, instance_map > 0)


def test_an_instance_has_one_class_and_a_fair_size():
    for _, instance_map, semantic_map in _pictures(60):
        for instance in range(1, instance_map.max() + 1):
            inside = instance_map == instance
            assert len(np.unique(semantic_map[inside])) == 1
            assert 15 <= inside.sum() <= np.pi * (1.2 * 0.24 * 96) ** 2


def test_every_class_and_touching_neighbours_are_common():
    seen, touching, count = set(), 0, 80
    for _, instance_map, semantic_map in _pictures(count):
        seen |= set(np.unique(semantic_map).tolist())
        _, blobs = ndimage.label(semantic_map > 0, np.ones((3, 3)))
        touching += blobs < instance_map.max()
    assert seen == set(range(7))
    assert touching > 0.25 * count


@pytest.mark.parametrize("category", range(len(shape_looks.CLASS_NAMES)))
def test_the_distance_function_draws_the_named_outline(category):
    x = np.linspace(-1.5, 1.5, 301)
    inside = shape_looks._outline(category, x[None], x[:, None]) < 0
    area = inside.sum() * 0.01**2
    side = 0.56 * 2 * np.sqrt(3)  # of a triangle with inradius 0.56
    closed_form = {
        "disc": np.pi * 0.92**2,
        "ring": np.pi * (0.98**2 - 0.42**2),
        "square": 1.6**2,
        "triangle": side**2 * np.sqrt(3) / 4,
        "cross": 4 * 2 * 0.34 - (2 * 0.34) ** 2,
        "star": 10 * 0.5 * 1.12 * 0.52 * np.sin(np.pi / 5),
    }
    assert area == pytest.approx(closed_form[shape_looks.CLASS_NAMES[category]], rel=0.02)


def test_patterns_differ_between_classes():
    grid = np.arange(0, 4, 0.05)
    s, t = np.meshgrid(grid, grid)
    patterns = [shape_looks._pattern(c, s, t) for c in range(len(shape_looks.CLASS_NAMES))]
    for pattern in patterns:
        assert pattern.min() >= 0
        assert pattern.max() <= 1
    plain = shape_looks.CLASS_NAMES.index("star")
    assert patterns[plain].max() == 0
    assert all(p.std() > 0.2 for c, p in enumerate(patterns) if c != plain)


def test_difficulty_adds_noise_distractors_and_overlap():
    def figures(difficulty):
        edges, touching = [], 0
        for image, ids, _ in _pictures(25, difficulty):
            steps = np.abs(np.diff(image.astype(int), axis=1))
            edges.append(steps[(ids[:, 1:] == 0) & (ids[:, :-1] == 0)].mean())
            touching += ndimage.label(ids > 0, np.ones((3, 3)))[1] < ids.max()
        return np.mean(edges), touching

    easy, normal = figures(0.0), figures(1.0)
    assert easy[0] < 0.6 * normal[0]
    assert easy[1] < 0.6 * normal[1]


@pytest.mark.parametrize(("shift", "kept"), [(6.0, [1]), (16.0, [1, 1])])
def test_an_instance_hidden_by_more_than_sixty_percent_is_left_out(shift, kept):
    def look(x, color):
        colors = np.tile(np.array(color, float), (2, 1))
        return shape_looks.Look(1, (x, 30.0), 20.0, 0.0, 1.0, colors, 5.0, 0.0, (0.0, 0.0), 0.0)

    # Of two discs whose centers lie d radii apart, 1 - (2 acos(d/2) - d sqrt(1 - d^2/4)) / pi of the rear one shows.
    d = shift / (0.92 * 20)
    assert (1 - (2 * np.arccos(d / 2) - d * np.sqrt(1 - d**2 / 4)) / np.pi > 0.4) == (len(kept) == 2)
    canvas = np.zeros((80, 80, 3), np.float32)
    picture, owner, found = shapes._compose([look(30.0, (1, 0, 0)), look(30.0 + shift, (0, 1, 0))], canvas)
    assert found == kept
    assert owner.max() == len(kept)
    assert (picture[..., 1].max() > 0) == (len(kept) == 2)


def test_occluders_win():
    def look(x, category):
        return shape_looks.Look(category, (x, 30.0), 15.0, 0.0, 1.0, np.ones((2, 3)), 5.0, 0.0, (0.0, 0.0), 0.0)

    _, owner, kept = shapes._compose([look(25.0, 1), look(40.0, 3)], np.zeros((60, 60, 3), np.float32))
    assert kept == [1, 3]
    y, x = np.mgrid[:60, :60] + 0.5
    disc = np.hypot(x - 25, y - 30) < 0.92 * 15
    np.testing.assert_array_equal(owner == 1, disc)


def test_the_same_settings_give_the_same_files_whoever_draws(tmp_path):
    shapes.draw_voc_tree(tmp_path / "a", drawn(48, 3, 2, 5))
    with ThreadPoolExecutor(2) as pool:
        shapes.draw_voc_tree(tmp_path / "b", drawn(48, 3, 2, 5), mapper=pool.map)
    shapes.draw_voc_tree(tmp_path / "c", drawn(48, 3, 2, 6))
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 5 * 4 + 3
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    first = "JPEGImages/train_00000.jpg"
    assert (tmp_path / "a" / first).read_bytes() != (tmp_path / "c" / first).read_bytes()
    # Training and evaluation images of one index are different pictures.
    assert (tmp_path / "a" / first).read_bytes() != (tmp_path / "a/JPEGImages/val_00000.jpg").read_bytes()


def test_more_images_keep_the_earlier_ones(tmp_path):
    shapes.draw_voc_tree(tmp_path / "a", drawn(48, 2, 1, 0))
    shapes.draw_voc_tree(tmp_path / "b", drawn(48, 4, 1, 0))
    for name in ("train_00001", "val_00000"):
        for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationObject", "png")):
            file = f"{folder}/{name}.{suffix}"
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_annotations_give_the_boxes_of_the_masks_one_based(tmp_path):
    shapes.draw_voc_tree(tmp_path, drawn(64, 1, 1, 2))
    ids = np.array(Image.open(tmp_path / "SegmentationObject/train_00000.png"))
    objects = ElementTree.parse(tmp_path / "Annotations/train_00000.xml").findall("object")
    assert len(objects) == ids.max()
    for instance, item in enumerate(objects, 1):
        y, x = ndimage.find_objects((ids == instance).astype(int))[0]
        corners = [int(item.findtext(f"bndbox/{tag}")) for tag in ("xmin", "ymin", "xmax", "ymax")]
        assert corners == [x.start + 1, y.start + 1, x.stop, y.stop]


def test_the_palette_is_that_of_voc():
    colors = np.array(palette()).reshape(256, 3)
    assert colors[[0, 1, 2, 8, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [64, 0, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]


@pytest.mark.parametrize("wrong", [{"image_size": 8}, {"train": 0}, {"val": 0}, {"seed": -1}, {"difficulty": -1}])
def test_settings_that_draw_nothing_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        DataDrawShapes(**wrong)
