"""How well each kind of anomaly is found."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.report.document.document import Table, TableCell
from orchestrator.report.document.formatting import count, label, number, plural, printable, sentence
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.metric_table import METRICS

SHOWN = ("roc_auc", "tpr", "pixel_roc_auc", "pro_auc")
MOST_KINDS = 40


def kind_frame(data: RunData) -> pd.DataFrame:
    """A row a variant and kind: its test pictures, and each metric's mean and standard deviation over seeds."""
    names = [name for name in METRICS if any(name in values for *_, found in _kinds(data) for values in found)]
    columns = ["variant", "kind", "pictures", "seeds", *(name + suffix for name in names for suffix in ("", "_sd"))]
    rows = []
    for variant, kind, found in _kinds(data):
        sizes = [int(size) for values in found if math.isfinite(size := values.get("pictures", math.nan))]
        pictures = sizes[0] if sizes else None
        row: dict[str, Any] = {"variant": variant, "kind": kind, "pictures": pictures, "seeds": len(found)}
        for name in names:
            known = [values[name] for values in found if math.isfinite(values.get(name, math.nan))]
            row[name] = float(np.mean(known)) if known else math.nan
            row[f"{name}_sd"] = float(np.std(known, ddof=1)) if len(known) > 1 else math.nan
        rows.append(row)
    frame = pd.DataFrame(rows, columns=columns)
    frame["pictures"] = frame["pictures"].astype("Int64")
    return frame


def _kinds(data: RunData) -> list[tuple[str, str, list[dict[str, float]]]]:
    """(variant, kind, a cell's metrics each)."""
    return [
        (variant, kind, [one.per_kind[kind] for one in cells if kind in one.per_kind])
        for variant, cells in data.completed.items()
        for kind in dict.fromkeys(kind for one in cells for kind in one.per_kind)
    ]


def kind_tables(data: RunData, frame: pd.DataFrame, variants: Sequence[str]) -> list[Table]:
    """For each metric that is known, kinds in rows and variants in columns."""
    names = [name for name in variants if name in set(frame["variant"])]
    metrics = [name for name in SHOWN if name in frame.columns and frame[name].notna().any()]
    kinds = list(dict.fromkeys(frame["kind"]))
    pictures = frame.drop_duplicates("kind").set_index("kind")["pictures"]
    tables = []
    for metric in metrics:
        values = {(row["kind"], row["variant"]): (row[metric], row[f"{metric}_sd"]) for _, row in frame.iterrows()}
        printed = []
        for kind in kinds[:MOST_KINDS]:
            cells = [_cell(*values.get((kind, name), (math.nan, math.nan))) for name in names]
            size = pictures[kind]
            printed.append([TableCell(printable(kind)), *cells, TableCell(count(None if pd.isna(size) else int(size)))])
        columns = ["Kind", *(printable(name) for name in names), "Pictures"]
        numeric = frozenset(range(1, len(columns)))
        tables.append(Table("per_kind", _caption(data, metric, len(kinds)), columns, printed, numeric))
    return tables


def _caption(data: RunData, metric: str, kinds: int) -> str:
    if metric == "tpr":
        what = "TPR of each kind of anomaly: the share of its test pictures above the chosen threshold"
    else:
        what = f"{sentence(label(metric))} of each kind of anomaly against all normal pictures of the test part"
    cut = f" The first {MOST_KINDS} of {plural(kinds, 'kind')}; all are in tables/per_kind.csv."
    return (
        f"{what}; mean ± standard deviation over seeds, deeper is better."
        f"{cut if kinds > MOST_KINDS else ''}{data.caveat}"
    )


def _cell(mean: float, deviation: float) -> TableCell:
    if math.isnan(mean):
        return TableCell(number(None))
    spread = "" if math.isnan(deviation) else f"± {number(deviation)}"
    return TableCell(number(mean), spread, shade=min(1.0, max(0.0, mean)))
