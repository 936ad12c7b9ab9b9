"""Another process that writes for as long as a test wants."""

import multiprocessing
import os
import signal
from pathlib import Path

from wsis_steps.engine.writers import one_writer

_context = multiprocessing.get_context("fork")


class OtherWriter:
    """A process that is the only writer of some paths until it is told to end."""

    def __init__(self, *paths: Path, kind=one_writer) -> None:
        self.ours, theirs = _context.Pipe()
        self.process = _context.Process(target=self._hold, args=(theirs, kind, paths), daemon=True)
        self.process.start()
        theirs.close()

    def _hold(self, pipe, kind, paths) -> None:
        with kind(*paths):
            pipe.send("holds")
            pipe.recv()

    def holds(self) -> "OtherWriter":
        """Waits until the process is the writer."""
        assert self.ours.recv() == "holds"
        return self

    def release(self) -> None:
        self.ours.send("go on")

    def end(self) -> int:
        """The exit status of the ended process."""
        self.release()
        self.process.join()
        return self.process.exitcode

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
