"""How a call ends: errors become a sentence and an exit status, and everything goes to the log."""

import contextlib
import errno
import logging
import os
import select
import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.extras import EXTRAS, how_to_install
from wsis_steps.engine.names import printable_lines
from wsis_steps.engine.shards import RANK_OF_SHARE, number_of_share
from wsis_steps.engine.writers import full_disk, is_full, plain

log = logging.getLogger("wsis")
NO_ACCESS = {errno.EROFS, errno.EACCES, errno.EPERM}
OWN_FAULT = "This is a bug in the program: please report it with the command, the log and the following traceback."
CLOSED_PIPE = 141  # exit status after SIGPIPE, as shells report it
WRONG_PATH = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}


class PrintableFormatter(logging.Formatter):
    """Escapes control characters, so that names from other people's files cannot move the cursor or reverse text."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


def guarded(call: Callable[[], None]) -> int:
    """Runs a call and returns its exit status; logs errors, with a traceback only for bugs in this program."""
    try:
        call()
    except InputError as error:
        # torch wraps an error from a loading process in a traceback, which the sentence ends
        log.error("%s", str(error).rsplit("InputError: ", 1)[-1].strip())
        return 2
    except KeyboardInterrupt:
        log.error("Interrupted; unfinished output was discarded, and a training resumes from its last checkpoint.")
        return 130
    except BrokenPipeError as error:
        if reader_gone() or _hung_up():
            return CLOSED_PIPE
        log.exception("%s", error)
        return 1
    except (
        ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError,
        RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        sentence = _environment_fault(error)
        if sentence is None:
            log.exception("%s: %s. %s", type(error).__name__, error, OWN_FAULT)
            return 1
        log.error("%s", sentence)
        return 2
    return 0


def _environment_fault(error: BaseException) -> str | None:
    """A sentence if the machine is at fault (disk, permissions, paths, memory), not this program; otherwise None."""
    name = plain(str(getattr(error, "filename", None) or ""))
    where = f" ({name})" if name else ""
    text, number = str(error), getattr(error, "errno", None)
    if is_full(error):
        return full_disk(error)
    module = str(getattr(error, "name", "")).partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and module in EXTRAS:
        sentence = how_to_install(module)
        return f"{sentence[0].upper()}{sentence[1:]}"
    if number in NO_ACCESS:
        return f"No permission to read or write{where}; unfinished output was discarded."
    if number in WRONG_PATH and name:
        return f"{name} cannot be used: {error.strerror}."
    if "synchronously read data" in text and "errno = " in text:  # the system failed to read; HDF5 found no damage
        return f"An input cannot be read from its disk or network ({' '.join(text.split())}); run again once it can."
    if "synchronously read data" in text:
        return f"An input is damaged ({error}); delete that file and run again."
    memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if memory or "can't allocate memory" in text:
        return "Out of memory; use a smaller batch or image size."
    if "DataLoader worker" in text and ("killed by signal" in text or "exited unexpectedly" in text):
        return (
            "A process that loads images died. Either the system killed it for lack of memory (use fewer threads), "
            "or /dev/shm is too small (docker run --shm-size)."
        )
    if isinstance(error, BrokenExecutor):
        return (
            "A worker process died. Either the system killed it for lack of memory (use fewer threads), or a library "
            "crashed on a damaged input file (such as a .mat file)."
        )
    return None


def reader_gone() -> bool:
    """Whether the reader of the output is gone, as with `| head -1`; if so, discards the rest of the output."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # otherwise Python complains when it flushes at exit
        os.close(nowhere)
        return True
    return False


def _hung_up() -> bool:
    """Whether the reader of earlier output is gone; needed when nothing is left to flush."""
    poll = select.poll()
    try:
        poll.register(sys.stdout, 0)
    except (OSError, ValueError, TypeError, AttributeError):  # stdout is not a file
        return False
    return bool(poll.poll(0))


def start_log(path: Path | None) -> None:
    """Sends the log to the terminal and, if it can be written, to a file."""
    rank, _ = torchrun_rank()
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    with contextlib.suppress(OSError):  # a log that cannot be written must not stop the work
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if rank == 0 and RANK_OF_SHARE not in os.environ:  # other ranks append to the log that rank 0 started
                path.write_text("")
            handlers.append(logging.FileHandler(path, mode="a"))
    for handler in handlers:
        handler.setFormatter(PrintableFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(
        level=logging.ERROR if rank or number_of_share() else logging.INFO,  # other ranks would repeat everything
        handlers=handlers,
        force=True,
    )
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a full disk must not print a traceback for every line


def torchrun_rank() -> tuple[int, int]:
    """This process's rank among those that torchrun started, and their number."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
