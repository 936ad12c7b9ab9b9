"""The costs of the runs, as HTML."""

from html import escape
from pathlib import Path

import pandas as pd

from wsis_steps.report.tables import html_table, read_table

NOTE = (
    "Minutes are sums over a step's jobs, wall-clock and CPU; memory is the peak of a job. Results that several runs "
    "share are listed with the run that owns them."
)
NUMBERS = ("jobs", "minutes", "cpu_minutes", "memory_mb", "gpu_memory_mb", "written_mb")
HEADER = ["run", "step", "jobs", "minutes", "CPU minutes", "memory, MB", "GPU memory, MB", "written, MB"]


def costs_html(path: Path) -> str:
    """`cost.csv` as a table with its sum."""
    table = read_table(path, "costs", ("run", "step"), NUMBERS)
    rows = [
        [escape(row.run), escape(row.step), f"{row.jobs:.0f}", f"{row.minutes:.1f}", f"{row.cpu_minutes:.1f}",
         *("-" if pd.isna(value) else f"{value:,.0f}" for value in (row.memory_mb, row.gpu_memory_mb)),
         f"{row.written_mb:,.1f}"]
        for row in table.itertuples()
    ]  # fmt: skip
    total = [f"{table['jobs'].sum():.0f}", f"{table['minutes'].sum():.1f}", f"{table['cpu_minutes'].sum():.1f}"]
    rows.append(["all", "", *total, "", "", f"{table['written_mb'].sum():,.1f}"])
    return f'<p class="note">{NOTE}</p>{html_table(HEADER, rows, 2, "what each step cost")}'
