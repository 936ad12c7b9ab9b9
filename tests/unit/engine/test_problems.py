"""Problems that are collected and told in one run."""

import pytest

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.problems import Problems, attempt, settle


def test_problems_lists_twenty_and_counts_the_rest():
    problems = Problems()
    problems.raise_any("Nothing")
    problems.add("x.txt:1: bad.")
    with pytest.raises(InputError, match=r"^x\.txt:1: bad\.$"):
        problems.raise_any("The list")
    for number in range(2, 34):
        problems.add(f"x.txt:{number}: bad.")
    with pytest.raises(InputError) as caught:
        problems.raise_any("The list")
    lines = str(caught.value).splitlines()
    assert lines[0] == "The list has 33 problems:"
    assert len(lines) == 22
    assert lines[-1].strip() == "... and 13 more"


def test_errors_are_collected_from_blocks_and_from_workers():
    def invert(number):
        if number == 0:
            raise InputError("0 has no inverse.")
        return 1 / number

    problems = Problems()
    assert settle((attempt(invert, n) for n in (2, 0, 4)), problems) == [0.5, None, 0.25]
    with problems.catch():
        invert(0)
    assert problems.sentences == ["0 has no inverse."] * 2
