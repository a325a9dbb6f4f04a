"""The file of another tool -> its columns as text, and the numbers in them; or a clear word what spoils it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.data.files.csv_table import SeriesError, column_key, inflated, read_table
from orchestrator.data.files.number_cells import cleaned, is_nothing, is_number, numbers_of
from orchestrator.data.files.series import DECIMAL_BY_DELIMITER
from orchestrator.report.document.formatting import plural, printable, words
from orchestrator.report.document.spreadsheet import as_named
from trainables.errors import InputError
from trainables.files import read_regular

ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
"""How the name of a file ends that may stand beside runs."""
SHOWN = 3
"""Examples that one error names."""


class NotOfThisRun(InputError):
    """A file does not cover the test part of a run, or holds nothing of its task."""

    def __init__(self, message: str, covered: int = 0) -> None:
        super().__init__(message)
        self.covered = covered
        """How many of the test pictures the file has."""


@dataclass(frozen=True)
class ForeignTable:
    """One file's table. Rows count from 1 below the header."""

    name: str
    """What the file is called here; printable."""
    columns: dict[str, list[str]]
    """By `column_key` of the name, in the order of the file."""
    headed: dict[str, str]
    """By the same keys, the names as the file has them; printable."""
    comma: bool | None = None
    """What the delimiter says of the decimal mark, as `numbers_of` takes it."""
    remarks: list[str] = field(default_factory=list)
    """What was left out or taken for granted, a sentence each."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def first_of(self, *keys: str) -> str | None:
        """The first of these columns that is there."""
        return next((key for key in keys if key in self.columns), None)

    def refused(self, why: str) -> InputError:
        """The error that the file can't be used for this reason."""
        return InputError(f"{self.name}: {why}")

    def say(self, remark: str) -> None:
        """Keep a sentence on what was left out or taken for granted, once."""
        if remark not in self.remarks:
            self.remarks.append(remark)

    def rows(self, rows: Iterable[int]) -> str:
        """Some rows in words, such as `rows 3, 4 and 9`."""
        numbers = sorted({int(row) + 1 for row in rows})
        return f"row{'' if len(numbers) == 1 else 's'} {words([str(number) for number in numbers], SHOWN + 1)}"

    def texts(self, key: str, rows: Sequence[int]) -> list[str]:
        """The cells of one column in some rows, none of them empty, as before our own CSVs made them harmless.
        InputError where one is."""
        cells = [as_named(self.columns[key][row]) for row in rows]
        empty = [row for row, cell in zip(rows, cells, strict=True) if is_nothing(cell)]
        if empty:
            raise self.refused(
                f"column `{self.headed[key]}` is empty or NaN in {plural(len(empty), 'row')} ({self.rows(empty)}). "
                "Each row that is judged needs a value: fill them, or leave the column out."
            )
        return cells

    def numbers(self, key: str, rows: Sequence[int], gaps: bool = False) -> NDArray[np.float64]:
        """The numbers of one column in some rows, all finite, or with `gaps` NaN where a cell is empty. InputError
        where one can't be read without doubt."""
        cells = [self.columns[key][row] for row in rows] if gaps else self.texts(key, rows)
        found = numbers_of(cells, self.comma)
        if found.doubt:
            raise self.refused(
                f"column `{self.headed[key]}` can be read in two ways: {printable(found.doubt)!r} may be thousands or "
                "not. Write numbers with a decimal point and without groups."
            )
        if found.unread:
            bad = [row for row, cell in zip(rows, cells, strict=True) if not (is_nothing(cell) or is_number(cell))]
            where = f", {self.rows(bad)}" if bad else ""
            raise self.refused(
                f"column `{self.headed[key]}` holds what is no finite number in {plural(found.unread, 'row')}, such as "
                f"{printable(found.example)!r}{where}. Write numbers with a decimal point."
            )
        if found.notations:
            self.say(f"column {self.headed[key]} is written with {words(list(found.notations))}.")
        return found.values

    def whole_numbers(self, key: str, rows: Sequence[int]) -> list[int]:
        """The same of whole numbers from 0."""
        values = self.numbers(key, rows)
        bad = [row for row, value in zip(rows, values, strict=True) if value < 0 or value != np.floor(value)]
        if bad:
            raise self.refused(f"column `{self.headed[key]}` must hold whole numbers from 0 ({self.rows(bad)}).")
        return [int(value) for value in values]


