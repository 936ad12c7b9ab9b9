"""The summary of all runs as a Markdown table that also reads well in a terminal."""

from collections.abc import Mapping, Sequence

import pandas as pd

from wsis_steps.engine.errors import InputError
from wsis_steps.evaluation.paired_table import NOTE, Pair, paired_table
from wsis_steps.evaluation.text_table import SEED, aligned, base_name, supervision_in_words

COLUMNS = ("run", "system", "supervision", "stage", "split", "metric", "value")
HEADINGS = {
    "mask_ap25": "AP25",
    "mask_ap50": "AP50",
    "mask_ap70": "AP70",
    "mask_ap75": "AP75",
    "abo": "ABO",
    "coco_ap": "COCO AP",
    "coco_ap50": "COCO AP50",
    "coco_ap75": "COCO AP75",
    "box_ap50": "box AP50",
    "corloc": "CorLoc",
    "recall50": "recall",
    "precision50": "precision",
    "miou": "mIoU",
    "boundary_f": "boundary F",
}
PROPOSALS = "proposals/"  # prefix of proposal stages
PROPOSAL_HEADINGS = {
    "j_instances": "mean mask IoU",
    "recall50": "mask recall 0.5",
    "recall70": "mask recall 0.7",
    "box_abo": "mean box IoU",
    "box_recall50": "box recall 0.5",
}
_KEY = ["name", "seeded", "stage", "split"]


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Adds `name` (the run without its seed) and `seeded`; checks that no figure occurs twice."""
    twice = rows[rows.duplicated(["run", "stage", "split", "metric"])]
    if len(twice):
        first = twice.iloc[0]
        raise InputError(f"the summary gives {first.metric} of {first.run}, {first.stage}, {first.split} twice.")
    return rows.assign(
        name=rows["run"].map(base_name),
        seeded=rows["run"].str.fullmatch(SEED.pattern),
        value=rows["value"].astype(float),
    )


def _words(supervision: str) -> str:
    """A cell of `summary.csv` for people."""
    return supervision_in_words(supervision.split("+") if supervision else [])


def _cell(values: pd.Series, paper: float | None) -> str:
    """Percent with one decimal: mean, ± standard deviation over seeds, the paper's figure in brackets."""
    values = values.dropna() * 100
    if values.empty:
        return "-"
    text = f"{values.mean():.1f}"
    if len(values) > 1:
        text += f" ± {values.std(ddof=1):.1f}"
    return text if paper is None else f"{text} ({paper * 100:.1f})"


def _proposal_table(rows: pd.DataFrame) -> str:
    """One line per file of proposals, split and figure, one column per number of proposals; empty without proposals.

    Runs that use the same proposals have the same figures, which are listed once.
    """
    found = rows["metric"].str.extract(rf"^({'|'.join(PROPOSAL_HEADINGS)})_(\d+|all)$")
    rows = rows.assign(figure=found[0], number=found[1])
    rows = rows[rows["stage"].str.startswith(PROPOSALS) & rows["figure"].notna()]
    if rows.empty:
        return ""
    numbers = sorted(rows["number"].unique(), key=lambda number: (number == "all", len(number), number))
    lines = []
    for (stage, split), kind in rows.groupby(["stage", "split"], sort=False):
        supervision = kind["supervision"].iloc[0]
        name = stage.removeprefix(PROPOSALS) + " †" * ("masks" in supervision)
        for figure in (figure for figure in PROPOSAL_HEADINGS if (kind["figure"] == figure).any()):
            values = kind[kind["figure"] == figure].drop_duplicates("number").set_index("number")["value"].astype(float)
            cells = [_cell(values[values.index == number], None) for number in numbers]
            lines.append([name, _words(supervision), split, PROPOSAL_HEADINGS[figure], *cells])
    return aligned(["proposals", "supervision", "split", "figure", *numbers], lines, 4)


def summary_table(
    rows: pd.DataFrame, published: Mapping[tuple[str, str, str], Mapping[str, float]], pairs: Sequence[Pair] = ()
) -> str:
    """Markdown text: one line per run, stage and split, the main metrics in percent, and footnotes.

    rows: `COLUMNS`, value a fraction from 0 to 1 or NaN. published: the papers' figures, fractions by metric, by run,
    stage and split; shown in brackets. pairs: which runs are compared at which stage. Runs `<name>_seed<k>` become one
    line with mean and sample standard deviation. A dagger marks lines whose supervision includes masks (`masks`,
    `masks_seen`). Metrics not in `HEADINGS` are left out. Paired differences form a second table, proposals a last one,
    by number of proposals. Raises InputError if a figure occurs twice.
    """
    proposals, of_proposals = _proposal_table(rows), rows["stage"].str.startswith(PROPOSALS)
    any_masks = rows["supervision"].str.contains("masks") & (rows["metric"].isin(HEADINGS) | of_proposals)
    rows = _named(rows[rows["metric"].isin(HEADINGS) & ~of_proposals])
    metrics = [metric for metric in HEADINGS if (rows["metric"] == metric).any()]
    with_split = rows["split"].nunique() > 1
    lines, any_paper = [], False
    for (name, seeded, stage, split), line in rows.groupby(_KEY, sort=False):
        seeds = line["run"].nunique()
        run = f"{name} ({seeds} seed{'s' * (seeds > 1)})" if seeded else name
        if line["supervision"].str.contains("masks").any():
            run += " †"
        values = [line.loc[line["metric"] == metric, "value"] for metric in metrics]
        paper = [published.get((name, stage, split), {}).get(metric) for metric in metrics]
        any_paper |= any(p is not None and v.notna().any() for v, p in zip(values, paper, strict=True))
        text = [run, " / ".join(map(_words, line["supervision"].unique())), stage] + [split] * with_split
        lines.append(text + [_cell(v, p) for v, p in zip(values, paper, strict=True)])
    header = ["run", "supervision", "stage"] + ["split"] * with_split
    table = aligned(header + [HEADINGS[metric] for metric in metrics], lines, len(header))
    notes = ["In percent; ± is the standard deviation over seeds." if rows["seeded"].any() else "In percent."]
    if "recall50" in metrics:
        notes.append("Recall and precision: of labels, at a mask IoU of 0.5, all classes together.")
    if any_paper:
        notes.append("In brackets: the paper's figure.")
    if paired := paired_table(rows, pairs, HEADINGS):
        notes.append(NOTE)
    if proposals:
        notes.append("Proposals: for the best N of each image, and for all.")
    if any_masks.any():
        notes.append("† masks were used, as supervision or through a part trained elsewhere on masks or contours.")
    tables = [text for text in (table, paired, proposals) if text]
    return "\n\n".join([*tables, "\n".join(notes)]) + "\n"
