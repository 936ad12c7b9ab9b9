"""What every step shares: command line, outputs that are whole or absent, exit status, digests."""

import errno
import json
import logging
import os
import signal
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch
from other_writer import OtherWriter

from wsis_steps.engine import writers
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.progress import Meter, duration
from wsis_steps.engine.provenance import digest
from wsis_steps.engine.settings import Settings, canonical
from wsis_steps.engine.step import Job, Step


class Values(Settings):
    """Settings of the step of these tests."""

    width: int = 3
    name: str = "a"


STEP = Step("test_step", Values, inputs=("first",), optional=("second",), outputs=("one", "two"))


@pytest.fixture(autouse=True)
def _signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def call(tmp_path):
    """Runs a main with an input and two outputs, more arguments behind; gives its exit status."""
    (tmp_path / "first").write_text("data")

    def run(main, *more, one="out/one", two="out/two"):
        paths = ["--first", tmp_path / "first", "--one", tmp_path / one, "--two", tmp_path / two]
        with pytest.raises(SystemExit) as ended:
            STEP.run(main, [str(value) for value in (*paths, *more)])
        return ended.value.code

    return run


def write_both(job: Job) -> None:
    job.outputs["one"].write_text(job.settings.name * job.settings.width)
    job.outputs["two"].write_text(job.inputs["first"].read_text())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_outputs_appear_when_all_is_done(call, tmp_path):
    def main(job):
        write_both(job)
        assert not (tmp_path / "out/one").exists()  # until main returns

    assert call(main, "--settings", '{"width": 2}') == 0
    assert (tmp_path / "out/one").read_text() == "aa" and (tmp_path / "out/two").read_text() == "data"
    assert files(tmp_path) == ["first", "one", "two"]


def test_an_output_may_be_a_folder_and_replaces_the_old_one(call, tmp_path):
    def main(job):
        job.outputs["one"].mkdir()
        (job.outputs["one"] / str(job.settings.width)).touch()
        job.outputs["two"].touch()

    assert call(main) == 0 and call(main, "--settings", '{"width": 9}') == 0
    assert files(tmp_path / "out/one") == ["9"]


def failing(error):
    def main(job):
        write_both(job)
        raise error

    return main


def caused_by(first: Exception, second: Exception) -> Exception:
    second.__context__ = first
    return second


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("image.jpg is damaged."), 2, "image.jpg is damaged."),
        (OSError(errno.ENOSPC, "No space left", "/data/x"), 2, "The disk is full: /data/x; nothing was kept"),
        (OSError(errno.EFBIG, "File too large"), 2, "/out/two; nothing was kept of the unfinished output."),
        (caused_by(OSError(errno.ENOSPC, "No space left"), RuntimeError("unexpected pos")), 2, "The disk is full: /"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), 2, "No permission to read or write (/data/x)"),
        (OSError(errno.EROFS, "Read-only file system", "/data/x"), 2, "No permission to read or write (/data/x)"),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory", "/file/x"),
            2,
            "/file/x cannot be used: Not a directory.",
        ),
        (OSError("Can't synchronously read data (inflate() failed)"), 2, "An input is damaged"),
        (MemoryError(), 2, "Out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), 2, "Out of memory"),
        (BrokenProcessPool("A process was terminated abruptly"), 2, "A worker process died."),
        (KeyboardInterrupt(), 130, "Interrupted"),
    ],
)
def test_what_people_can_put_right_is_one_sentence(call, tmp_path, capsys, error, status, words):
    assert call(failing(error)) == status
    said = capsys.readouterr().err
    assert words in said.splitlines()[-1] and "Traceback" not in said
    assert files(tmp_path) == ["first"]


def test_torch_says_when_memory_is_short_and_so_does_the_step(call, capsys):
    assert call(lambda job: torch.empty(1 << 60)) == 2
    assert "Out of memory" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyError("x"), ZeroDivisionError(), FileNotFoundError(errno.ENOENT, "gone", "/x")])
def test_a_fault_of_the_program_keeps_its_traceback(call, tmp_path, capsys, error):
    assert call(failing(error)) == 1
    assert "Traceback" in capsys.readouterr().err and files(tmp_path) == ["first"]


def test_old_outputs_stay_when_a_run_fails(call, tmp_path):
    assert call(write_both) == 0
    assert call(failing(InputError("no"))) == 2
    assert (tmp_path / "out/one").read_text() == "aaa"


