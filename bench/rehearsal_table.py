"""The table of a rehearsal: what each kind of job took, and how many hours that makes on the whole of VOC 2012."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.rehearsal_jobs import Taken
from bench.rehearsal_plan import iterations

TRAIN, VAL = 10_582, 1_449  # images of trainaug and of val
BEGIN, END = "<!-- table of make rehearsal -->\n", "<!-- end of that table -->\n"
HEADER = ("step", "run", "jobs", "of each", "s", "processor s", "MB", "TFLOP", "times", "hours")
ALIGNMENT = ("---", "---", "---:", "---", *["---:"] * 6)


@dataclass
class Group:
    """Jobs that do the same: `taken` those that ran, `jobs` how many the presets have.

    settings: of the preset, whose trainings are longer.
    """

    taken: list[Taken]
    settings: dict
    jobs: int = 0

    @property
    def first(self) -> Taken:
        return self.taken[0]

    @property
    def ran(self) -> list[Taken]:
        return [taken for taken in self.taken if not taken.fault]

    def mean(self, name: str) -> float:
        """Of what the jobs that ran took."""
        return sum(getattr(taken, name) for taken in self.ran) / len(self.ran)

    @property
    def memory(self) -> float:
        """MB: the most that any took; where a smaller batch than the preset's ran, what is expected of the preset's."""
        return max(taken.expected or taken.memory for taken in self.ran)


def times(group: Group, train: set[str], val: set[str]) -> float:
    """How many times as much the same job does on all of VOC 2012: iterations of the preset's batches, or images."""
    taken, ran = group.ran[0], group.ran[0].settings
    if "batch_size" in ran:
        longer = iterations(group.settings, TRAIN) / iterations(ran, len(train))
        return longer * group.settings["batch_size"] / ran["batch_size"]
    images = set(taken.images)
    whole = TRAIN * bool(images & train) + VAL * bool(images & val)
    return whole / len(images) if images else 1


def hours(group: Group, factor: float, rate: float) -> float:
    """Of a GPU that sustains `rate` TFLOP/s, where the workflow gives the step one; else of one core, as measured."""
    seconds = group.mean("flops") / (rate * 1e12) if group.first.on_gpu else group.mean("processor")
    return seconds * factor / 3600


def what(group: Group) -> str:
    """What a job was measured on."""
    taken = group.ran[0]
    if "batch_size" not in taken.settings:
        return f"{len(taken.images)} images" if taken.images else ""
    batch, whole = taken.settings["batch_size"], group.settings["batch_size"]
    return f"2 x {batch}" + (f" of {whole}" if batch != whole else "")


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def row(group: Group, factor: float, rate: float) -> str:
    """The line of a group; of one that failed, how."""
    run = group.first.name.split("/")[0] if "/" in group.first.name else ""
    names = f"`{group.first.step}`", run, str(group.jobs)
    if not group.ran:
        return line([*names, f"failed: {group.first.fault}", *[""] * (len(HEADER) - 4)])
    expected = " expected" if group.ran[0].expected else ""
    took = hours(group, factor, rate)
    return line([
        *names,
        what(group),
        figure(group.mean("seconds")),
        figure(group.mean("processor")),
        f"{group.memory:,.0f}{expected}",
        figure(group.mean("flops") / 1e12) if group.mean("flops") else "",
        figure(factor),
        f"{figure(took)} {'GPU' if group.first.on_gpu else 'core'}",
    ])  # fmt: skip


def figure(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def table(groups: list[Group], train: set[str], val: set[str], rate: float) -> str:
    """The table as Markdown, and the sums of its hours."""
    rows, sums, failed = [], {True: 0.0, False: 0.0}, 0
    for group in groups:
        factor = times(group, train, val) if group.ran else 0
        rows.append(row(group, factor, rate))
        if group.ran:
            sums[group.first.on_gpu] += group.jobs * hours(group, factor, rate)
        failed += sum(bool(taken.fault) for taken in group.taken)
    head = line(HEADER) + line(ALIGNMENT)
    total = f"\nAll jobs of these presets: {figure(sums[True])} hours of a GPU and {figure(sums[False])} of a core"
    return head + "".join(rows) + total + (f"; {failed} jobs failed.\n" if failed else ".\n")


def write_between(page: Path, text: str) -> None:
    """Puts text between the marks of a page; ValueError where it has none."""
    before, begun, rest = page.read_text().partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{page} has no lines '{BEGIN.strip()}' and '{END.strip()}'")
    page.write_text(f"{before}{BEGIN}{text}{END}{after}")
