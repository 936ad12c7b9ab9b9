"""The file of proposals: what is written is read back, and what is not the contract is refused in one sentence."""

import pickle

import h5py
import numpy as np
import pytest
from artifacts import provenance, write_labels
from full_disk import disk_of
from hypothesis import given, settings
from hypothesis import strategies as st
from region_proposals import KINDS, SHAPES, random_proposals

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.proposals import Proposals, ProposalsWriter, encode
from wsis_steps.vision.regions import BoxProposals, RegionProposals


def write(path, kind, images):
    """A file of these images' proposals; image k is called `näme k`."""
    with create(path, Proposals.schema, provenance(supervision=("masks_seen",))) as file:
        writer = ProposalsWriter(file, kind)
        for k, (proposals, shape) in enumerate(images):
            writer.add(f"näme {k}", *shape, *encode(proposals))
        writer.close()
    return path


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    sizes=st.lists(st.tuples(st.integers(0, 6), st.sampled_from(SHAPES)), max_size=5),
    seed=st.integers(0, 999),
)
def test_proposals_come_back_whatever_an_image_holds(tmp_path_factory, kind, sizes, seed):
    made = [random_proposals(kind, count, *shape, seed + k) for k, (count, shape) in enumerate(sizes)]
    path = tmp_path_factory.mktemp("proposals") / "p.h5"
    write(path, kind, [(own, shape) for (own, _), (_, shape) in zip(made, sizes, strict=True)])
    found = Proposals(path)
    assert found.kind == kind and found.ids == [f"näme {k}" for k in range(len(sizes))]
    assert list(zip(found.heights, found.widths, strict=True)) == [shape for _, shape in sizes]
    for i, (own, masks) in enumerate(made):
        read = found.read(i)
        assert type(read) is type(own) and len(read) == len(own)
        for name in ("boxes", "scores"):
            np.testing.assert_array_equal(getattr(read, name), getattr(own, name))
            assert getattr(read, name).dtype == np.float32
        np.testing.assert_array_equal(read.masks(slice(None)), masks)
        np.testing.assert_array_equal(read.areas, own.areas)
        np.testing.assert_array_equal(read.pairwise(), own.pairwise())


def test_members_are_cut_to_the_superpixels_of_the_map(tmp_path):
    superpixels = np.array([[0, 1], [2, 2]], np.int32)
    members = np.zeros((2, 11), bool)
    members[0, :2], members[1, 2] = True, True
    boxes = np.array([[0, 0, 2, 1], [0, 1, 2, 2]], np.float32)
    regions = RegionProposals(boxes, np.array([0.5, 0.25], np.float32), superpixels, members)
    read = Proposals(write(tmp_path / "p.h5", "regions", [(regions, (2, 2))])).read(0)
    assert read.superpixels.dtype == np.int32 and read.members.dtype == bool
    np.testing.assert_array_equal(read.members, members[:, :3])


def test_a_map_of_thousands_of_superpixels_comes_back(tmp_path):
    superpixels = np.arange(40_000, dtype=np.int32).reshape(200, 200)
    members = np.random.default_rng(0).random((3, 40_000)) < 0.3
    regions = RegionProposals(np.zeros((3, 4), np.float32), np.ones(3, np.float32), superpixels, members)
    read = Proposals(write(tmp_path / "p.h5", "regions", [(regions, (200, 200))])).read(0)
    np.testing.assert_array_equal(read.superpixels, superpixels)
    np.testing.assert_array_equal(read.members, members)


def test_a_file_crosses_a_pickle(tmp_path):
    proposals, masks = random_proposals("masks", 3, 5, 7, 0)
    found = Proposals(write(tmp_path / "p.h5", "masks", [(proposals, (5, 7))]))
    found.read(0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).read(0).masks(slice(None)), masks)


def test_the_root_says_the_kind_and_what_was_seen(tmp_path):
    write(tmp_path / "p.h5", "boxes", [])
    found = Proposals(tmp_path / "p.h5")
    assert found.supervision == ("masks_seen",) and found.kind == "boxes"
    assert found.attributes["schema"] == "proposals" and found.attributes["kind"] == "boxes"


def test_another_artifact_and_another_version_are_refused(tmp_path):
    labels = write_labels(tmp_path / "l.h5")
    with pytest.raises(InputError, match=r"l\.h5 holds 'instances', but 'proposals' is needed here"):
        Proposals(labels)
    path = write(tmp_path / "p.h5", "boxes", [])
    with pytest.raises(InputError, match=r"p\.h5 holds 'proposals', but 'instances' is needed here"):
        Instances(path)
    with h5py.File(path, "a") as file:
        file.attrs["schema_version"] = 3
    with pytest.raises(InputError, match=r"p\.h5 has schema version 3 of 'proposals'"):
        Proposals(path)


def test_a_full_disk_is_an_ordinary_error(tmp_path):
    boxes = np.tile(np.array([0, 0, 9, 9], np.float32), (20_000, 1))
    one = BoxProposals(boxes, np.ones(len(boxes), np.float32), 9, 9)
    with disk_of(200_000), pytest.raises(OSError, match="File too large"):
        write(tmp_path / "p.h5", "boxes", [(one, (9, 9))] * 10)
