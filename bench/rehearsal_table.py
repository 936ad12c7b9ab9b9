"""The table of a rehearsal: the cost of each kind of job, and the hours it would take on a full data set."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.rehearsal_jobs import Taken
from bench.rehearsal_plan import LENGTHS, iterations

VOC = 10_582, 1_449  # images to train and to evaluate on: trainaug and val
COCO = 118_287, 5_000  # train2017 and val2017
BEGIN, END = "<!-- table of make rehearsal -->\n", "<!-- end of that table -->\n"
HEADER = ("step", "run", "jobs", "of each", "s", "processor s", "MB", "TFLOP", "times", "hours")
ALIGNMENT = ("---", "---", "---:", "---", *["---:"] * 6)


@dataclass
class Group:
    """Jobs that do the same. taken: those that ran; jobs: their number in the presets; settings: the preset's, whose
    trainings are longer.
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
    def smaller(self) -> bool:
        """Whether settings other than length and batch differed from the preset's, so that its FLOPs do not apply."""
        ran = self.ran[0].settings
        return any(
            ran.get(name) != value for name, value in self.settings.items() if name not in (*LENGTHS, "batch_size")
        )

    @property
    def memory(self) -> float:
        """Peak MB of all jobs; if a smaller batch than the preset's ran, the expected peak of the preset's."""
        return max(taken.expected or taken.memory for taken in self.ran)


def times(group: Group, train: set[str], val: set[str], sizes: tuple[int, int] = VOC) -> float:
    """The factor by which the job grows on a full data set: iterations of the preset's batches, or images.

    train, val: images of the rehearsal; sizes: numbers of training and evaluation images of the data set.
    """
    taken, ran = group.ran[0], group.ran[0].settings
    if "batch_size" in ran:
        longer = iterations(group.settings, sizes[0]) / iterations(ran, len(train))
        return longer * group.settings["batch_size"] / ran["batch_size"]
    images = set(taken.images)
    whole = sizes[0] * bool(images & train) + sizes[1] * bool(images & val)
    return whole / len(images) if images else 1


def hours(group: Group, factor: float, rate: float) -> float:
    """Hours on a GPU that sustains `rate` TFLOP/s, if the step gets a GPU; else on one core, as measured."""
    seconds = group.mean("flops") / (rate * 1e12) if group.first.on_gpu else group.mean("processor")
    return seconds * factor / 3600


def what(group: Group) -> str:
    """What a job was measured on."""
    taken = group.ran[0]
    smaller = ", smaller" if group.smaller else ""
    if "batch_size" not in taken.settings:
        return f"{len(taken.images)} images{smaller}" if taken.images else ""
    batch, whole = taken.settings["batch_size"], group.settings["batch_size"]
    return f"2 x {batch}" + (f" of {whole}" if batch != whole else "") + smaller


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def row(group: Group, factor: float, took: float) -> str:
    """The row of a group with its factor and hours; for a failed group, the reason."""
    run = group.first.name.split("/")[0] if "/" in group.first.name else ""
    names = f"`{group.first.step}`", run, str(group.jobs)
    if not group.ran:
        return line([*names, f"failed: {group.first.fault}", *[""] * (len(HEADER) - 4)])
    expected = " expected" if group.ran[0].expected else ""
    return line([
        *names,
        what(group),
        figure(group.mean("seconds")),
        figure(group.mean("processor")),
        f"{group.memory:,.0f}{expected}",
        figure(group.mean("flops") / 1e12) if group.mean("flops") else "",
        "" if group.smaller else figure(factor),
        f"{figure(took)} {'GPU' if group.first.on_gpu else 'core'}",
    ])  # fmt: skip


def figure(value: float) -> str:
    """A number with two digits, or with all digits before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def extrapolated(
    groups: list[Group], train: set[str], val: set[str], rate: float, sizes: tuple[int, int] = VOC
) -> list[tuple[Group, float, float]]:
    """Each group with `times` and the hours of one of its jobs, 0 if all failed. A group that ran with smaller settings
    gets the hours of the first group of its step that did not."""
    found = []
    for group in groups:
        whole = [other for other in groups if other.first.step == group.first.step and other.ran and not other.smaller]
        like = whole[0] if group.ran and group.smaller and whole else group
        factor = times(like, train, val, sizes) if like.ran else 0
        found.append((group, factor, hours(like, factor, rate) if like.ran else 0))
    return found


def table(rows: list[tuple[Group, float, float]]) -> str:
    """The table as Markdown."""
    return line(HEADER) + line(ALIGNMENT) + "".join(row(*cells) for cells in rows)


def total(rows: list[tuple[Group, float, float]]) -> str:
    """The sums of hours, and how many jobs failed."""
    gpu, core = (sum(group.jobs * took for group, _, took in rows if group.first.on_gpu == on) for on in (True, False))
    failed = sum(bool(taken.fault) for group, *_ in rows for taken in group.taken)
    hours_of_all = f"All jobs of these presets: {figure(gpu)} hours of a GPU and {figure(core)} of a core"
    return hours_of_all + (f"; {failed} jobs failed." if failed else ".")


def write_between(page: Path, text: str) -> None:
    """Puts text between the marks of a page. Raises ValueError if the page has no marks."""
    before, begun, rest = page.read_text().partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{page} has no lines '{BEGIN.strip()}' and '{END.strip()}'")
    page.write_text(f"{before}{BEGIN}{text}{END}{after}")
