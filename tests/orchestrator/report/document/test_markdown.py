"""Markdown that shows names as they are."""

import pytest

from orchestrator.report.document.document import Code, Fold, Listing, Report, Section, Table, TableCell
from orchestrator.report.document.markdown import escape, to_markdown


@pytest.mark.parametrize(
    ("raw", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("<script>", r"\<script\>"),
        ("*x* _y_ `z`", r"\*x\* \_y\_ \`z\`"),
        ("[a](b)", r"\[a\](b)"),
        ("back\\slash", r"back\\slash"),
        ("two\nlines", "two lines"),
        ("# head", r"\# head"),
        ("1. item", r"1\. item"),
        ("- item", r"\- item"),
        ("+0.5", "+0.5"),
        ("0.842", "0.842"),
        ("&lt;", r"\&lt;"),
    ],
)
def test_escape(raw: str, escaped: str) -> None:
    assert escape(raw) == escaped


def test_blocks() -> None:
    table = Table("t", "cap", ["Name", "F1"], [[TableCell("a|b"), TableCell("0.5", "[0.4, 0.6]")]], frozenset({1}))
    fold = Fold("More", [table, Code("has ``` inside")])
    report = Report("T", "S", ["asked"], ["found"], [], [Section("s", "Part", ["text"], [Listing(["x"]), fold])])
    text = to_markdown(report)
    assert "| Name | F1 |\n| --- | ---: |\n| a\\|b | 0.5 \\[0.4, 0.6\\] |" in text
    assert "````\nhas ``` inside\n````" in text
    assert "### More" in text
    assert "To know first" not in text
