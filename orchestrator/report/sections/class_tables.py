"""The tables of classes: how well each is found, and what it is taken for."""

import math
from collections.abc import Sequence

import pandas as pd

from orchestrator.report.document.document import Table, TableCell
from orchestrator.report.document.formatting import count, number, plural, printable
from orchestrator.report.numbers.frames import confusion_counts
from orchestrator.report.numbers.measured import Standing
from orchestrator.report.numbers.run_data import RunData

MOST_CLASSES = 30


def class_overview(data: RunData, frame: pd.DataFrame, rows: Sequence[Standing]) -> Table:
    """F1 of each class by variant, shaded."""
    names = [row.variant for row in rows if row.variant in set(frame["variant"])]
    values = {(row["class"], row["variant"]): float(row["f1"]) for _, row in frame.iterrows()}
    support = frame.drop_duplicates("class").set_index("class")["support"]
    printed = []
    for one, pictures in support.items():
        cells = [values.get((one, name), math.nan) for name in names]
        shaded = (TableCell(number(value), shade=_shade(value)) for value in cells)
        printed.append([TableCell(printable(one)), *shaded, TableCell(count(pictures))])
    caption = "F1 of each class on the test part, mean over seeds; deeper is better. Support: its test pictures."
    columns = ["Class", *(printable(name) for name in names), "Support"]
    return Table("per_class", caption, columns, printed, frozenset(range(1, len(columns))))


def class_table(frame: pd.DataFrame, variant: str) -> Table:
    """Precision, recall and F1 of one variant, with their spread over seeds."""
    ours = frame[frame["variant"] == variant]
    printed = []
    for _, row in ours.iterrows():
        cells = [TableCell(printable(row["class"]))]
        for name in ("precision", "recall", "f1"):
            spread = number(row[f"{name}_sd"])
            text = number(row[name]) if math.isnan(row[f"{name}_sd"]) else f"{number(row[name])} ± {spread}"
            cells.append(TableCell(text, shade=_shade(row[name])))
        printed.append([*cells, TableCell(count(row["support"]))])
    seeds = int(ours["seeds"].iloc[0])
    caption = f"{printable(variant)} by class on the test part: mean ± standard deviation over {plural(seeds, 'seed')}."
    return Table(
        "per_class", caption, ["Class", "Precision", "Recall", "F1", "Support"], printed, frozenset(range(1, 5))
    )


def confusion_table(data: RunData, variant: str) -> Table | None:
    """Counts summed over seeds, shaded by their share of the true class; None where too large to print or not kept."""
    found = confusion_counts(data, variant)
    if found is None or len(found[0]) > MOST_CLASSES:
        return None
    names, counts, seeds = found
    totals = counts.sum(axis=1)
    printed = [
        [
            TableCell(printable(name)),
            *(TableCell(count(int(n)) if n else "·", shade=float(n / total) if total else 0.0) for n in line),
            TableCell(count(int(total)), tone="quiet"),
        ]
        for name, line, total in zip(names, counts, totals, strict=True)
    ]
    caption = (
        f"{printable(variant)}: true classes in rows, predicted ones in columns; counts on the test part summed over "
        f"{plural(seeds, 'seed')}, shaded by their share of the row."
    )
    columns = ["True class", *(printable(name) for name in names), "All"]
    return Table("confusion", caption, columns, printed, frozenset(range(1, len(columns))), corner=True)


def confused_table(frame: pd.DataFrame, variant: str) -> Table | None:
    """The pairs of classes that are mistaken most often."""
    ours = frame[(frame["variant"] == variant) & (frame["true"] != frame["predicted"]) & (frame["count"] > 0)]
    if ours.empty:
        return None
    top = ours.sort_values(["count", "share_of_true"], ascending=False, kind="stable").head(8)
    printed = [
        [
            TableCell(printable(row["true"])),
            TableCell(printable(row["predicted"])),
            TableCell(count(row["count"])),
            TableCell(f"{100 * row['share_of_true']:.1f} %"),
        ]
        for _, row in top.iterrows()
    ]
    caption = f"{printable(variant)}: what is mistaken for what most often, over all seeds."
    columns = ["True class", "Taken for", "Times", "Share of the true class"]
    return Table("confusion", caption, columns, printed, frozenset({2, 3}))


def _shade(value: float) -> float | None:
    return None if math.isnan(value) else min(1.0, max(0.0, value))
