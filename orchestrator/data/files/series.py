"""A CSV file -> the numbers of its one series, and what its reading left out or took for granted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from orchestrator.data.files.csv_table import UTF8_MARK, SeriesError, column_index, inflated, read_table
from orchestrator.data.files.number_cells import Decimal, is_number, numbers_of
from trainables.files import read_regular

Gaps = Literal["drop", "break", "interpolate"]
GAPS: tuple[Gaps, ...] = get_args(Gaps)
DecimalMark = Literal["auto", "point", "comma"]
DECIMAL_MARKS: dict[DecimalMark, Decimal | None] = {"auto": None, "point": ".", "comma": ","}
READER_VERSION = 2
"""Rises whenever the same bytes give other values: part of a store's keys."""
NAMES_SHOWN = 8
DECIMAL_BY_DELIMITER = {",": False, ";": True, "\t": None, "|": None}
"""Whether the decimal mark is a comma, as far as the delimiter says: where the comma separates columns, it is none."""
TEXT_SHOWN = 40


class Reading(NamedTuple):
    """How one file was read: all that was left out of it, guessed or coerced. JSON holds it as a list."""

    column: str
    """The name of the column taken, as it stands there; "column 1" and so on where the file has no header."""
    names: str
    """Those of all columns, or of the first few, in words."""
    columns: int
    rising: bool
    """Whether its values only rise, as a time's do."""
    missing: int
    """Rows without a value."""
    unread: int
    """Rows whose cell is neither empty nor a finite number that can be read without doubt, or that have more cells than
    there are columns."""
    example: str
    """The first of these cells."""
    above: int
    """Lines that are no part of the table: what stands above its header, comments, rows of units."""
    line: str
    """The first of them."""
    notations: tuple[str, ...]
    """How numbers or letters are written that a plain reader would not take."""

    @classmethod
    def of(cls, told: Sequence[Any]) -> "Reading":
        """From the list that JSON makes of it."""
        return cls._make([*told[:-1], tuple(told[-1])])


@dataclass(frozen=True)
class SeriesValues:
    """The numbers of one series, in the order of the file."""

    values: NDArray[np.float64]
    """(n,), at least two of them finite; NaN only where gaps are to break the line, or at either end."""
    reading: Reading


class Column(NamedTuple):
    """One column as it was read: a value for each row, NaN where there is none."""

    values: NDArray[np.float64]
    reading: Reading


def read_series(
    path: Path, column: str | None = None, gaps: Gaps = "drop", decimal: DecimalMark = "auto"
) -> SeriesValues:
    """The series of one CSV file, as `parse_series` finds it. A file that can't be read is a SeriesError too."""
    try:
        data = read_regular(path)
    except OSError as error:
        raise SeriesError(f"can't be read: {error.strerror}") from error
    return parse_series(data, column, gaps, decimal)


def parse_series(
    data: bytes, column: str | None = None, gaps: Gaps = "drop", decimal: DecimalMark = "auto"
) -> SeriesValues:
    """The series in the bytes of a CSV file, which gzip may have compressed.

    The column is the one named, else `data`, else `value`, else the first (the rule of the published models' code);
    capitals and spaces around a name make no difference. Rows without a number are counted and, by `gaps`, dropped, so
    that the rest moves left; left as breaks in the line (NaN); or interpolated between their neighbours. Comma,
    semicolon, tab or bar, lines above the header, files without one, byte-order marks, and numbers as people write them
    (decimal commas, groups of digits, one unit after all) are understood where they leave no doubt; `decimal` tells
    which mark is meant where they do. Plain files take pyarrow's reader, others a tolerant one; both give the same
    bits.

    Raises SeriesError where the file is empty, is no text, lacks the named column, or holds fewer than two numbers.
    """
    data = inflated(data)
    if not data.strip(UTF8_MARK + b"\r\n\t\f\v ,;"):
        raise SeriesError("empty")
    mark = DECIMAL_MARKS[decimal]
    taken = (None if mark == "," else read_plain(data, column)) or read_tolerant(data, column, mark)
    count = int(np.isfinite(taken.values).sum())
    if count < 2:
        raise SeriesError(_too_few(taken.reading, count))
    return SeriesValues(with_gaps(taken.values, gaps), taken.reading)


