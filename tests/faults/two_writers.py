"""Two processes that write the same outputs at once."""

import random
import time

from tests.faults.cases import TAKEN, Case
from tests.faults.outcomes import Outcome


def write_twice(case: Case, times: int, chance: random.Random) -> Outcome:
    """Starts a case a second time while the first is running; one waits for the other or stops with a sentence."""
    outcome = Outcome("two processes make one output", case.name)
    for _ in range(times):
        case.clear()
        first = case.start()
        if case.begun(lambda first=first: first.poll() is not None) and chance.random() < 0.5:
            time.sleep(chance.uniform(0, case.seconds))
        both = [first, case.start()]
        said = [process.communicate()[1] for process in both]
        statuses = [process.returncode for process in both]
        told = [status == 2 and TAKEN in text for status, text in zip(statuses, said, strict=True)]
        wrong = [] if 0 in statuses else ["neither ended well"]
        wrong += [
            f"exit status {status}: {text[-300:]}"
            for status, text, fine in zip(statuses, said, told, strict=True)
            if status and not fine
        ]
        outcome.count([*wrong, *case.faults()], sentence=any(told))
    return outcome