@pytest.mark.parametrize("taken", ["out/two", "work"])
def test_a_second_job_on_an_output_or_a_work_folder_is_told_so(call, tmp_path, capsys, monkeypatch, taken):
    monkeypatch.setattr(writers, "WAIT", 0.0)
    assert call(write_both) == 0
    other = OtherWriter(tmp_path / taken).holds()
    capsys.readouterr()
    assert call(failing(AssertionError("is not called")), "--work", tmp_path / "work") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"{tmp_path / taken} is being written by process {other.process.pid} on " in said
    assert other.end() == 0 and files(tmp_path) == ["first", "one", "two"]
    assert call(write_both, "--work", tmp_path / "work") == 0


def test_two_jobs_that_the_file_system_cannot_keep_apart_make_a_whole_file(call, tmp_path, monkeypatch):
    """The second begins and ends while the first writes."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    def first(job):
        job.outputs["one"].write_text("first, ")
        assert call(second) == 0 and (tmp_path / "out/one").read_text() == "second"
        with job.outputs["one"].open("a") as file:
            file.write("whole")
        job.outputs["two"].touch()

    def second(job):
        job.outputs["one"].write_text("second")
        job.outputs["two"].touch()

    monkeypatch.setattr(writers.fcntl, "lockf", refuse)
    monkeypatch.setattr(writers, "_is_dead", lambda pid: False)  # these are two jobs of one process
    assert call(first) == 0 and (tmp_path / "out/one").read_text() == "first, whole"
    assert files(tmp_path) == ["first", "one", "two"]


def test_leftovers_of_a_killed_run_are_removed_first(call, tmp_path):
    (tmp_path / "out/.one.host-1-0123abcd.partial").mkdir(parents=True)
    (tmp_path / "out/.two.host-1-0123abcd.partial").write_text("half")

    def main(job):
        assert not job.outputs["one"].exists() and not job.outputs["two"].exists()
        write_both(job)

    assert call(main) == 0 and files(tmp_path) == ["first", "one", "two"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--settings", '{"widht": 3}'], ["there is no key 'widht', the nearest is 'width'", "test_step"]),
        (["--settings", '{"width": "three"}'], ["'width' is 'three' but should be a valid integer"]),
        (["--settings", '{"width": 3'], ["--settings is not JSON"]),
        (["--settings", "[]"], ["test_step"]),
        (["--threads", "0"], ["--threads is 0; it must be at least 1."]),
        (["--second", "/absent/file"], ["/absent/file does not exist."]),
    ],
)
def test_a_wrong_call_is_one_sentence(call, tmp_path, capsys, arguments, words):
    assert call(write_both, *arguments) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "settings {" not in line]
    assert all(word in line for word in words), line
    assert files(tmp_path) == ["first"]


@pytest.mark.parametrize(
    "arguments",
    [["--first", "x"], ["--one", "x", "--two", "y"], ["--first", "x", "--one", "x", "--two", "y", "--three"]],
)
def test_missing_and_unknown_arguments_show_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        STEP.run(write_both, arguments)
    assert ended.value.code == 2 and "usage:" in capsys.readouterr().err


def test_help_tells_what_the_step_does_and_takes(capsys):
    with pytest.raises(SystemExit) as ended:
        STEP.run(write_both, ["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0 and __doc__ in text
    assert all(f"--{name}" in text for name in ("first", "second", "one", "two", "settings", "threads", "work"))


def test_an_output_below_a_file_is_said(call, tmp_path, capsys):
    assert call(write_both, one="first/one") == 2
    assert str(tmp_path / "first") in capsys.readouterr().err.splitlines()[-1]
    assert files(tmp_path) == ["first"]


def test_a_log_that_cannot_be_written_stops_nothing(call, tmp_path):
    assert call(write_both, "--log", tmp_path / "first/log") == 0
    assert call(write_both, "--log", tmp_path / "logs/log") == 0
    lines = (tmp_path / "logs/log").read_text().splitlines()
    assert 'test_step, settings {"name":"a","width":3}' in lines[0] and "wrote" in lines[-1] and "out/two" in lines[-1]


def test_the_job_carries_what_the_command_line_says(call, tmp_path):
    def main(job):
        write_both(job)
        assert (job.threads, job.code, job.work) == (5, "abc", tmp_path / "work") and job.inputs["second"] is None
        about = job.provenance(["cat"], ["tags", "points", "tags"], extra=1)
        assert about.step == "test_step" and about.settings == canonical({"width": 3, "name": "a", "extra": 1})
        assert about.supervision == ("points", "tags") and about.inputs == {"first": digest(job.inputs["first"])}
        assert about.code == "abc"

    assert call(main, "--threads", 5, "--code", "abc", "--work", tmp_path / "work") == 0


def test_work_is_kept_on_failure_and_removed_when_done(call, tmp_path):
    def main(job):
        job.work.mkdir(exist_ok=True)
        (job.work / "checkpoint").touch()
        write_both(job)
        if job.settings.width == 0:
            raise InputError("no")

    assert call(main, "--work", tmp_path / "work", "--settings", '{"width": 0}') == 2
    assert (tmp_path / "work/checkpoint").exists()
    assert call(main, "--work", tmp_path / "work") == 0
    assert not (tmp_path / "work").exists()


def test_sigterm_ends_a_step_without_checkpoints_at_once(call, tmp_path):
    def main(job):
        write_both(job)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("goes on")

    assert call(main) == 143 and files(tmp_path) == ["first"]


def test_sigterm_lets_a_training_save_first_and_a_second_one_does_not(call, tmp_path):
    def main(job):
        write_both(job)
        signal.raise_signal(signal.SIGTERM)
        assert job.terminated  # a loop would save and leave here
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("goes on")

    assert call(main, "--work", tmp_path / "work") == 143 and files(tmp_path) == ["first"]


def test_inputs_that_take_several_files_and_values_that_are_text(tmp_path):
    step = Step("test_step", Values, inputs=("many",), several=("many",), values=("rows",), outputs=("one",))
    for name in "ab":
        (tmp_path / name).touch()

    def main(job):
        assert job.inputs["many"] == [tmp_path / "a", tmp_path / "b"] and job.values == {"rows": "[1]"}
        job.outputs["one"].touch()

    def run(*many):
        with pytest.raises(SystemExit) as ended:
            step.run(main, ["--many", *map(str, many), "--rows", "[1]", "--one", str(tmp_path / "one")])
        return ended.value.code

    assert run(tmp_path / "a", tmp_path / "b") == 0
    assert run(tmp_path / "a", tmp_path / "c") == 2


def test_digests_tell_contents_apart(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = digest(path)
    path.write_bytes(b"two")
    assert digest(path) != first
    path.write_bytes(b"one")
    assert digest(path) == first and digest([path, path]) not in (first, digest([path]))
    (tmp_path / "folder").mkdir()
    empty = digest(tmp_path / "folder")
    (tmp_path / "folder/file").touch()
    assert digest(tmp_path / "folder") != empty


def test_digests_of_large_files_sample_start_and_end(tmp_path):
    path, size = tmp_path / "large", 65 << 20
    with path.open("wb") as file:
        file.truncate(size)  # a hole: takes no room
    found = {digest(path)}
    for place in (0, size - 1):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"x")
        found.add(digest(path))
    assert len(found) == 3


def test_progress_passes_items_on_and_tells_now_and_then(caplog, monkeypatch):
    clock = iter(range(0, 10**6, 10))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys, "stderr", open(os.devnull, "w"))  # noqa: SIM115
    job = Job("test_step", Values(), {}, {})
    with caplog.at_level(logging.INFO, "wsis"):
        assert list(job.progress(list(range(100)))) == list(range(100))
    lines = [record.getMessage() for record in caplog.records]
    assert 5 < len(lines) < 50 and all(" of 100 (" in line and "left" in line for line in lines)


def test_progress_counts_what_is_in_a_batch(caplog, monkeypatch):
    clock = iter(range(0, 10**6, 100))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys, "stderr", open(os.devnull, "w"))  # noqa: SIM115
    job = Job("test_step", Values(), {}, {})
    with caplog.at_level(logging.INFO, "wsis"):
        list(job.progress([[1, 2, 3], [4], [5, 6, 7, 8]], 8, size=len))
    told = [record.getMessage().split(" (")[0] for record in caplog.records]
    assert told == ["3 of 8", "4 of 8", "8 of 8"]


def test_a_line_needs_both_time_and_progress(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    meter = Meter(1000, "image")
    now[0] = 29.0
    assert not meter.due(500)
    now[0] = 31.0
    assert meter.due(20) and not meter.due(19)


def test_durations_read_well():
    assert [duration(s) for s in (0.25, 42.3, 185, 7800)] == ["0.2 s", "42 s", "3 min 5 s", "2 h 10 min"]
    assert [duration(s) for s in (9.97, 59.6, 179.6, 3599.7)] == ["10 s", "1 min 0 s", "3 min 0 s", "1 h 0 min"]


def test_settings_in_the_log_are_canonical():
    assert canonical({"b": 1, "a": [1.0]}) == '{"a":[1.0],"b":1}' == canonical(json.loads('{"a": [1.0], "b": 1}'))