def read_plain(data: bytes, column: str | None) -> Column | None:
    """The column of a comma-separated UTF-8 file without oddities, by pyarrow; None where it is anything else."""
    data = data.removeprefix(UTF8_MARK)
    line = data[: data.find(b"\n") + 1].strip(b"\r\n")
    if not line.strip() or b"\0" in data or any(mark in line for mark in b"\"';\t\r|#"):
        return None
    try:
        fields = [name.strip() for name in line.decode("utf-8").split(",")]
    except UnicodeDecodeError:
        return None
    numbers = sum(map(is_number, fields))
    if (len(fields) == 1 and b"," in data) or not any(fields) or 0 < numbers < len(fields):
        return None
    if (len(fields) == 1 and b"\n\n" in data.rstrip()) or b"\n\r\n" in data.rstrip():
        return None  # an empty line is a gap there
    names = [f"column {number}" for number in range(1, len(fields) + 1)] if numbers else fields
    index = column_index(names, column)
    if index is None:
        return None
    keys = [str(number) for number in range(len(names))]
    try:
        # The streaming reader stays on this thread; `read_csv` hands over to another one, which costs twice the time.
        table = pyarrow.csv.open_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=keys, skip_rows=int(not numbers)),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=b'"' in data),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=[keys[index]], column_types={keys[index]: pa.float64()}
            ),
        ).read_all()
    except pa.ArrowInvalid:
        return None
    values = table.column(0).to_numpy()
    if np.isinf(values).any():
        return None
    missing = int(np.isnan(values).sum())
    return Column(values, Reading(names[index], _listed(names), len(names), _rising(values), missing, 0, "", 0, "", ()))


def read_tolerant(data: bytes, column: str | None, decimal: Decimal | None = None) -> Column:
    """The column of any text that can be taken for rows. Short rows and cells that are no numbers give NaN."""
    table = read_table(data, column)
    names = table.names
    index = column_index(names, column)
    if index is None:
        hint = f"the columns are {_listed(names)}" if table.header else "the file has no header row"
        raise SeriesError(f"no column {column!r}; {hint}")
    longer = [number for number, row in enumerate(table.rows) if any(row[len(names) :])]
    cells = [row[index] if index < len(row) else "" for row in table.rows]
    for number in longer:
        cells[number] = ""
    comma = False if len(names) == 1 else DECIMAL_BY_DELIMITER[table.delimiter]
    numbers = numbers_of(cells, comma, decimal)
    if numbers.doubt:
        raise SeriesError(
            f"in column {names[index]!r} {numbers.doubt!r} and others may be thousands or have a decimal "
            f"{'comma' if ',' in numbers.doubt else 'point'}: say which mark is decimal (data.decimal: point or comma)"
        )
    empty = int(np.isnan(numbers.values).sum()) - numbers.unread - len(longer)
    example = numbers.example or (table.delimiter.join(table.rows[longer[0]]) if longer else "")
    above = table.above
    told = (*numbers.notations, *([f"letters as in {table.encoding}"] if table.encoding else []))
    known = (names[index], _listed(names), len(names), _rising(numbers.values), empty)
    shown = (example[:TEXT_SHOWN], len(above), above[0][:TEXT_SHOWN] if above else "")
    return Column(numbers.values, Reading(*known, numbers.unread + len(longer), *shown, told))


def with_gaps(values: NDArray[np.float64], gaps: Gaps) -> NDArray[np.float64]:
    """What is drawn of a column's values, of which two at least are finite."""
    found = np.isfinite(values)
    if found.all():
        return values
    if gaps == "drop":
        return values[found]
    known = np.flatnonzero(found)
    filled = np.where(found, values, np.nan)
    if gaps == "interpolate":
        inner = slice(known[0], known[-1] + 1)
        filled[inner] = np.interp(np.arange(known[0], known[-1] + 1), known, values[known])
    return filled


def _rising(values: NDArray[np.float64]) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 1 and bool((np.diff(known) > 0).all())


def _too_few(reading: Reading, count: int) -> str:
    """Why a file with so few numbers can't be used, with what else it holds."""
    what = "only one number" if count else "no numbers"
    reason = f"{what} in column {reading.column!r}, at least two are needed"
    if reading.unread:
        reason += f"; {reading.unread} of its cells can't be read without doubt, such as {reading.example!r}"
    return reason + (f"; the columns are {reading.names}" if reading.columns > 1 else "")


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name[:TEXT_SHOWN]) for name in names[:NAMES_SHOWN])
    return shown + (f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else "")
