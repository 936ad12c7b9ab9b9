"""Good files that cannot be opened are told from damaged ones, by every reader of them."""

import errno
import fcntl
import logging
import os
from contextlib import contextmanager

import h5py
import pytest
from artifacts import write_images, write_labels
from calls import call
from published_proposals import write_boxes

from wsis_steps.commands.configuration import read_yaml
from wsis_steps.engine.documents import read_document, read_lines
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.hdf5 import _tell_without_locks, open_hdf5
from wsis_steps.proposals.importers.mat_files import read_variables
from wsis_steps.report.columns import open_artifact
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.joining import open_shards
from wsis_steps.vision.tensor_file import read_tensor_file


@contextmanager
def open_for_writing(path):
    """The lock that HDF5 holds on a file that it has open for writing."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def refused(monkeypatch, number, with_locks_only=False, text=""):
    """HDF5 opens no file, for the reason of an error number."""
    opened = h5py.File

    def fail(path, mode="r", locking=None):
        if locking is False and with_locks_only:
            return opened(path, mode, locking=False)
        raise OSError(number, text or os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(h5py, "File", fail)
        yield


@pytest.mark.parametrize("read", [Instances, open_artifact, open_hdf5, read_document, read_lines, read_yaml,
                                  lambda path: read_variables(path, ("boxes",)), read_tensor_file])  # fmt: skip
def test_what_is_no_ordinary_file_is_refused_unopened(tmp_path, read):
    """Opening a pipe to which nobody writes would wait for ever."""
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(InputError, match=f"^{tmp_path / 'pipe.h5'} cannot be read: it is a folder, a pipe or a device"):
        read(tmp_path / "pipe.h5")


def test_a_step_refuses_a_pipe_as_input(tmp_path):
    os.mkfifo(tmp_path / "maps.h5")
    done = call("classifier.find_peaks", maps=tmp_path / "maps.h5", peaks=tmp_path / "peaks.h5")
    assert (done.status, done.traceback) == (2, False) and "maps.h5 cannot be read: it is a" in done.errors[0]


READERS = {"artifact": Instances, "any artifact": open_artifact, "shards": lambda path: open_shards([path])}


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_another_program_writes_to_is_locked_not_damaged(tmp_path, reader):
    path = write_labels(tmp_path / "l.h5")
    with open_for_writing(path), pytest.raises(InputError) as caught:
        READERS[reader](path)
    assert str(caught.value) == (
        f"{path} is locked: another program has it open for writing; close it there and run again."
    )
    READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_of_somebody_else_is_forbidden_not_damaged(tmp_path, reader, monkeypatch):
    path = write_labels(tmp_path / "l.h5")
    for number in (errno.EACCES, errno.EPERM):
        with refused(monkeypatch, number), pytest.raises(InputError) as caught:
            READERS[reader](path)
        assert "may not be read: permission denied" in str(caught.value) and "delete" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOLCK, ""),
        (errno.EOPNOTSUPP, ""),
        (errno.EINVAL, "Unable to open file (unable to lock file, errno = 22)"),
    ],
)
def test_where_there_are_no_locks_files_are_read_without(tmp_path, number, text, monkeypatch, caplog):
    path = write_labels(tmp_path / "l.h5")
    _tell_without_locks.cache_clear()
    with caplog.at_level(logging.WARNING), refused(monkeypatch, number, with_locks_only=True, text=text):
        assert len(Instances(path)) == len(Instances(path)) == 6
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path} lies on a file system without locks; its HDF5 files are read without one"
    ]


def test_what_cannot_be_opened_even_without_a_lock_is_told_as_such(tmp_path, monkeypatch):
    path = write_labels(tmp_path / "l.h5")
    for number, words in ((errno.ENOLCK, "HDF5_USE_FILE_LOCKING=FALSE"), (errno.EMFILE, "Too many open files")):
        with refused(monkeypatch, number), pytest.raises(InputError) as caught:
            open_hdf5(path)
        assert words in str(caught.value) and "delete" not in str(caught.value)


def test_a_mat_file_that_is_locked_is_no_damaged_one(tmp_path):
    path = write_boxes(tmp_path / "b.mat", "7.3", {"image0": [[0, 0, 9, 9]]})
    with open_for_writing(path), pytest.raises(InputError, match=r"b\.mat is locked"):
        read_variables(path, ("boxes", "images"))


def test_a_step_tells_of_a_locked_input_and_leaves_nothing(tmp_path):
    images, labels = write_images(tmp_path / "i.h5"), write_labels(tmp_path / "l.h5")
    outputs = {name: tmp_path / name for name in ("model", "metrics")}
    with open_for_writing(labels):
        done = call("maskrcnn.train", images=images, labels=labels, **outputs)
    assert (done.status, done.traceback) == (2, False) and "l.h5 is locked" in done.errors[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.h5", "l.h5"]
