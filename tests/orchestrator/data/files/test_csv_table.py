"""Where the table in a file begins, what its columns are called, and what stands around it."""

import gzip

import pytest

from orchestrator.data.files.csv_table import MOST_BYTES, SeriesError, inflated, read_table
from orchestrator.data.files.series import parse_series


def read(text: str | bytes, column: str | None = None) -> tuple[list[float], str, int]:
    """The values, the column's name, and how many lines stand outside of the table."""
    series = parse_series(text.encode() if isinstance(text, str) else text, column)
    return series.values.tolist(), series.reading.column, series.reading.above


ROWS = "0,20.1\n1,20.4\n2,20.2\n"
STAMPED = "2024-01-01 00:00,20.1\n2024-01-01 00:01,20.4\n2024-01-01 00:02,20.2\n"


@pytest.mark.parametrize(
    ("above", "lines"),
    [
        ("# logger 7\n", 1),
        ("Logger 7\n", 1),
        ("Device,7\nChannel,3\n", 2),
        ("Device,Logger\n", 1),
        ("Site,Lab\nStarted,2024-01-01\n\n", 2),
        (",,\n", 0),
        ("\n\n", 0),
        ("# a\n# b\n# c\n", 3),
        ("sep=,\n", 1),
        ('"Temperatures of, say, hall 3"\n', 1),
        ("Data\n", 1),
        ("7\n", 1),
    ],
)
@pytest.mark.parametrize("rows", [ROWS, STAMPED])
def test_lines_above_the_table_are_no_part_of_it(above: str, lines: int, rows: str) -> None:
    assert read(f"{above}time,value\n{rows}") == ([20.1, 20.4, 20.2], "value", lines)
    assert read(f"{above}time,temp\n{rows}", "temp") == ([20.1, 20.4, 20.2], "temp", lines)
    if rows == ROWS:
        assert read(f"{above}time,temp\n{rows}") == ([0, 1, 2], "time", lines)


@pytest.mark.parametrize("above", ["# logger 7\n", "Logger 7\n", "\n", "# a\n\n# b\n"])
def test_lines_above_a_single_column(above: str) -> None:
    assert read(f"{above}value\n5\n4\n6\n")[:2] == ([5, 4, 6], "value")
    assert read(f"{above}temp\n5\n4\n6\n")[:2] == ([5, 4, 6], "temp")


def test_the_first_line_that_the_seed_of_a_ramp_was() -> None:
    assert read(b"# logger 7\ntime,value\n0,20.1\n1,20.4\n") == ([20.1, 20.4], "value", 1)


@pytest.mark.parametrize("units", ["s,V", "[s],[V]", "(ms),(°C)", ",mV", "s,%"])
def test_a_row_of_units_below_the_names_holds_no_value(units: str) -> None:
    assert read(f"time,temp\n{units}\n{ROWS}", "temp") == ([20.1, 20.4, 20.2], "temp", 1)
    assert read(f"time,value\n{units}\n{ROWS}") == ([20.1, 20.4, 20.2], "value", 1)


@pytest.mark.parametrize(
    ("text", "values", "column"),
    [
        ("# time,value\n0,20.1\n1,20.4\n", [20.1, 20.4], "value"),
        ("#value\n5\n4\n", [5, 4], "value"),
        ("0,20.1\n1,20.4\n2,20.2\n", [0, 1, 2], "column 1"),
        ("2024-01-01,20.1\n2024-01-02,20.4\n", None, "column 1"),
        ("0,ERR\n1,20.4\n2,20.2\n", [0, 1, 2], "column 1"),
        ("time,1,2\n0,5,6\n1,7,8\n2,9,9\n", [0, 1, 2], "time"),
        ("Value\n5\n4\n", [5, 4], "Value"),
        ("time, VALUE \n0,5\n1,4\n", [5, 4], "VALUE"),
        ("time,Data\n0,5\n1,4\n", [5, 4], "Data"),
        ("time|value\n0|5\n1|4\n", [5, 4], "value"),
        ("sep=;\ntime;value\n0;20,1\n1;20,4\n", [20.1, 20.4], "value"),
        ('"sep=;"\r\ntime;value\r\n0;20,1\r\n1;20,4\r\n', [20.1, 20.4], "value"),
        ("# Logger\ntime;value\n0;20,1\n1;20,4\n", [20.1, 20.4], "value"),
        ('time,value\n0,"12,5"\n1,"13,5"\n', [12.5, 13.5], "value"),
        ('time,value\n0,"1,234.5"\n1,"1,300.0"\n', [1234.5, 1300], "value"),
        ('time,value\n0,="12.5"\n1,="13.5"\n', [12.5, 13.5], "value"),
        ("time,value\n0,\u221212.5\n1,3\n", [-12.5, 3], "value"),
        ("time,value,\n0,5,\n1,4,\n", [5, 4], "value"),
        (",value\n0,5\n1,4\n", [5, 4], "value"),
        ("time,value\n0,5\n# a pause\n1,4\n", [5, 4], "value"),
        ("time;value\n0,20.1\n1,20.4\n", [20.1, 20.4], "value"),
        ("# time, value\n0;20,1\n1;20,4\n", [20.1, 20.4], "value"),
        ("time\tVALUE\n0,20.1\n1,20.4\n", [20.1, 20.4], "VALUE"),
        ("start,5\n2024-01-02 00:00,6\n2024-01-03 00:00,4\n2024-01-04 00:00,4\n", None, "column 1"),
    ],
)
def test_tables_of_many_forms(text: str, values: list[float] | None, column: str) -> None:
    if values is None:
        with pytest.raises(SeriesError, match="no numbers in column 'column 1'"):
            parse_series(text.encode())
        return
    assert read(text)[:2] == (values, column)


