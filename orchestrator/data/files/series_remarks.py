"""What to say of how series were read: rows left out, lines skipped, notations, and columns that may be another's."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import islice

from orchestrator.data.files.csv_table import PREFERRED, SeriesError, column_key
from orchestrator.data.files.series import DecimalMark, Gaps, Reading, parse_series
from orchestrator.data.layouts.listing import Listing
from trainables.files import read_regular

NAMED = 3
"""How many files a remark names."""
MOST_COLUMNS = 5
"""How many ways to choose a column are told apart in remarks."""
RISING = " Its values only rise, as a time's do."
WITHOUT: dict[Gaps, str] = {
    "drop": "dropped, and the rest of the series moves left (data.gaps: drop; break or interpolate keep the time axis)",
    "break": "breaks in the line (data.gaps: break)",
    "interpolate": "filled in between their neighbours (data.gaps: interpolate)",
}


LOOKED_AT = 1000
READ_AT_MOST = 32 * 2**20
"""Files, and bytes, that are read to learn which column is plotted, before any is drawn: half a second's work."""


def series_remarks(readings: Mapping[str, Reading], column: str | None, gaps: Gaps) -> list[str]:
    """A sentence for each thing that readings, by path, left out or took for granted; `column`: the one asked for."""
    rows = WITHOUT[gaps]
    remarks = [
        *column_remarks(readings.values(), column),
        _counted(readings, lambda one: one.missing, ("row", "rows"), "without a value", f"Such rows are {rows}."),
        _counted(
            readings,
            lambda one: one.unread,
            ("cell", "cells"),
            "neither empty nor a number that can be read without doubt",
            f"Such rows are {rows}; --strict refuses such files.",
            lambda one: f", such as {one.example!r}",
        ),
        _counted(
            readings,
            lambda one: one.above,
            ("line", "lines"),
            "outside of a table",
            "Such lines are left out.",
            lambda one: f", such as {one.line!r}",
        ),
    ]
    notations = {path: one for path, one in readings.items() if one.notations}
    if notations:
        counts = Counter(notation for one in notations.values() for notation in one.notations)
        ways = "; ".join(f"{notation} ({count})" for notation, count in counts.most_common())
        remarks.append(f"Another notation than plain numbers was read, by how many files have it: {ways}.")
    return [remark for remark in remarks if remark]


def reading_line(reading: Reading) -> str:
    """What a reading left out or took for granted, for one file; empty: nothing."""
    parts = [
        f"rows without a value: {reading.missing}" if reading.missing else "",
        f"cells that can't be read: {reading.unread}, such as {reading.example!r}" if reading.unread else "",
        f"lines outside of the table: {reading.above}, such as {reading.line!r}" if reading.above else "",
        f"read: {', '.join(reading.notations)}" if reading.notations else "",
    ]
    return "; ".join(part for part in parts if part)


def column_remarks(readings: Collection[Reading], column: str | None) -> list[str]:
    """A remark for each kind of file whose column was taken only because it is the first: it may be the time's."""
    if column is not None:
        return []
    ways = Counter((one.column, one.names, one.columns) for one in readings)
    doubtful = {way: count for way, count in ways.most_common() if way[2] > 1 and column_key(way[0]) not in PREFERRED}
    remarks = []
    for (name, names, columns), count in islice(doubtful.items(), MOST_COLUMNS):
        rising = all(one.rising for one in readings if (one.column, one.names) == (name, names))
        remarks.append(
            f"Plotting column {name!r}, the first of {columns} ({names}), in {count} of {len(readings)} files, since "
            f"none is named data or value.{RISING if rising else ''} Another: data.column (render: --column)."
        )
    if len(doubtful) > MOST_COLUMNS:
        remarks.append(f"The first column is plotted in {len(doubtful) - MOST_COLUMNS} other kinds of files, too.")
    return remarks


def early_remarks(listing: Listing, column: str | None, decimal: DecimalMark = "auto") -> list[str]:
    """What to say, before any is drawn, of the columns that are plotted: by all files, or a part of very many."""
    if column is not None or not listing.layout.plots:
        return []
    readings = []
    read = 0
    for file in listing.files[:: max(1, len(listing.files) // LOOKED_AT)]:
        try:
            data = read_regular(listing.root / file.path)
            readings.append(parse_series(data, decimal=decimal).reading)
        except (OSError, SeriesError):
            continue
        read += len(data)
        if read > READ_AT_MOST:
            break
    return column_remarks(readings, column)


def _counted(
    readings: Mapping[str, Reading],
    count: Callable[[Reading], int],
    nouns: tuple[str, str],
    which: str,
    then: str,
    such: Callable[[Reading], str] = lambda one: "",
) -> str:
    """One sentence on how many of something there are in which files; empty where there is none."""
    found = {path: one for path, one in readings.items() if count(one)}
    if not found:
        return ""
    total = sum(map(count, found.values()))
    worst = sorted(found.items(), key=lambda item: -count(item[1]))[:NAMED]
    named = ", ".join(f"{path!r} {count(one)}{such(one)}" for path, one in worst)
    rest = len(found) - NAMED
    more = f", and {rest} more {'file' if rest == 1 else 'files'}" if rest > 0 else ""
    what = f"{total} {nouns[total != 1]} {which}"
    return f"{what}, in {len(found)} of {len(readings)} files: {named}{more}. {then}"
