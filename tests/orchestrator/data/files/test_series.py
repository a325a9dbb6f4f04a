"""One CSV file -> its numbers, whatever its form; and the reason where it has none."""

from pathlib import Path

import numpy as np
import pytest

from orchestrator.data.files.series import SeriesError, parse_series, read_plain, read_series, read_tolerant

REAL = Path(__file__).parents[5] / "shared" / "data" / "series"


def values(text: str | bytes, column: str | None = None) -> list[float]:
    return parse_series(text.encode() if isinstance(text, str) else text, column).values.tolist()


@pytest.mark.parametrize(
    ("header", "column", "taken"),
    [
        ("value", None, 0),
        ("x,value,data", None, 2),
        ("x,value", None, 1),
        ("x,y", None, 0),
        ("x,value,data,z", "z", 3),
        (" x , value ", None, 1),
        ("data,data", None, 0),
    ],
)
def test_the_column_is_the_named_one_else_data_else_value_else_the_first(
    header: str, column: str | None, taken: int
) -> None:
    rows = [",".join(str(10 * row + cell) for cell in range(header.count(",") + 1)) for row in range(3)]
    text = "\n".join([header, *rows])
    assert values(text, column) == [taken, 10 + taken, 20 + taken]
    assert parse_series(text.encode(), column).reading.column == header.split(",")[taken].strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1\n2\n3\n", [1, 2, 3]),
        ("1.5,2\n3.5,4", [1.5, 3.5]),
        ("value\n1\n2", [1, 2]),
        ("value\r\n1\r\n2\r\n", [1, 2]),
        ("value\r1\r2\r", [1, 2]),
        ("\ufeffvalue\n1\n2\n", [1, 2]),
        ("a;value\nx;1,5\ny;-2,25e1\n", [1.5, -22.5]),
        ("a;value\nx;1.5\ny;2\n", [1.5, 2]),
        ("a\tvalue\nx\t1,5\ny\t2.5\n", [1.5, 2.5]),
        ("a;value\nx;1.234,5\ny;2.000\n", [1234.5, 2000]),
        ("value\n0,5\n,25\n", [0.5, 0.25]),
        ("0,5;1\n0,7;2\n", [0.5, 0.7]),
        ('date,data\n"a,b",1\n"c\nd",2\n', [1, 2]),
        ('"date","value"\n"2020",1\n"2021",2\n', [1, 2]),
        ("x,value\n1\n2,3\n4,5,6\n7,8\n", [3, 8]),
        ("value\n1.0,\n2.0,\n", [1, 2]),
        ("value\n1_000\n2\n3\n0x10\n+4\n", [2, 3, 4]),
        ("Größe\n1\n2\n".encode("latin-1"), [1, 2]),
        ("value\n1\n2\n".encode("utf-16"), [1, 2]),
        ("a\tvalue\nx\t1,5\ny\t2,5\n".encode("utf-16"), [1.5, 2.5]),
    ],
)
def test_files_of_many_forms_are_understood(text: str | bytes, expected: list[float]) -> None:
    assert values(text) == expected


def test_what_is_no_finite_number_is_dropped_and_counted() -> None:
    series = parse_series(b"value\n1\nnan\ninf\n-inf\nNA\nabc\n1e999\n2\n\n3\n")
    assert series.values.tolist() == [1, 2, 3]
    reading = series.reading
    assert (reading.missing, reading.unread, reading.example) == (3, 4, "inf")


@pytest.mark.parametrize(
    ("data", "column", "reason"),
    [
        (b"", None, "empty"),
        (b"\xef\xbb\xbf\r\n \n", None, "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", None, "binary"),
        (bytes(range(1, 256)), None, "binary"),
        (b"value\n", None, "no numbers in column 'value'"),
        (b"value\nnan\ninf\n", None, "no numbers in column 'value'"),
        (b"day,size\nx,1\ny,2\n", None, "no numbers in column 'day'.*the columns are 'day', 'size'"),
        (b"value\n1\n", None, "only one number in column 'value', at least two"),
        (b"1\n", None, "only one number"),
        (b"a,b\n1,2\n3,4\n", "c", "no column 'c'; the columns are 'a', 'b'"),
        (b"a;b\n1;2\n3;4\n", "c", "no column 'c'; the columns are 'a', 'b'"),
        (b"1,2\n3,4\n", "c", "no column 'c'; the file has no header row"),
        (b'value\n"' + b"1\n" * 200_000, None, "no CSV: field larger"),
    ],
)
def test_a_file_without_a_series_gives_a_reason(data: bytes, column: str | None, reason: str) -> None:
    with pytest.raises(SeriesError, match=reason):
        parse_series(data, column)


def test_a_file_that_can_not_be_read_gives_a_reason(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="can't be read: No such file"):
        read_series(tmp_path / "nothing.csv")
    with pytest.raises(SeriesError, match="can't be read: Is a directory"):
        read_series(tmp_path)


@pytest.mark.parametrize("line", ["{!r}", "x,{!r}", "x,{:.3g}", "x,{:e}", " {!r} "])
def test_both_readers_give_the_same_bits(line: str) -> None:
    generator = np.random.default_rng(0)
    numbers = generator.standard_cauchy(500) * 10.0 ** generator.integers(-300, 300, 500)
    header = ",value" if "," in line else "value"
    data = "\n".join([header, *(line.format(number) for number in numbers.tolist()), ""]).encode()
    plain, tolerant = read_plain(data, None), read_tolerant(data, None)
    assert plain is not None
    assert plain.reading == tolerant.reading
    assert plain.reading.column == "value"
    assert plain.values.tobytes() == tolerant.values.tobytes()
    if "!r" in line:
        assert np.array_equal(plain.values, numbers)


def test_a_million_rows_are_read(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=10**6)
    (tmp_path / "long.csv").write_text("value\n" + "\n".join(map(repr, numbers.tolist())) + "\n")
    assert np.array_equal(read_series(tmp_path / "long.csv").values, numbers)


def test_the_real_files_are_plain_and_both_readers_agree() -> None:
    if not REAL.is_dir():
        pytest.skip("the real series (../shared/data/series) are not here")
    for path in sorted(REAL.glob("*/*.csv"))[::25]:
        data = path.read_bytes()
        plain, tolerant = read_plain(data, None), read_tolerant(data, None)
        assert plain is not None, path
        assert plain.values.tobytes() == tolerant.values.tobytes(), path
        assert len(parse_series(data).values) >= 50, path
