"""Several user errors, reported together in one run."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from wsis_steps.engine.errors import InputError


class Problems:
    """Collects everything that is wrong with a data set or folder, so that one run reports all of it."""

    def __init__(self, shown: int = 20):
        self.sentences: list[str] = []
        self._shown = shown

    def add(self, sentence: str) -> None:
        """Adds one problem: a sentence that names the file and, if there is one, the line."""
        self.sentences.append(sentence)

    @contextmanager
    def catch(self) -> Iterator[None]:
        """Adds an `InputError` raised in the block, and continues after it."""
        try:
            yield
        except InputError as error:
            self.sentences += error.sentences

    def raise_any(self, subject: str) -> None:
        """Raises one `InputError` about `subject` that lists all problems; does nothing if there are none."""
        count = len(self.sentences)
        if count == 0:
            return
        if count == 1:
            raise InputError(self.sentences[0])
        lines = self.sentences[: self._shown]
        if count > self._shown:
            lines = [*lines, f"... and {count - self._shown} more"]
        raise InputError("\n  ".join([f"{subject} has {count} problems:", *lines]), self.sentences)


def attempt(work: Callable, *arguments):
    """The result of `work`, or the `InputError` it raised, so that a pool does not stop at the first bad file."""
    try:
        return work(*arguments)
    except InputError as error:
        return error


def settle(results: Iterable, problems: Problems) -> list:
    """Results of `attempt`, with None in place of each error; adds the errors to `problems`."""
    settled = list(results)
    for error in (result for result in settled if isinstance(result, InputError)):
        problems.add(str(error))
    return [None if isinstance(result, InputError) else result for result in settled]
