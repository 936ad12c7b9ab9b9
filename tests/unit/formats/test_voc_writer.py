"""What is exported as PASCAL VOC is read to the same masks."""

import cv2
import numpy as np
import pytest
from voc_trees import read_voc

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.labelled import LabelledImage, Labels
from wsis_steps.formats.voc import looks_like
from wsis_steps.formats.voc_masks import read_png_masks
from wsis_steps.formats.voc_writer import write_voc
from wsis_steps.vision.masks import decode, describe, encode

CLASSES = ("b & w <cat>", "dog", "zebra")
SIZES = [(40, 50), (33, 21), (16, 16)]


def blobs(seed, height, width):
    """Three random blobs with holes and parts, no two of which share a pixel."""
    noise = np.random.default_rng(seed).normal(size=(3, height, width)).astype(np.float32)
    found = np.stack([cv2.GaussianBlur(plane, (0, 0), 3) > 0.06 for plane in noise]).astype(np.uint8)
    return found * (np.cumsum(found, axis=0) == 1)


def labelled(identity, suffix, masks, **described):
    height, width = masks.shape[1:]
    data = cv2.imencode(suffix, np.full((height, width, 3), 90, np.uint8))[1].tobytes()
    found = describe(encode(masks), np.arange(len(masks)) % 3, **described)
    return LabelledImage(identity, data, suffix, height, width, found)


def write(out, *images, class_names=CLASSES, split="train"):
    return write_voc(out, Labels(images, len(images), class_names, split, True, "drawn"))


def test_masks_that_do_not_overlap_come_back_with_their_classes(tmp_path):
    images = [labelled(f"im {k}", ".jpg" if k == 0 else ".png", blobs(k, *size)) for k, size in enumerate(SIZES[:2])]
    images.append(labelled("im 2", ".png", np.zeros((0, *SIZES[2]), np.uint8)))
    path = write(tmp_path, *images)
    assert path.read_text().split() == ["im_0", "im_1", "im_2"]
    assert (tmp_path / "JPEGImages/im_0.jpg").read_bytes() == images[0].data
    dataset = read_voc(tmp_path, val=None)
    assert dataset.class_names == list(CLASSES)
    truth = {image.id.replace(" ", "_"): image.instances for image in images}
    for record in dataset.records:
        found, instances = dataset.truth(record), truth[record.id]
        assert {rle["counts"] for rle in found.masks} == {rle["counts"] for rle in instances.rles}
        np.testing.assert_array_equal(np.sort(found.categories), np.sort(instances.categories))
        np.testing.assert_array_equal(np.sort(record.boxes[:, :4], axis=0), np.sort(instances.boxes, axis=0))
    assert not dataset.left_out and not dataset.doubts
    assert dataset.counts["shapes"] == 2 * sum(len(image.instances) for image in images)


def test_crowds_and_ignored_pixels_become_void_and_small_masks_lie_on_top(tmp_path):
    masks = np.zeros((3, 20, 30), np.uint8)
    masks[0, 2:12, 2:20], masks[1, 4:8, 5:9], masks[2, 15:, :10] = 1, 1, 1
    ignore = np.zeros((20, 30), np.uint8)
    ignore[:2] = 1
    crowd = np.array([False, False, True])
    image = labelled("a", ".png", masks, crowd=crowd, ignore=encode(ignore[None])[0])
    write(tmp_path, image)
    dataset = read_voc(tmp_path, val=None)
    truth = dataset.truth(dataset.records[0])
    found = decode(truth.masks, 20, 30)
    np.testing.assert_array_equal(found[0], masks[0] & ~masks[1] & 1)
    np.testing.assert_array_equal(found[1], masks[1])
    np.testing.assert_array_equal(decode([truth.ignore], 20, 30)[0], ignore | masks[2])
    assert dataset.records[0].tags == (0, 1)


def test_an_export_looks_like_voc_and_lacks_the_list_of_the_other_split(tmp_path):
    write(tmp_path, labelled("a", ".png", blobs(0, 40, 50)))
    assert looks_like(tmp_path)
    with pytest.raises(InputError, match=r"no list 'val', .*ImageSets/Segmentation; valid: train"):
        read_voc(tmp_path)
    write(tmp_path, labelled("b", ".png", blobs(1, 40, 50)), split="val")
    assert [record.split for record in read_voc(tmp_path).records] == ["train", "val"]


def test_what_a_byte_does_not_hold_is_refused(tmp_path):
    with pytest.raises(InputError, match="VOC's PNGs hold 254 classes, these labels have 255"):
        write(tmp_path, class_names=[f"class {k}" for k in range(255)])
    twice = [labelled(name, ".png", np.zeros((0, 8, 8), np.uint8)) for name in ("a b", "a_b")]
    with pytest.raises(InputError, match="two images would have the name 'a_b'"):
        write(tmp_path, *twice)


def test_of_more_objects_than_a_byte_holds_the_surest_are_kept(tmp_path):
    masks = np.zeros((256, 16, 32), np.uint8)
    for k in range(256):
        masks[k, k // 16, 2 * (k % 16)] = 1
    write(tmp_path, labelled("a", ".png", masks, scores=np.linspace(0.1, 0.9, 256)))
    found = read_png_masks(tmp_path / "SegmentationObject/a.png", tmp_path / "SegmentationClass/a.png")
    assert len(found.instances) == 254
    assert not decode([one.code for one in found.instances], 16, 32)[:, 0, :4].any()
