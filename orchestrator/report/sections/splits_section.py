"""The figures of each repeated split, behind the means over all of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from orchestrator.artifacts.records import TrialRecord
from orchestrator.report.document.document import Section, Table, TableCell
from orchestrator.report.document.formatting import label, number, on_validation, plural, printable, sentence
from orchestrator.report.numbers.conclusions import what_splits
from orchestrator.report.numbers.measured import Standing
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.selection import selections
from orchestrator.report.sections.data_section import part_sizes

COLUMNS = ["split", "variant", "metric", "seeds", "test", "validation", "difference"]
"""Of the table's CSV."""


def split_frame(data: RunData) -> pd.DataFrame:
    """A row a split and variant: the mean over seeds on its test part, what its winner had on validation, and the
    difference to the baseline, paired by seed."""
    rows = []
    for one in data.evaluated_splits:
        chosen = {found.variant: found.validation for found in selections(one)}
        baseline = _figures(data, one.completed.get(data.baseline or "", ()))
        for variant, records in one.completed.items():
            figures = _figures(data, records)
            paired = [figures[seed] - baseline[seed] for seed in figures.keys() & baseline.keys()]
            rows.append(
                {
                    "split": one.split_number,
                    "variant": variant,
                    "metric": data.metric,
                    "seeds": len(figures),
                    "test": float(np.mean(list(figures.values()))) if figures else np.nan,
                    "validation": chosen.get(variant),
                    "difference": float(np.mean(paired)) if paired and variant != data.baseline else np.nan,
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _figures(data: RunData, records: Sequence[TrialRecord]) -> dict[int, float]:
    return {record.seed: record.metrics[data.metric] for record in records if data.metric in record.metrics}


def splits_section(data: RunData, frame: pd.DataFrame | None, rows: Sequence[Standing]) -> Section | None:
    """None where the run has one split. `rows`: the ranking, best first."""
    if frame is None or frame.empty:
        return None
    names = [row.variant for row in rows if row.splits]
    cells = {(row["split"], row["variant"]): row for row in frame.to_dict(orient="records")}
    own_searches = not data.inherits
    printed = []
    for one in data.evaluated_splits:
        line = [TableCell(str(one.split_number)), TableCell(_sizes(one))]
        for name in names:
            found = cells.get((one.split_number, name))
            if found is None or not found["seeds"]:
                line.append(TableCell(number(None)))
                continue
            chosen = found["validation"] if own_searches else None
            beside = "" if chosen is None or chosen != chosen else f"validation {number(chosen)}"
            line.append(TableCell(number(found["test"]), beside))
        printed.append(line)
    caption = (
        f"{sentence(label(data.metric))} on the test part of each split, mean over seeds"
        f"{_beside(data) if own_searches else ''}. Pictures: of train, validation and test.{data.caveat}"
    )
    columns = ["Split", "Pictures", *map(printable, names)]
    table = Table("splits", caption, columns, printed, frozenset(range(2, len(columns))), stacked=True)
    missing = data.wanted_splits - len(data.evaluated_splits)
    text = [
        what_splits(data),
        *([f"Not evaluated yet: {plural(missing, 'split')}."] if missing else []),
        "The ranking, the ablation, the cost and the failures are of all splits; everything else on this page, such as "
        "pictures, classes, curves, thresholds and the search, is of the first.",
    ]
    return Section("splits", "Splits", text, [table])


def _beside(data: RunData) -> str:
    return f"; beside it the {on_validation(data.search_metric)} of the trial that its search chose"


def _sizes(data: RunData) -> str:
    return " + ".join(str(size) for size in part_sizes(data.split).values()) or number(None)
