"""Tables as CSV, none of whose texts a spreadsheet runs."""

import csv
import re
from collections.abc import Iterable
from typing import Any, Literal

import pandas as pd

FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""What a text begins with that spreadsheets take for a formula, full-width signs too; also where it is made harmless
already, so that this can be undone."""
PARTING = re.compile(r"\r|[;\t]\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def to_csv(frame: pd.DataFrame) -> str:
    """Plain numbers in full precision, empty where there is none.

    Spreadsheets run a text that begins with =, +, -, @ or a tab as a formula: it has an apostrophe before it, which
    `as_named` takes away again. Numbers stay numbers.
    """
    safe = frame.rename(columns=harmless)
    for place, kind in enumerate(safe.dtypes):
        if not pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
            safe.isetitem(place, safe.iloc[:, place].map(harmless).to_numpy())
    quoting = quoting_of((*safe.columns, *safe.to_numpy().flat))
    return safe.to_csv(index=False, lineterminator="\n", quoting=quoting)


def quoting_of(values: Iterable[Any]) -> Literal[0, 2]:
    """How cells are quoted, as `csv` counts it: all texts where a spreadsheet may part one of them.

    Where a semicolon parts columns, what stands behind one would begin a cell of its own; a carriage return, a row.
    """
    parted = any(isinstance(one, str) and PARTING.search(one) for one in values)
    return csv.QUOTE_NONNUMERIC if parted else csv.QUOTE_MINIMAL


def as_named(text: str) -> str:
    """A text of a table's CSV as it was before `to_csv` made it harmless."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def harmless(value: Any) -> Any:
    """A cell as `to_csv` writes it: a text that spreadsheets would run has an apostrophe before it."""
    if not isinstance(value, str) or not FORMULA.match(value):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
