"""Damages files byte by byte and observes from another process how their reader reacts."""

import multiprocessing
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from wsis_steps.engine.errors import InputError

PATIENCE = 20  # seconds after which a reader counts as hanging
Reader = Callable[[Path], object]  # everything that a file says, comparable


def flips(data: bytes, count: int, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Copies with one byte changed at a random place."""
    for _ in range(count):
        place, other = rng.randrange(len(data)), rng.randrange(1, 256)
        yield f"byte {place} ^ {other}", data[:place] + bytes([data[place] ^ other]) + data[place + 1 :]


def cuts(data: bytes, count: int, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Copies that are truncated or empty."""
    for k in range(count):
        length = rng.randrange(len(data)) if k else 0
        yield f"{length} of {len(data)} bytes", data[:length]


def outcome(read: Reader, path: Path, whole: object) -> str:
    """The outcome of a damaged file: `noticed` with one sentence that names it, `harmless` if everything is read as
    before, `silent` if something else is read, or the traceback."""
    try:
        return "harmless" if read(path) == whole else "silent"
    except InputError as error:
        return "noticed" if str(path) in str(error) and "\n" not in str(error) else f"unclear: {error}"
    except Exception as error:
        return f"traceback: {type(error).__name__}: {error}"


def outcomes(path: Path, read: Reader, copies: list[tuple[str, bytes]]) -> tuple[Counter, list[str]]:
    """The count of each outcome for damaged copies of a file, and one line per bad outcome.

    The reader works in a separate process: hangs and crashes are reported, and the next copy is read.
    """
    damaged, whole = path.with_name(f"damaged_{path.name}"), read(path)
    context = multiprocessing.get_context("fork")
    counts, wrong, done = Counter(), [], 0
    while done < len(copies):
        ours, theirs = context.Pipe()
        worker = context.Process(target=_read_all, args=(theirs, damaged, read, copies[done:], whole), daemon=True)
        worker.start()
        theirs.close()
        while done < len(copies):
            try:
                found = ours.recv() if ours.poll(PATIENCE) else "hang"
            except EOFError:
                found = "crash"
            counts[found.split(":")[0]] += 1
            wrong += [] if found in ("noticed", "harmless") else [f"{path.name}: {copies[done][0]}: {found}"]
            done += 1
            if found in ("hang", "crash"):
                break
        worker.kill()
        worker.join()
    damaged.unlink(missing_ok=True)
    return counts, wrong


def _read_all(pipe, path: Path, read: Reader, copies: list[tuple[str, bytes]], whole: object) -> None:
    for _, data in copies:
        path.write_bytes(data)
        pipe.send(outcome(read, path, whole))
