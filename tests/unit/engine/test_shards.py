"""Shards cover every image once, in order, and joined they are the file of a single job."""

from pathlib import Path

import numpy as np
import pytest
from artifacts import edited, provenance, write_images
from hypothesis import given
from hypothesis import strategies as st
from proposal_sets import random_proposals

from wsis_steps.engine import shards as shards_of
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.shards import BLOCK, divide, members_of_shard
from wsis_steps.engine.step import Job
from wsis_steps.postprocess.merge_shards import main
from wsis_steps.postprocess.settings import PostprocessMergeShards
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.proposals import Proposals, encode, write_proposals


@given(count=st.integers(0, 300), shards=st.integers(1, 40))
def test_shards_are_neighbours_of_whole_blocks_and_nearly_equal_size(count, shards):
    parts = [members_of_shard(count, f"{k}/{shards}") for k in range(1, shards + 1)]
    assert np.array_equal(np.concatenate(parts), np.arange(count))
    sizes = [len(part) for part in parts]
    assert all(part[0] % BLOCK == 0 for part in parts if len(part))
    assert max(sizes) - min(sizes) < 2 * BLOCK


@pytest.mark.parametrize("text", ["", "0/4", "5/4", "1/0", "1", "a/b", "1/4/4", "-1/4", "1.5/4"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(InputError, match="--shard is"):
        members_of_shard(10, text)


def write_shards(folder: Path, kind: str, count: int, step: str = "test") -> list[Path]:
    """The same random proposals of eight images, in `count` files."""
    images = Images(write_images(folder / "images.h5"))
    paths = [folder / f"{kind}_{k}_of_{count}.h5" for k in range(1, count + 1)]
    for k, path in enumerate(paths, 1):
        members = members_of_shard(len(images), f"{k}/{count}")
        found = (encode(random_proposals(np.random.default_rng(int(i)), kind, int(i) % 5, 32, 32)) for i in members)
        write_proposals(path, provenance(step=step), kind, images, members, found)
    return paths


@pytest.fixture
def single(monkeypatch):
    """Blocks of one image: the eight of the tests fill several shards."""
    monkeypatch.setattr(shards_of, "BLOCK", 1)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 11])
@pytest.mark.parametrize("kind", ["boxes", "regions", "masks"])
def test_joined_shards_are_the_bytes_of_one_job(tmp_path, single, kind, count):
    [whole] = write_shards(tmp_path, kind, 1)
    shards = write_shards(tmp_path, kind, count)
    main(Job("merge", PostprocessMergeShards(), {"shards": shards}, {"merged": tmp_path / "merged.h5"}))
    assert (tmp_path / "merged.h5").read_bytes() == whole.read_bytes()
    assert len(Proposals(whole)) == 8


def test_a_commit_between_two_jobs_changes_nothing(tmp_path, single):
    first, second = write_shards(tmp_path, "boxes", 2)
    with edited(second) as file:
        file.attrs["commit"] = "another"
    main(Job("merge", PostprocessMergeShards(), {"shards": [first, second]}, {"merged": tmp_path / "merged.h5"}))
    assert len(Proposals(tmp_path / "merged.h5")) == 8


def test_shards_that_were_made_differently_are_refused(tmp_path, single):
    first, _ = write_shards(tmp_path, "boxes", 2)
    (tmp_path / "other").mkdir()
    _, second = write_shards(tmp_path / "other", "boxes", 2, step="another")
    with pytest.raises(InputError, match="made differently"):
        main(Job("merge", PostprocessMergeShards(), {"shards": [first, second]}, {"merged": tmp_path / "merged.h5"}))
    assert not (tmp_path / "merged.h5").exists()


@given(count=st.integers(0, 300), shards=st.integers(1, 9), parts=st.integers(1, 9), data=st.data())
def test_a_shard_falls_into_shards(count, shards, parts, data):
    shard = f"{data.draw(st.integers(1, shards))}/{shards}"
    found = [members_of_shard(count, part) for part in divide(shard, parts)]
    assert len(found) == parts
    assert np.array_equal(np.concatenate(found), members_of_shard(count, shard))
