"""One writer a file: locks between processes, names of unfinished files, and what killed processes leave of them."""

import errno
import fcntl
import multiprocessing
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from full_disk import disk_of
from other_writer import OtherWriter

from wsis_steps.engine import writers
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.writers import one_writer, one_writer_of_folder, partial_name, plain, put_in_place, whole

context = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(writers, "WAIT", 0.0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", [one_writer, one_writer_of_folder])
def test_a_second_writer_is_told_who_the_first_is_and_comes_when_that_has_ended(tmp_path, kind):
    path = tmp_path / "out/file"
    other = OtherWriter(path, kind=kind).holds()
    with (
        pytest.raises(InputError, match=rf"{path} is being written by process {other.process.pid} on [\w-]+;"),
        kind(path),
    ):
        raise AssertionError("must not be reached")
    assert other.end() == 0
    with kind(path):
        pass
    assert [name for name in names(tmp_path) if name.startswith(".")] == []


def test_a_second_writer_waits_for_one_that_is_about_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "WAIT", 600.0)
    first = OtherWriter(tmp_path / "file").holds()
    second = OtherWriter(tmp_path / "file")
    assert not second.ours.poll(0.2)
    first.release()
    second.holds()
    first.process.join()
    assert (first.process.exitcode, second.end()) == (0, 0)


def test_one_common_path_is_enough(tmp_path):
    other = OtherWriter(tmp_path / "b", tmp_path / "c").holds()
    with pytest.raises(InputError, match=r"/c is being written"), one_writer(tmp_path / "a", tmp_path / "c"):
        raise AssertionError("must not be reached")
    with one_writer(tmp_path / "a", tmp_path / "d"):  # and what was held on the way is free again
        pass
    assert other.end() == 0


def test_the_lock_of_a_killed_process_is_free_though_its_child_lives_on(tmp_path):
    def hold_with_a_child(*paths):
        stack = ExitStack()
        stack.enter_context(one_writer(*paths))
        child = os.fork()
        if not child:
            signal.pause()
        (tmp_path / "child").write_text(str(child))
        return stack

    other = OtherWriter(tmp_path / "file", kind=hold_with_a_child).holds()
    other.kill()
    try:
        with one_writer(tmp_path / "file"):
            pass
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert names(tmp_path) == ["child"]


def count_up(folder: Path, times: int) -> None:
    for _ in range(times):
        with one_writer(folder / "number"):
            number = int((folder / "number").read_text())
            assert not (folder / "inside").exists()
            (folder / "inside").touch()
            (folder / "number").write_text(str(number + 1))
            (folder / "inside").unlink()


def test_of_many_processes_one_at_a_time_is_in(tmp_path, monkeypatch):
    """The lock file comes and goes with each, which must let none slip past."""
    monkeypatch.setattr(writers, "WAIT", 600.0)
    monkeypatch.setattr(writers.time, "sleep", lambda seconds: os.sched_yield())
    (tmp_path / "number").write_text("0")
    processes = [context.Process(target=count_up, args=(tmp_path, 200), daemon=True) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "number").read_text() == "800" and names(tmp_path) == ["number"]


def dead_pid() -> int:
    process = context.Process(target=int)
    process.start()
    process.join()
    return process.pid


def test_leftovers_of_killed_writers_go_and_nothing_else_does(tmp_path):
    long = "n" * 250
    mine = [".file.node-1-17-0123abcd.partial", f".file.x-{os.getpid()}-0123abcd.partial.ranks"]
    others = [
        ".file2.x-17-0123abcd.partial",
        ".file.partial",
        ".file.x-17-0123ABCD.partial",
        "file.x-17-0123abcd.partial",
    ]
    for name in (*mine, *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    partial_name(tmp_path / long).touch()
    with one_writer(tmp_path / "file", tmp_path / long):
        pass
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_leftovers_in_a_folder_go(tmp_path):
    (tmp_path / "masks").mkdir()
    partial_name(tmp_path / "masks/a.png").touch()
    (tmp_path / "masks/.a.partial").touch()
    living = f".b.{writers._host()}-{os.getppid()}-0123abcd.partial"  # a step may write here, under a lock of its own
    (tmp_path / "masks" / living).touch()
    with one_writer_of_folder(tmp_path):
        assert names(tmp_path) == [".a.partial", living, ".wsis.lock", "masks"]
    assert names(tmp_path) == [".a.partial", living, "masks"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_a_living_process_keeps_its_unfinished_file(tmp_path, monkeypatch, caplog, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    living, dead = (f".file.{writers._host()}-{pid}-0123abcd.partial" for pid in (os.getppid(), dead_pid()))
    elsewhere = ".file.node7-1-0123abcd.partial"
    for name in (living, dead, elsewhere):
        (tmp_path / name).touch()
    with one_writer(tmp_path / "file"), one_writer(tmp_path / "file"):
        pass
    assert names(tmp_path) == sorted([living, elsewhere])
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path} lies on a file system without locks: two processes may write the same file at once"
    ]


def test_a_lock_that_is_a_link_changes_nothing_elsewhere(tmp_path):
    (tmp_path / "precious").write_text("text")
    (tmp_path / ".file.lock").symlink_to("precious")
    with pytest.raises(OSError, match=r"\.file\.lock"), one_writer(tmp_path / "file"):
        raise AssertionError("must not be reached")
    assert (tmp_path / "precious").read_text() == "text"


def test_a_file_is_whole_or_as_before(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), whole(path) as part:
        part.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and names(tmp_path) == ["file"]
    with whole(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and names(tmp_path) == ["file"]


def test_a_folder_takes_the_place_of_a_folder(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    put_in_place(tmp_path / "new", tmp_path / "old")
    assert names(tmp_path) == ["new", "old"] and names(tmp_path / "old") == ["new"]


def test_a_full_disk_is_one_sentence_with_the_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with disk_of(3), pytest.raises(InputError) as raised, whole(path) as part:
        part.write_text("four")
    assert str(raised.value) == f"The disk is full: {path}; nothing was kept of the unfinished output."
    assert path.read_text() == "old" and names(tmp_path) == ["file"]
    with disk_of(3), pytest.raises(InputError, match=f"full: {path};"), whole(tmp_path / "outer"), whole(path) as part:
        part.write_text("four")


def test_people_read_the_name_of_the_file(tmp_path):
    for name in ("model.pt", "tree"):
        assert plain(f"[Errno 5] {partial_name(tmp_path / name)}/a: bad") == f"[Errno 5] {tmp_path / name}/a: bad"


def test_no_two_names_are_equal(tmp_path):
    assert len({partial_name(tmp_path / "file") for _ in range(1000)}) == 1000
    assert all(len(os.fsencode(partial_name(tmp_path / name).name)) <= 255 for name in ("ä" * 127, "a" * 180))