def test_a_row_with_more_cells_than_columns_is_in_doubt() -> None:
    reading = parse_series(b"time,value\n0,12,5\n1,13\n2,14\n").reading
    assert (reading.unread, reading.example) == (1, "0,12,5")
    with pytest.raises(SeriesError, match="2 of its cells can't be read without doubt, such as '0,12,5'"):
        parse_series(b"time,value\n0,12,5\n1,13,5\n")


def test_a_second_header_and_a_footer_are_counted() -> None:
    reading = parse_series(b"time,value\n0,5\n1,4\ntime,value\n0,6\nTotal,15\nend\n").reading
    assert (reading.unread, reading.example, reading.missing) == (1, "value", 1)


@pytest.mark.parametrize(
    ("text", "gaps"),
    [
        ("value\n1\n\n\n2\n\n3\n\n", 3),
        ("value\n\n1\n\n2\n\n3\n\n4\n\n5\n\n6\n", 0),
        ("time,value\n0,1\n\n1,2\n2,\n3,4\n", 1),
        ("time,value\n0,1\n,\n2,2\n,,\n,,\n", 1),
    ],
)
def test_empty_lines_are_gaps_in_one_column_alone(text: str, gaps: int) -> None:
    assert parse_series(text.encode()).reading.missing == gaps


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("温度,value\n1,5\n2,4\n".encode("cp932"), "cp1252"),
        ("時刻,value\n1,5\n2,4\n".encode("cp932"), "cp932"),
        ("時間,温度\n1,5\n2,4\n".encode("cp932"), None),
        ("时间,温度\n1,5\n2,4\n".encode("gb18030"), None),
        ("Größe,value\n1,5\n2,4\n".encode("latin-1"), "cp1252"),
        ("time,value\n1,5\n2,4\n".encode("utf-16-le"), ""),
        ("time,value\n1,5\n2,4\n".encode("utf-16-be"), ""),
        ("time,value\n1,5\n2,4\n".encode("utf-32"), ""),
    ],
)
def test_text_in_other_letters_is_text(data: bytes, encoding: str | None) -> None:
    values = parse_series(data).values.tolist()
    assert values in ([5, 4], [1, 2])
    if encoding is not None:
        assert read_table(data, None).encoding == encoding


def test_a_column_is_found_in_whichever_letters_have_it() -> None:
    data = "時間,温度\n1,5\n2,4\n".encode("cp932")
    assert read(data, "温度")[:2] == ([5, 4], "温度")


@pytest.mark.parametrize(
    "text", ["\f\n", "\u2028", " \n\t\n", "\v\n", ",,,\n,,\n", "\u00a0\n", '""\n', "\ufeff\u2028\n"]
)
def test_white_space_alone_is_an_empty_file(text: str) -> None:
    with pytest.raises(SeriesError, match=r"empty|no numbers"):
        parse_series(text.encode())


def test_gzip_is_read_and_bounded() -> None:
    data = b"value\n1\n2\n"
    assert parse_series(gzip.compress(data)).values.tolist() == [1, 2]
    assert parse_series(gzip.compress(data) + gzip.compress(b"3\n")).values.tolist() == [1, 2, 3]
    with pytest.raises(SeriesError, match="its gzip can't be read"):
        parse_series(gzip.compress(data)[:-9])
    with pytest.raises(SeriesError, match="its gzip can't be read"):
        parse_series(b"\x1f\x8b\x08\x00nonsense")
    with pytest.raises(SeriesError, match="too large: more than 128 MiB"):
        inflated(gzip.compress(b"1\n" * (MOST_BYTES // 2 + 1), 1))


def test_numbers_of_two_readings_are_refused_until_the_mark_is_given() -> None:
    data = b'time,value\n0,"1,234"\n1,"113"\n'
    with pytest.raises(SeriesError, match=r"'1,234' and others may be thousands .*data.decimal: point or comma"):
        parse_series(data)
    assert parse_series(data, decimal="comma").values.tolist() == [1.234, 113]
    assert parse_series(data, decimal="point").values.tolist() == [1234, 113]
    assert parse_series(b"value\n1.234\n2.345\n").values.tolist() == [1.234, 2.345]
    assert parse_series(b"value\n1.234\n2.345\n", decimal="comma").values.tolist() == [1234, 2345]
