"""Lines of a live CSV, or bare numbers -> the values of its one column, as they come."""

import csv
from collections.abc import Callable, Sequence

import numpy as np

from orchestrator.data.files.csv_table import LOOKED_AT, SeriesError, Table, column_index, read_table
from orchestrator.data.files.number_cells import Decimal, decimal_of, is_nothing, is_number, numbers_of
from orchestrator.data.files.series import DECIMAL_BY_DELIMITER, DECIMAL_MARKS, DecimalMark
from trainables.errors import InputError


class ValueReader:
    """Reads lines as the reader of whole CSVs does, as far as that can be known before the rest has come.

    Lines above the first number are the header's: names, delimiter and the column are taken from them.
    """

    def __init__(self, column: str | None, decimal: DecimalMark, say: Callable[[str], object]) -> None:
        """`column`, `decimal`: as in `parse_series`."""
        self._column, self._say = column, say
        self._mark: Decimal | None = DECIMAL_MARKS[decimal]
        self._told_unread = False
        self.restart()

    def restart(self) -> None:
        """A new file begins, with a header of its own or without one."""
        self._head: list[str] = []
        self._index: int | None = None
        self._width, self._delimiter = 1, ","
        self._empty = 0

    def read(self, lines: Sequence[str]) -> list[float]:
        """The values of some whole lines; NaN where there is none. InputError where the column is not there."""
        rows = self._from_head(lines) if self._index is None else [self._split(line) for line in lines]
        cells: list[str] = []
        for row in rows:
            if row and row[0].startswith("#"):
                continue
            if not any(row):  # a gap where only one column is, but for the last lines of the file
                self._empty += self._width == 1
                continue
            cells += [""] * self._empty + [row[self._index or 0] if self._fits(row) else ""]
            self._empty = 0
        return self._numbers(cells) if cells else []

    def _from_head(self, lines: Sequence[str]) -> list[list[str]]:
        """The rows of the table, as soon as one of them holds a number."""
        self._head += lines
        table = self._table() if any(is_number(cell) for line in self._head for cell in _cells(line)) else None
        if table is None and len(self._head) > LOOKED_AT:
            raise InputError(f"There is no number in the column's first {LOOKED_AT} lines. Is this the right column?")
        if table is None:
            return []
        self._width, self._delimiter, self._head = len(table.names), table.delimiter, []
        return table.rows

    def _table(self) -> Table | None:
        """What the lines so far hold, and which column is meant; None where its first number has not come."""
        try:
            table = read_table("\n".join(self._head).encode("utf-8"), self._column)
        except SeriesError as error:
            raise InputError(f"These lines are no series: {error}.") from None
        index = column_index(table.names, self._column)
        if index is None and not table.header and len(table.names) == 1:
            index = 0  # bare numbers
        if index is None:
            hint = f"the columns are {', '.join(map(repr, table.names))}" if table.header else "there is no header"
            raise InputError(f"There is no column {self._column!r}: {hint}. Name one of them: --column.")
        if not any(index < len(row) and is_number(row[index]) for row in table.rows):
            return None  # what looks like a number may stand above the table
        self._index = index
        return table

    def _split(self, line: str) -> list[str]:
        if self._width == 1 and '"' not in line:
            return [line.strip()]
        parsed = next(csv.reader([line], delimiter=self._delimiter), [])
        return [cell.strip() for cell in parsed]

    def _fits(self, row: Sequence[str]) -> bool:
        return (self._index or 0) < len(row) and not any(row[self._width :])

    def _numbers(self, cells: list[str]) -> list[float]:
        self._mark = self._mark or decimal_of(cells)
        numbers = numbers_of(cells, False if self._width == 1 else DECIMAL_BY_DELIMITER[self._delimiter], self._mark)
        bad = next((cell for cell, value in zip(cells, numbers.values, strict=True) if self._unread(cell, value)), None)
        if bad is not None and not self._told_unread:
            self._told_unread = True
            self._say(f"What can't be read without doubt is a gap, such as {bad!r}. This is said once.")
        return [float(value) for value in numbers.values]

    def _unread(self, cell: str, value: float) -> bool:
        return bool(np.isnan(value)) and not is_nothing(cell)


def _cells(line: str) -> list[str]:
    """What may be cells of a line whose delimiter is not known yet: each part, and the whole."""
    parts = [line]
    for delimiter in ";\t|,":
        parts += line.split(delimiter) if delimiter in line else []
    return [part.strip().strip('"') for part in parts]
