"""The outcomes of the cases, as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """Runs of a case under one kind of fault: the number that ended with the same bytes, the number that stopped with a
    sentence, and one line for each other run."""

    fault: str
    case: str
    same: int = 0
    sentence: int = 0
    failures: list[str] = field(default_factory=list)

    def count(self, faults: Sequence[str], sentence: bool = False) -> None:
        """Counts a run. faults: the errors in how it ended."""
        if faults:
            self.failures.append("; ".join(faults))
        elif sentence:
            self.sentence += 1
        else:
            self.same += 1


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: one row per fault with the sums over its cases, and one line per failure."""
    lines = ["| fault | cases | runs | same bytes | a sentence | failures |", "| --- " * 6 + "|"]
    for fault in dict.fromkeys(outcome.fault for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.fault == fault]
        sums = [sum(o.same for o in own), sum(o.sentence for o in own), sum(len(o.failures) for o in own)]
        lines.append(f"| {fault} | {len({o.case for o in own})} | {sum(sums)} | {' | '.join(map(str, sums))} |")
    failures = [f"- {o.fault}, {o.case}: {failure}" for o in outcomes for failure in o.failures]
    return "\n".join([*lines, *([""] if failures else []), *failures]) + "\n"
