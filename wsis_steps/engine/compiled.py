"""Functions that numba compiles to machine code."""

from collections.abc import Callable

from numba import njit


def compiled(function: Callable) -> Callable:
    """Compiles a function when it is first called, and keeps the result for later processes.

    Where numba can write neither beside the package nor into the user's home, as in some containers, each process
    compiles anew.
    """
    try:
        return njit(cache=True)(function)
    except RuntimeError:  # numba found no folder to write to
        return njit(function)
