"""Cells as people write them: read where one number is meant, counted where two may be, or none."""

import pytest

from orchestrator.data.files.number_cells import Decimal, numbers_of

MINUS, NARROW, NO_BREAK = "\u2212", "\u202f", "\u00a0"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,234.5", "1,300.25"], [1234.5, 1300.25]),
        (["1,234,567", "12", "999"], [1234567, 12, 999]),
        (["12,34,567", "1,234.5"], [1234567, 1234.5]),
        (["1.234,5", "2.000"], [1234.5, 2000]),
        (["1.234.567", "2.000"], [1234567, 2000]),
        (["12,5", "13,25", "7"], [12.5, 13.25, 7]),
        (["0,125", "0,250"], [0.125, 0.25]),
        ([",5", "-,25", "3,"], [0.5, -0.25, 3]),
        (["1 234,5", "12 345 678,5"], [1234.5, 12345678.5]),
        ([f"1{NARROW}234,5", f"1{NO_BREAK}300"], [1234.5, 1300]),
        (["1'234.5", "1’300.5"], [1234.5, 1300.5]),
        ([f"{MINUS}12.5", "–3", "\uff0d4", "+5"], [-12.5, -3, -4, 5]),
        (['="12.5"', '="-3"', "'7", '"8"'], [12.5, -3, 7, 8]),
        ([f"{NO_BREAK}12.5{NO_BREAK}", "\u200b3", "\ufeff4"], [12.5, 3, 4]),
        (["１２．５", "٣"], [12.5, 3]),
        (["1,5e3", "2,5E-1"], [1500, 0.25]),
        (["1.5D3", "2d0"], [1500, 2]),
        (["12.5 V", "13 V", ""], [12.5, 13, None]),
        (["45%", "3 %"], [45, 3]),
        (["€ 12,50", "€ -3,10"], [12.5, -3.1]),
        (["12,5°C", "-3,5°C"], [12.5, -3.5]),
        (["1.5", "2", " 3 ", "1e3"], [1.5, 2, 3, 1000]),
        (["4.745", "5.125"], [4.745, 5.125]),
        # A comma beside numbers of a thousand and more that have none groups nothing.
        (["1,234", "2345", "0"], [1.234, 2345, 0]),
        (["12,5", "13.5"], [12.5, 13.5]),
    ],
)
def test_what_can_be_read_without_doubt_is_read(cells: list[str], expected: list[float | None]) -> None:
    read = numbers_of(cells, None)
    assert [None if value != value else value for value in read.values.tolist()] == expected
    assert (read.unread, read.example) == (0, "")


@pytest.mark.parametrize(
    ("cells", "unread", "example"),
    [
        (["1.5", "ERR", "2"], 1, "ERR"),
        (["1", "inf", "-inf", "1e999", "∞"], 4, "inf"),
        (["1", "#DIV/0!", "OL", ">100", "<0.1", "~5"], 5, "#DIV/0!"),
        (["1_000", "0x10", "1/2", "12:30", "2024-01-01", "TRUE"], 6, "1_000"),
        (["12.5 V", "13 mV"], 2, "12.5 V"),
        (["12.5", "13 V"], 1, "13 V"),
        (["1.2.3", "1,2,3", "12,34.5", "1,23,4"], 4, "1.2.3"),
        (["(12.5)", "3"], 1, "(12.5)"),
        (["1 2", "3"], 1, "1 2"),
    ],
)
def test_what_is_in_doubt_is_not_read_but_counted(cells: list[str], unread: int, example: str) -> None:
    read = numbers_of(cells, None)
    assert (read.unread, read.example) == (unread, example)
    assert int((read.values != read.values).sum()) == unread


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "NA", "n/a", "#N/A", "null", "None", "-", "--", "—", "?", "."])
def test_what_stands_for_no_value_is_a_gap(cell: str) -> None:
    read = numbers_of(["1", cell, "2"], None)
    assert read.values.tolist()[::2] == [1, 2]
    assert (read.values[1] != read.values[1], read.unread) == (True, 0)


@pytest.mark.parametrize(
    ("cells", "comma", "doubt"),
    [
        (["1,234", "2,345"], None, "1,234"),
        (["1,234", "2,345"], False, "1,234"),
        (["980", "1,020"], False, "1,020"),
        (["980", "1,020"], True, "1,020"),
        (["113", "4.745"], True, "4.745"),
        (["113", "4.745"], None, "4.745"),
        (["113", f"{MINUS}4.745"], None, "-4.745"),
        (["113", "4.745"], False, ""),
        (["4.745", "5.125"], True, "4.745"),
        (["4.745", "5.125"], None, ""),
        (["113", "4.745", "1.5"], True, ""),
        (["113", "4.745", "0.125"], True, ""),
        (["1130", "4.745"], True, ""),
    ],
)
def test_a_column_of_two_readings_is_in_doubt(cells: list[str], comma: bool | None, doubt: str) -> None:
    assert numbers_of(cells, comma).doubt == doubt


@pytest.mark.parametrize(
    ("cells", "decimal", "expected"),
    [
        (["1,234", "113"], ",", [1.234, 113]),
        (["1,234", "113"], ".", [1234, 113]),
        (["4.745", "113"], ".", [4.745, 113]),
        (["4.745", "113"], ",", [4745, 113]),
        (["12,5"], ".", [None]),
    ],
)
def test_a_mark_that_is_given_leaves_no_doubt(cells: list[str], decimal: Decimal, expected: list[float | None]) -> None:
    for comma in (True, False, None):
        read = numbers_of(cells, comma, decimal)
        assert [None if value != value else value for value in read.values.tolist()] == expected
        assert read.doubt == ""


def test_a_delimiter_that_leaves_the_comma_free_says_what_the_comma_is() -> None:
    assert numbers_of(["1,234", "2,345"], True).values.tolist() == [1.234, 2.345]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["12,5", "3"], "decimal commas"),
        (["1,234.5"], "digits in groups"),
        ([f"{MINUS}5"], "printer's signs"),
        (['="5"'], "numbers kept as text"),
        (["5 V"], "the unit 'V'"),
    ],
)
def test_what_a_plain_reader_would_not_have_taken_is_said(cells: list[str], words: str) -> None:
    assert [notation for notation in numbers_of(cells, None).notations if words in notation]
    assert len(numbers_of(cells, None).notations) == 1
