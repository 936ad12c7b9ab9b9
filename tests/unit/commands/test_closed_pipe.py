"""`wsis ... | head -1` ends without a complaint, whatever it prints."""

import io
import os
import subprocess
import sys

import pytest
from artifacts import SIZE, picture, write_images, write_labels
from PIL import Image

from wsis_steps.__main__ import COMMANDS, main
from wsis_steps.engine.outcome import guarded


def closed_pipe() -> int:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def call(words: list, monkeypatch, buffered: bool = True) -> int:
    """Exit status of a call that prints into a closed pipe."""
    size = io.DEFAULT_BUFFER_SIZE if buffered else 0
    with open(closed_pipe(), "wb", buffering=size) as raw, io.TextIOWrapper(raw, write_through=not buffered) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, words)))
        monkeypatch.undo()
    return ended.value.code


@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_left_ends_a_command_quietly(tmp_path, monkeypatch, caplog, buffered):
    labels, folder = write_labels(tmp_path / "l.h5"), tmp_path / "own"
    folder.mkdir()
    Image.fromarray(picture(0, SIZE)).save(folder / "a.png")
    (folder / "tags.csv").write_text("image,tags\na.png,cat\n")
    for words in (["show", labels], ["check", folder, "--threads", 1]):
        assert call(words, monkeypatch, buffered) == 141
    for name in COMMANDS:  # argparse keeps quiet of what it cannot write
        assert call([name, "--help"], monkeypatch, buffered) in (0, 141)
    assert not [record for record in caplog.records if record.exc_info]


def test_the_end_of_the_process_is_quiet_too(tmp_path):
    write_images(tmp_path / "images.h5")
    command = [sys.executable, "-m", "wsis_steps", "show", tmp_path / "images.h5"]
    pipe = closed_pipe()
    done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (141, "")


def test_another_broken_pipe_is_a_fault():
    """As of a worker that was killed."""

    def fail() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    assert guarded(fail) == 1
