"""Tests every step and every writing command under faults: `make faults`, or `python -m tests.faults --help`.

Prints one line per case and a table at the end, which replaces the previous one in FILE. Exit status 1 if anything
failed.
"""

import argparse
import itertools
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from tests.faults.cases import CONFIGURATIONS, Case, commands_of, prepare, steps_of  # noqa: E402
from tests.faults.full_disks import can_mount, fill_file_systems, limit_files  # noqa: E402
from tests.faults.kills import kill_in_workflow, kill_step  # noqa: E402
from tests.faults.outcomes import Outcome, table  # noqa: E402
from tests.faults.two_writers import write_twice  # noqa: E402

WHO = itertools.cycle(("job", "snakemake", "both"))  # the kinds in turn
BEGIN, END = "<!-- figures of make faults -->", "<!-- end -->"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=8, help="of each case by itself (8)")
    parser.add_argument(
        "--workflows", type=int, default=1, help="of each step in a workflow: the job, snakemake, both (1)"
    )
    parser.add_argument("--disks", type=int, default=5, help="sizes of each kind, of each case (5)")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of writers of each case (3)")
    parser.add_argument("--cases", default="", metavar="PATTERN", help="only those whose name it matches")
    parser.add_argument("--folder", type=Path, help="where the prepared workflows are, or go, and are kept")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments and sizes (0)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="text that gets the table")
    return parser.parse_args()


def every_case(folder: Path, pattern: str) -> Iterator[Case]:
    """One case for each step of all systems, then the commands."""
    found: dict[str, Case] = {}
    for tiny, configuration in zip(prepare(folder), CONFIGURATIONS, strict=True):
        for case in steps_of(tiny, configuration):
            found.setdefault(case.name, case)
        if not any(case.name.startswith("wsis ") for case in found.values()):
            found |= {case.name: case for case in commands_of(tiny, configuration)}
    for name, case in found.items():
        if re.search(pattern, name):
            case.measure()
            yield case
            case.put_back_times()


def disturb(case: Case, options: argparse.Namespace, chance: random.Random) -> Iterator[Outcome]:
    faults: list[tuple[int, Callable[[Case, int, random.Random], Outcome]]] = [
        (options.kills, kill_step), (options.disks, limit_files), (options.pairs, write_twice),
    ]  # fmt: skip
    faults += [(options.disks, fill_file_systems)] if can_mount() else []
    for times, fault in faults:
        if times:
            yield fault(case, times, chance)
    if not case.name.startswith("wsis "):
        for _ in range(options.workflows):
            yield kill_in_workflow(case, next(WHO), chance)


def main() -> None:
    options = arguments()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="wsis-faults-"))
    chance, outcomes = random.Random(options.seed), []
    for case in every_case(folder, options.cases):
        for outcome in disturb(case, options, chance):
            outcomes.append(outcome)
            counts = f"{outcome.same} same bytes, {outcome.sentence} sentences, {len(outcome.failures)} failures"
            print(f"{case.name}: {outcome.fault}: {counts}", flush=True)
    text = table(outcomes)
    print(f"\n{text}")
    if options.out:
        before, rest = options.out.read_text(encoding="utf-8").split(BEGIN)
        options.out.write_text(f"{before}{BEGIN}\n{text}{END}{rest.split(END)[1]}", encoding="utf-8")
    if not options.folder:
        shutil.rmtree(folder)
    sys.exit(any(outcome.failures for outcome in outcomes))


if __name__ == "__main__":
    main()
