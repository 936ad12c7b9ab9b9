"""A measured figure with its baseline, and the table of all figures."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """value, baseline: in `unit`. against: the name of the baseline. wanted: the limit of `value`, or of `ratio` (value
    over baseline). least: whether the limit is a lower one."""

    what: str
    value: float
    unit: str
    against: str
    baseline: float
    wanted: float
    of_ratio: bool = False
    least: bool = False

    @property
    def ratio(self) -> float:
        return self.value / self.baseline

    @property
    def met(self) -> bool:
        measured = self.ratio if self.of_ratio else self.value
        return measured >= self.wanted if self.least else measured <= self.wanted

    def document(self) -> dict:
        """The row as JSON values."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}

    def cells(self) -> list[str]:
        """The row as text."""
        bound = f"{'>=' if self.least else '<='} {self.wanted:g}{' x' if self.of_ratio else ' ' + self.unit}"
        return [
            self.what,
            f"{_figure(self.value)} {self.unit}",
            self.against,
            f"{_figure(self.baseline)} {self.unit}",
            f"{self.ratio:.3g} x",
            bound,
            "yes" if self.met else "NO",
        ]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(rows: list[Row]) -> str:
    """All rows in columns."""
    header = ["what", "measured", "baseline", "has", "ratio", "wanted", "met"]
    lines = [header, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([texts[0], "-" * max(map(len, texts)), *texts[1:]])
