"""The bytes of a CSV file -> the rows of its one table: what lies above it, its header, its columns."""

import csv
import gzip
import io
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from orchestrator.data.files.number_cells import is_nothing, is_number

UTF8_MARK = b"\xef\xbb\xbf"
GZIP_MARK = b"\x1f\x8b"
MOST_BYTES = 128 * 2**20
"""The longest CSV text that is taken, some six million rows: what a reader needs is a multiple of it."""
MARKED = (
    (UTF8_MARK, "utf-8"), (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"),
)  # fmt: skip
ENCODINGS = ("utf-8", "cp1252", "cp932", "gb18030", "big5", "euc-kr", "latin-1")
"""What text without a mark may be in, tried in turn. All keep digits and delimiters as ASCII has them, so a wrong guess
changes no number, only how names look."""
CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
DELIMITERS = ";\t|,"
PREFERRED = ("data", "value")
LOOKED_AT = 200
"""Rows that tell what the columns hold."""
DOUBLED = 8
"""So many lines, each second one empty, are no chance: their ends were doubled."""
UNIT = re.compile(
    r"|[\[(].*[\])]|%|‰|°[CF]?|[kMmµunG]?(V|A|W|Hz|Pa|s|m|g|m/s|m/s2|m/s²|l|N|J|K|Ω)|C|F|h|min|bar|rpm|ppm|deg|rad"
)
"""What stands below a column's name where a row of units follows."""

Kind = Literal["nothing", "number", "code", "words"]
"""Of a cell: no value; a number; text with digits, as dates and names of devices are; text without."""


class SeriesError(ValueError):
    """One file can't be used; the message is the short reason."""


class Table(NamedTuple):
    """The one table in a file."""

    names: list[str]
    """Of the columns; "column 1" and so on where there is no header."""
    header: bool
    rows: list[list[str]]
    """Its rows, stripped; shorter and longer ones among them. An empty row is one without any value."""
    delimiter: str
    above: list[str]
    """Lines that are no part of it: what stands above its header, rows of units, comments."""
    encoding: str
    """Which is used where the file says none and is not UTF-8; else empty."""


def inflated(data: bytes) -> bytes:
    """The bytes of a file that may be compressed by gzip. SeriesError where they are too many, or cut off."""
    if data.startswith(GZIP_MARK):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise SeriesError(f"its gzip can't be read: {error}") from error
    if len(data) > MOST_BYTES:
        raise SeriesError(f"too large: more than {MOST_BYTES >> 20} MiB of text")
    return data


def column_key(name: str) -> str:
    """What two names of one column share: `Value`, ` value ` and `value` are one."""
    return unicodedata.normalize("NFC", name).strip(" \t'\"#\ufeff\xa0").casefold()


def column_index(names: Sequence[str], column: str | None) -> int | None:
    """Where the named column stands, or `data`, else `value`, else the first; None: it is not there."""
    if column is None:
        keys = [column_key(name) for name in names]
        return next((keys.index(name) for name in PREFERRED if name in keys), 0)
    if column in names:
        return list(names).index(column)
    return next((index for index, name in enumerate(names) if column_key(name) == column_key(column)), None)


def read_table(data: bytes, column: str | None) -> Table:
    """The table in the bytes of a text file; of several readings of its letters the first that has the `column`.

    SeriesError where it is no text, or no rows can be made of it.
    """
    first: Table | None = None
    for text, encoding in _texts(data):
        table = _table_of(text, column, encoding)
        if column is None or column_index(table.names, column) is not None:
            return table
        first = first or table
    if first is None:
        raise SeriesError("binary, not text")
    return first


def _texts(data: bytes) -> Iterator[tuple[str, str]]:
    """The file's text in each encoding that it may be in, and what to say of it."""
    for mark, encoding in MARKED:
        if data.startswith(mark):
            tried: Sequence[str] = (encoding,)
            data = data[len(mark) :]
            break
    else:
        zeros = data[:200].count(0)
        wide = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
        tried = (wide,) if zeros and 3 * zeros >= min(200, len(data)) else ENCODINGS
    for encoding in tried:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not CONTROL.search(text):
            yield text, "" if len(tried) == 1 or encoding == "utf-8" else encoding
            if encoding == "utf-8":
                return


def _table_of(text: str, column: str | None, encoding: str) -> Table:
    if not text.strip():
        raise SeriesError("empty")
    told = re.match(r'\s*"?sep=(.)"?\s*[\r\n]', text)
    delimiter = told[1] if told else _delimiter(text)
    try:
        # Fields longer than csv's limit (131,072 characters) come from quotes that never close.
        parsed = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise SeriesError(f"no CSV: {error}") from error
    rows = [[cell.strip() for cell in row] for row in parsed]
    above: list[str] = []
    if told:
        above.append(text[: told.end()].strip())
        rows = rows[1:]
    while rows and not any(rows[-1]):
        rows.pop()
    if not any(map(any, rows)):
        raise SeriesError("empty")
    header, begin, names = _header(rows, column)
    above += [_line(row, delimiter) for row in rows[:begin] if any(row) and row is not header]
    names = [name.lstrip("#").strip() if index == 0 else name for index, name in enumerate(names)]
    comments = [row for row in rows[begin:] if row and row[0].startswith("#")]
    above += [_line(row, delimiter) for row in comments]
    body = [row for row in rows[begin:] if not (row and row[0].startswith("#"))]
    if len(names) > 1 or _alternate(body):  # an empty line is no row, but in a file of one column
        body = [row for row in body if len(row) > 1 or any(row)]
    return Table(names, header is not None, body, delimiter, above, encoding)


def _alternate(rows: list[list[str]]) -> bool:
    """Whether every second line is empty, as where line ends were doubled."""
    even, odd = ({any(row) for row in rows[start::2]} for start in (0, 1))
    return len(rows) >= DOUBLED and len(even) == len(odd) == 1 and even != odd


def _header(rows: list[list[str]], column: str | None) -> tuple[list[str] | None, int, list[str]]:
    """The header row (None: there is none), where the rows of the table begin, and the columns' names."""
    body = [row for row in rows if any(row) and not row[0].startswith("#")] or [row for row in rows if any(row)]
    body = body[-LOOKED_AT:]
    low = body[-max(2, len(body) // 3) :]  # where nothing stands any more that may be above a table
    widths, low_widths = (Counter(map(_width, part)) for part in (body, low))
    width = max(widths, key=lambda width: (widths[width], low_widths[width]))
    kinds = _kinds(low)
    first = next((index for index, row in enumerate(rows) if _width(row) == width and _fits(row, kinds)), None)
    if first is None:  # there is no number in it at all
        head = next(index for index, row in enumerate(rows) if _width(row) == width)
        return rows[head], head + 1, [*rows[head]]
    wanted = [column] if column is not None else list(PREFERRED)
    named = [row for row in rows[:first] if _width(row) >= width and _has_one(row, wanted)]
    heads = [row for row in rows[max(0, first - LOOKED_AT) : first] if _is_head(row, width, kinds)]
    chosen = named[-1] if named else _nearest(heads) or _too_short(rows[:first], wanted)
    if chosen is not None:
        at = next(index for index, row in enumerate(rows) if row is chosen)
        begin = at + 1
        # What is text in each column, below the names, says their units, not values.
        while begin < first and rows[begin] in heads:
            begin += 1
        return chosen, begin, [*chosen]
    divided = _otherwise_divided(rows[:first], width)
    if divided is not None:
        return rows[first - 1], first, divided
    while first > 0 and _width(rows[first - 1]) == width and any(map(is_number, rows[first - 1])):
        first -= 1  # a row with a broken cell
    return None, first, [f"column {number}" for number in range(1, max(width, 1) + 1)]


def _otherwise_divided(above: list[list[str]], width: int) -> list[str] | None:
    """The names in the line right above the values, where another delimiter than theirs divides it as often."""
    if not above or _width(above[-1]) != 1 or width < 2:
        return None
    divided = [[name.strip(" \"'#") for name in above[-1][0].split(delimiter)] for delimiter in DELIMITERS]
    return next((names for names in divided if len(names) == width and not any(map(is_number, names))), None)


def _nearest(heads: list[list[str]]) -> list[str] | None:
    """Of rows of names above the first values, the last, but names go before their units."""
    if len(heads) > 1 and all(UNIT.fullmatch(cell) for cell in heads[-1]):
        return heads[-2]
    return heads[-1] if heads else None


def _too_short(above: list[list[str]], wanted: Sequence[str | None]) -> list[str] | None:
    """The row above the values that has names, but fewer than they: then each row of values is in doubt."""
    last: list[str] | None = None
    for row in reversed(above):
        if any(map(is_number, row)) or (row and row[0].startswith("#")):
            break
        if _has_one(row, wanted):
            return row
        last = last or (row if any(row) else None)
    return last if last is not None and _width(last) > 1 else None


def _has_one(row: list[str], names: Sequence[str | None]) -> bool:
    return bool({column_key(cell) for cell in row} & {column_key(name) for name in names if name is not None})


def _is_head(row: list[str], width: int, kinds: list[Kind | None]) -> bool:
    """Whether a row can hold the columns' names: as wide as the table, and words where its numbers are."""
    if _width(row) < width or not any(row) or _fits(row, kinds):
        return False
    numbers = [cell for cell, kind in zip(row, kinds, strict=False) if kind in ("number", None)]
    words = [cell for cell in numbers if not is_nothing(cell) and not is_number(cell)]
    if row[0].startswith("#") and width == 1:
        return False
    return bool(words) and (len(words) == len([cell for cell in numbers if cell]) or not is_number(row[0]))


def _fits(row: list[str], kinds: list[Kind | None]) -> bool:
    """Whether a row holds a value at all, and everywhere what the rows far below hold."""
    if row and row[0].startswith("#"):
        return False
    some = False
    for cell, usual in zip(row, kinds, strict=False):
        kind = _kind(cell)
        some = some or kind == "number"
        if kind in ("words", "code") and usual is not None and kind != usual:
            return False
    return some


def _kinds(body: list[list[str]]) -> list[Kind | None]:
    """By column, what nearly all its cells are; None where that varies."""
    kinds: list[Kind | None] = []
    for index in range(max(map(len, body))):
        counts = Counter(_kind(row[index]) for row in body if index < len(row) and not is_nothing(row[index]))
        kind, count = counts.most_common(1)[0] if counts else (None, 0)
        kinds.append(kind if count >= 0.9 * counts.total() else None)
    return kinds


def _kind(cell: str) -> Kind:
    if is_nothing(cell):
        return "nothing"
    if is_number(cell):
        return "number"
    return "code" if any(map(str.isdigit, cell)) else "words"


def _width(row: list[str]) -> int:
    """How many cells a row has, up to its last that is not empty."""
    return max((index for index, cell in enumerate(row, start=1) if cell), default=0)


def _delimiter(text: str) -> str:
    """The delimiter that stands equally often in most lines of the file's second half; of several the one whose cells
    hold the fewest others beside numbers, then the one that does so in most lines above."""
    lines = [line for line in re.split(r"[\r\n]+", text[:100_000]) if line.strip()][:LOOKED_AT]
    unquoted = [re.sub(r'"[^"]*"', "", line) for line in lines]
    half = len(unquoted) // 2
    found: dict[str, tuple[int, float, int]] = {}
    for delimiter in DELIMITERS:
        counts = [line.count(delimiter) for line in unquoted]
        usual, share = (
            Counter(count for count in counts[half:] if count).most_common(1)[0] if any(counts[half:]) else (0, 0)
        )
        above = next((row for row in range(half) if counts[half - 1 - row] != usual), half)
        cells = [cell for line in unquoted[half:] for cell in line.split(delimiter)]
        whole = [is_number(cell) or not any(mark in cell for mark in DELIMITERS) for cell in cells]
        found[delimiter] = share, sum(whole) / max(1, len(whole)), above
    best = max(DELIMITERS, key=lambda delimiter: found[delimiter])
    # One column by its header: commas below it belong to the numbers, unless the rows are longer than the header.
    first = next((index for index, line in enumerate(unquoted) if "," in line and is_number(line)), 0)
    head, body = unquoted[first - 1], unquoted[first:]
    numbers = sum(is_number(line) or is_nothing(line) for line in body)
    if best == "," and first and "," not in head and not head.startswith("#") and numbers >= 0.8 * len(body):
        return ";"
    return best


def _line(row: list[str], delimiter: str) -> str:
    return delimiter.join(row)
