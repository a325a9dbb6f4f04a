"""A CSV file -> the numbers of its one series."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

UTF8_MARK = b"\xef\xbb\xbf"
CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
DECIMAL_COMMA = re.compile(r"[+-]?(\d*|\d{1,3}(\.\d{3})+),\d+([eE][+-]?\d+)?")
THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?")
NAMES_SHOWN = 8


class SeriesError(ValueError):
    """One file can't be used; the message is the short reason."""


@dataclass(frozen=True)
class SeriesValues:
    """The numbers of one series, in the order of the file."""

    values: NDArray[np.float64]
    """(n,), n >= 2, all finite."""
    dropped: int
    """How many rows held no finite number."""
    column: str
    """The name of the column taken; "column 1" and so on where the file has no header."""
    columns: int = 1
    """How many columns the file has."""


class Column(NamedTuple):
    """One column as it was read, and the names of all."""

    name: str
    values: NDArray[np.float64]
    names: list[str]


def read_series(path: Path, column: str | None = None) -> SeriesValues:
    """The series of one CSV file, as `parse_series` finds it. A file that can't be read is a SeriesError too."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SeriesError(f"can't be read: {error.strerror}") from error
    return parse_series(data, column)


def parse_series(data: bytes, column: str | None = None) -> SeriesValues:
    """The series in the bytes of a CSV file.

    The column is the one named, else `data`, else `value`, else the first (the rule of the published models' code).
    What is no finite number is dropped and counted; an empty line is no row. Comma, semicolon or tab, decimal commas
    (not where the comma separates columns), byte-order marks, and files without a header (the first row is all
    numbers) are understood. Plain files take pyarrow's reader, others a tolerant one: the same bits from both.

    Raises SeriesError where the file is empty, is no text, lacks the named column, or holds fewer than two numbers.
    """
    if not data.strip(UTF8_MARK + b"\r\n\t ,;"):
        raise SeriesError("empty")
    taken = read_plain(data, column) or read_tolerant(data, column)
    values = taken.values[np.isfinite(taken.values)]
    if len(values) < 2:
        what = "only one number" if len(values) else "no numbers"
        reason = f"{what} in column {taken.name!r}, at least two are needed"
        raise SeriesError(reason + (f"; the columns are {_listed(taken.names)}" if len(taken.names) > 1 else ""))
    return SeriesValues(values, len(taken.values) - len(values), taken.name, len(taken.names))


def read_plain(data: bytes, column: str | None) -> Column | None:
    """The column of a comma-separated UTF-8 file without oddities, by pyarrow; None where it is anything else."""
    data = data.removeprefix(UTF8_MARK)
    line = data[: data.find(b"\n") + 1].strip(b"\r\n")
    if not line.strip() or b"\0" in data or any(mark in line for mark in b"\"';\t\r"):
        return None
    try:
        fields = [name.strip() for name in line.decode("utf-8").split(",")]
    except UnicodeDecodeError:
        return None
    if len(fields) == 1 and b"," in data:
        return None
    names, header, index = _columns(fields, column, decimal_comma=False)
    keys = [str(number) for number in range(len(names))]
    try:
        # The streaming reader stays on this thread; `read_csv` hands over to another one, which costs twice the time.
        table = pyarrow.csv.open_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=keys, skip_rows=header),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=b'"' in data),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=[keys[index]], column_types={keys[index]: pa.float64()}
            ),
        ).read_all()
    except pa.ArrowInvalid:
        return None
    return Column(names[index], table.column(0).to_numpy(), names)


def read_tolerant(data: bytes, column: str | None) -> Column:
    """The column of any text that can be taken for rows. Short rows and cells that are no numbers give NaN."""
    text = _decode(data)
    delimiter = _delimiter(text)
    decimal_comma = delimiter != ","
    try:
        # Fields longer than csv's limit (131,072 characters) come from quotes that never close.
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error as error:
        raise SeriesError(f"no CSV: {error}") from error
    if not rows:
        raise SeriesError("empty")
    names, header, index = _columns([name.strip() for name in rows[0]], column, decimal_comma)
    cells = [row[index].strip() if index < len(row) else "" for row in rows[header:]]
    if decimal_comma and any("," in cell for cell in cells):
        cells = _with_points(cells)
    return Column(names[index], np.array([_number(cell) for cell in cells], dtype=np.float64), names)


def _columns(first: list[str], column: str | None, decimal_comma: bool) -> tuple[list[str], int, int]:
    """The columns' names, how many header rows there are (0 or 1), and the index of the column to take."""
    cells = _with_points(first) if decimal_comma else first
    names, header = first, 1
    if all(cell.lower() == "nan" or not np.isnan(_number(cell)) for cell in cells):
        names, header = [f"column {number}" for number in range(1, len(first) + 1)], 0
    if column is None:
        return names, header, next((names.index(name) for name in ("data", "value") if name in names), 0)
    if column not in names:
        hint = f"the columns are {_listed(names)}" if header else "the file has no header row"
        raise SeriesError(f"no column {column!r}; {hint}")
    return names, header, names.index(column)


def _decode(data: bytes) -> str:
    for mark, encoding in ((UTF8_MARK, "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            encodings = [encoding]
            data = data[len(mark) :]
            break
    else:
        encodings = ["utf-8", "cp1252"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not CONTROL.search(text):
            return text
    raise SeriesError("binary, not text")


def _delimiter(text: str) -> str:
    lines = [line for line in re.split(r"[\r\n]+", text[:100_000]) if line.strip()]
    unquoted = [re.sub(r'"[^"]*"', "", line) for line in lines[:100]]
    for delimiter in ";\t,":
        if delimiter in unquoted[0]:
            return delimiter
    # One column by its header: a comma below it is a decimal comma, unless the rows are simply longer than the header.
    for delimiter in ";\t":
        if any(delimiter in line for line in unquoted):
            return delimiter
    commas = [line for line in unquoted if "," in line]
    return ";" if commas and all(DECIMAL_COMMA.fullmatch(line.strip()) for line in commas) else ","


def _with_points(cells: list[str]) -> list[str]:
    """Cells with decimal commas, with points instead. Points are thousands where they can't be anything else."""
    grouped = all(THOUSANDS.fullmatch(cell) for cell in cells if "." in cell)
    return [
        (cell.replace(".", "") if grouped else cell).replace(",", ".")
        if DECIMAL_COMMA.fullmatch(cell) or grouped
        else cell
        for cell in cells
    ]


def _number(cell: str) -> float:
    """The number that a cell spells, correctly rounded; NaN where it spells none."""
    try:
        # Python's own digit groups (1_000) are no number in a CSV file.
        return float(cell) if "_" not in cell else float("nan")
    except ValueError:
        return float("nan")


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:NAMES_SHOWN])
    return shown + (f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else "")