def may_be_foreign(path: Path) -> bool:
    """Whether a path names the file of another tool, not a run's folder: by its ending, and that it is no folder."""
    return path.name.lower().endswith(ENDINGS) and not path.expanduser().is_dir()


def read_foreign_table(path: Path, name: str) -> ForeignTable:
    """The table of a CSV, TSV or parquet file. InputError where there is none, or none that can be read."""
    try:
        data = read_regular(path.expanduser())
    except OSError as error:
        raise InputError(
            f"{printable(path)} can't be read: {error.strerror or error}. Give a run's folder, or a file of another "
            f"tool ({', '.join(ENDINGS)})."
        ) from None
    table = _of_parquet(path, name) if path.name.lower().endswith(".parquet") else _of_text(data, name)
    if not table.columns or not len(table):
        raise table.refused("it holds no row. Give a file with a header and a row a picture, or a row a model.")
    return table


def _of_text(data: bytes, name: str) -> ForeignTable:
    try:
        found = read_table(inflated(data), "path")
    except SeriesError as error:
        raise InputError(f"{name} can't be read as a table: {printable(error)}. Save it as CSV in UTF-8.") from None
    if not found.header:
        raise InputError(
            f"{name}: its first line must name the columns, such as `path,score`. It holds {len(found.names)} columns "
            "without names."
        )
    names, rows = _trimmed(found.names), found.rows
    odd = [number for number, row in enumerate(rows, start=1) if len(names) != len(_trimmed(row, len(names)))]
    if odd:
        raise InputError(
            f"{name}: {plural(len(odd), 'row')} (row {odd[0]} first) {'has' if len(odd) == 1 else 'have'} other cells "
            f"than the {len(names)} columns. Quote texts that hold the delimiter {found.delimiter!r}."
        )
    remarks = []
    if found.encoding:
        remarks.append(f"it is no UTF-8; its letters were read as {found.encoding}.")
    if found.above:
        example = printable(found.above[0])[:40]
        remarks.append(f"{plural(len(found.above), 'line')} of it {'is' if len(found.above) == 1 else 'are'} no row of "
                       f"the table, such as {example!r}.")  # fmt: skip
    columns = [[row[place] for row in rows] for place in range(len(names))]
    return _table(name, names, columns, DECIMAL_BY_DELIMITER.get(found.delimiter), remarks)


def _of_parquet(path: Path, name: str) -> ForeignTable:
    try:
        frame = pd.read_parquet(path.expanduser())
    except (OSError, ValueError) as error:  # what pyarrow raises is a ValueError
        raise InputError(f"{name} can't be read as parquet: {printable(error)}.") from None
    columns = [[str(value) for value in frame[column].tolist()] for column in frame.columns]
    return _table(name, [str(column) for column in frame.columns], columns, False, [])


def _table(
    name: str, names: Sequence[str], columns: Sequence[list[str]], comma: bool | None, remarks: list[str]
) -> ForeignTable:
    names = [one or f"column {number}" for number, one in enumerate(names, start=1)]
    keys = [column_key(one) for one in names]
    twice = [printable(one) for one, key in zip(names, keys, strict=True) if keys.count(key) > 1]
    if twice:
        raise InputError(f"{name}: columns must have different names; {words(twice)} are alike.")
    headed = {key: printable(one) for key, one in zip(keys, names, strict=True)}
    return ForeignTable(name, dict(zip(keys, columns, strict=True)), headed, comma, remarks)


def _trimmed(row: Sequence[str], least: int = 0) -> list[str]:
    """The row without empty cells at its end, as spreadsheets add them, but no fewer than `least`."""
    cells = list(row)
    while len(cells) > least and not cells[-1]:
        cells.pop()
    return cells


def said(cell: str) -> str:
    """A cell's word without case and what surrounds it: what two notations of one word share."""
    return cleaned(cell).casefold()
