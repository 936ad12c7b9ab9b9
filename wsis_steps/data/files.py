"""Reading a file that a user names."""

from pathlib import Path

from wsis_steps.engine.errors import InputError


def read_bytes(path: Path) -> bytes:
    """The content of a file; InputError where it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
