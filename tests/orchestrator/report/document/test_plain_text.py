"""Tables on a terminal."""

from orchestrator.report.document.document import Report, Section, Table, TableCell
from orchestrator.report.document.plain_text import to_text


def report(rows: list[list[TableCell]], columns: list[str], numeric: frozenset[int] = frozenset()) -> Report:
    table = Table("t", "A caption.", columns, rows, numeric)
    return Report("Title", "Under it", [], ["Found."], [], [Section("s", "Section", [], [table])])


def test_columns_are_aligned_and_numbers_flush_right() -> None:
    lines = to_text(
        report(
            [[TableCell("a"), TableCell("1.5")], [TableCell("longer"), TableCell("12.5")]],
            ["Name", "N"],
            frozenset({1}),
        )
    )
    assert "Name       N\n------  ----\na        1.5\nlonger  12.5\n" in lines


def test_wide_characters_take_two_columns() -> None:
    text = to_text(report([[TableCell("日本"), TableCell("x")], [TableCell("abcd"), TableCell("y")]], ["N", "M"]))
    assert "日本  x\nabcd  y" in text


def test_long_lines_are_wrapped_and_intervals_held_together() -> None:
    cells = [TableCell("name"), TableCell("+0.123", "[+0.100, +0.146]"), TableCell("a row of many words " * 8)]
    text = to_text(report([cells], ["Name", "Difference", "Words"]), 60)
    assert max(map(len, text.splitlines())) <= 60
    assert "[+0.100, +0.146]" in text


def test_columns_that_do_not_fit_stand_below_with_the_first_one_again() -> None:
    cells = [TableCell("row"), *(TableCell(f"{place}.25") for place in range(10, 30))]
    text = to_text(report([cells], ["Name", *(f"c{place}" for place in range(20))], frozenset(range(1, 21))), 60)
    assert max(map(len, text.splitlines())) <= 60
    assert text.count("row") == text.count("Name") == 3
    assert all(f"{place}.25" in text for place in range(10, 30))


def test_long_words_are_broken_rather_than_lost() -> None:
    text = to_text(report([[TableCell("x" * 40) for _ in range(5)]], list("abcde")), 60)
    assert text.count("x") == 40 * 5 + 40 * (text.count("\na") - 1)
    assert max(map(len, text.splitlines())) <= 60
