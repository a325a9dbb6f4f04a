"""Made-up files in every mixture of notations: each is read right, or what could not be read is told; never wrong."""

import csv
import io
import random
import time

import numpy as np
import pytest

from orchestrator.data.files.csv_table import SeriesError
from orchestrator.data.files.series import parse_series

ABOVE = [
    "# logger 7",
    "Logger 7",
    "Device;7",
    "Device,7",
    "",
    ",,",
    "Site\tLab",
    "Exported 2024-01-01 10:00",
    '"a, b; c"',
]
THROWN_IN = [b'"', b"\0", b"\xff\xfe", b"\x1f\x8b", b"\r", b"\f", b"=", b"e9999", b"9" * 5000]
GROUP_MARKS = {".": [",", " ", "'", "\u202f"], ",": [".", " ", "\u00a0", "'"]}


def written(value: float | None, draw: random.Random, decimal: str, group: str, minus: str, places: int) -> str:
    """One cell as somebody would write it."""
    if value is None:
        return draw.choice(["", "", "NaN", "-", "n/a"])
    text = f"{abs(value):.{places}f}"
    whole, _, fraction = text.partition(".")
    if group:
        whole = f"{int(whole):,}".replace(",", group)
    return (minus if value < 0 else "") + whole + (decimal + fraction if fraction else "")


def made_up(draw: random.Random) -> tuple[bytes, list[float | None]]:
    """The bytes of a file, and the values it was made from."""
    decimal = draw.choice(".,")
    group = draw.choice(["", "", *GROUP_MARKS[decimal]])
    places, scale = draw.choice([0, 1, 2, 3, 4]), draw.choice([1, 100, 5000, 10**6])
    count = draw.randint(2, 40)
    values = [
        None if draw.random() < 0.1 else float(f"{draw.uniform(-scale, scale):.{places}f}") + 0.0 for _ in range(count)
    ]
    minus = draw.choice(["-", "-", "\u2212", "\u2013"])
    columns = draw.choice([1, 2, 3])
    delimiter = draw.choice(",;\t|")
    if (delimiter, group) == (";", ",") or (group == "." and not places and (delimiter != ";" or columns == 1)):
        group = ""  # what nobody could tell from the other decimal mark
    cells = [written(value, draw, decimal, group, minus, places) for value in values]
    names = ["value"] if columns == 1 else [*["time", "note"][: columns - 1], "value"]
    stamps = draw.choice([str, lambda row: f"2024-01-01 00:{row:02}", lambda row: f"{row}{decimal}5"])
    text = io.StringIO()
    end = draw.choice(["\n", "\r\n"])
    for _ in range(draw.choice([0, 0, 1, 2, 4])):
        text.write(draw.choice(ABOVE) + end)
    rows = csv.writer(text, delimiter=delimiter, lineterminator=end)
    rows.writerow([draw.choice([name, name.upper(), f" {name} "]) for name in names])
    if draw.random() < 0.2:
        rows.writerow(["s", "", "V"][-columns:] if columns > 1 else ["[V]"])
    for row, cell in enumerate(cells):
        rows.writerow([*[stamps(row), "ok"][: columns - 1], cell])
    encoding = draw.choice(["utf-8", "utf-8-sig", "utf-16"])
    return text.getvalue().encode(encoding), values


def check(seed: int) -> bool:
    """Whether a made-up file was read; AssertionError where it was read wrong without a word."""
    data, values = made_up(random.Random(seed))
    try:
        series = parse_series(data, gaps="break")
    except SeriesError:
        return False
    reading = series.reading
    assert reading.column.lower() == "value", (seed, data, reading)
    wanted = np.array([np.nan if value is None else value for value in values])
    known = np.isfinite(series.values)
    # Rows at the end that hold nothing are no rows of a single column; all others keep their places.
    assert len(series.values) <= len(wanted), (seed, data, reading)
    assert not np.isfinite(wanted[len(series.values) :]).any(), (seed, data, reading)
    wanted = wanted[: len(series.values)]
    assert np.array_equal(series.values[known], wanted[known]), (seed, data, reading)
    assert int((np.isfinite(wanted) & ~known).sum()) <= reading.unread, (seed, data, reading)
    return True


def test_files_in_mixed_notations_are_read_right_or_told() -> None:
    read = sum(map(check, range(400)))
    assert read > 350


@pytest.mark.slow
def test_many_files_in_mixed_notations_are_read_right_or_told() -> None:
    assert sum(map(check, range(400, 12_000))) > 10_000


@pytest.mark.slow
def test_spoiled_files_give_a_reason_and_end_soon() -> None:
    """Bytes cut, doubled, swapped and thrown in, for a minute at most."""
    draw = random.Random(0)
    begun = time.monotonic()
    tried = 0
    while time.monotonic() - begun < 60 and tried < 20_000:
        data = bytearray(made_up(draw)[0])
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(data) + 1)
            kind = draw.randrange(5)
            if kind == 0:
                del data[at : at + draw.randint(1, 20)]
            elif kind == 1:
                data[at:at] = data[at : at + draw.randint(1, 50)] * draw.randint(1, 200)
            elif kind == 2:
                data[at:at] = draw.randbytes(draw.randint(1, 8))
            elif kind == 3:
                data[at:at] = draw.choice(
                    [b'"', b"\0", b"\xff\xfe", b"\x1f\x8b", b"\r", b"\f", b"=", b"e9999", b"9" * 5000]
                )
            else:
                data[at:at] = "\u2028\u00a0\u202e∞½²".encode()
        started = time.monotonic()
        try:
            values = parse_series(bytes(data)).values
            assert np.isfinite(values).all()
            assert len(values) >= 2
        except SeriesError:
            pass
        assert time.monotonic() - started < 20, bytes(data)
        tried += 1
    assert tried > 500
