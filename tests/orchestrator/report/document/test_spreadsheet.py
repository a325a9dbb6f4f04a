"""CSVs of tables: what a spreadsheet would run is text, numbers are numbers, and all of it reads back."""

import csv
import io

import pandas as pd
import pytest

from orchestrator.report.document.spreadsheet import as_named, to_csv

RUN = (
    "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", " =1+1", '=HYPERLINK("http://x")', "-", "-x",
    "＝1", "＠a", "'=1", "''=1", "\n=1",
)  # fmt: skip
PLAIN = ("wave", "a=b", "a-b", "−0.5", "'quoted'", "", "x;y", "1-2", "it's", "-0.5", "+1e-3", "-inf", "normal\n=x")


def cells(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


@pytest.mark.parametrize("text", RUN)
def test_a_text_that_would_be_run_is_not(text: str) -> None:
    (head,), (cell,) = cells(to_csv(pd.DataFrame({text: [text]})))
    assert cell == head == f"'{text}"
    assert as_named(cell) == text


@pytest.mark.parametrize("text", PLAIN)
def test_all_other_text_is_as_it_was(text: str) -> None:
    (_, *_), (cell, _) = cells(to_csv(pd.DataFrame({"a": [text], "b": [1]})))
    assert cell == as_named(cell) == text


def test_numbers_stay_numbers_to_the_last_digit() -> None:
    frame = pd.DataFrame(
        {
            "a": [-0.1, 1 / 3],
            "b": [-3, 4],
            "c": [True, False],
            "d": [-0.5, "=x"],
            "e": [None, -1e-300],
            "f": ["x;=1", "y"],
        }
    )
    text = to_csv(frame)
    found = pd.read_csv(io.StringIO(text), keep_default_na=True)
    assert list(found["a"]) == list(frame["a"])
    assert list(found["b"]) == [-3, 4]
    assert list(found["c"]) == [True, False]
    assert list(found["d"]) == ["-0.5", "'=x"]
    assert found["e"][1] == -1e-300
    assert list(frame["d"]) == [-0.5, "=x"], "the frame itself is left alone"


@pytest.mark.parametrize("text", ["x;=1+1", "x; =1", "a\t@b", "a;＝1"])
def test_a_cell_does_not_begin_behind_a_semicolon(text: str) -> None:
    written = to_csv(pd.DataFrame({"a": [text], "b": [-0.5]}))
    assert written.splitlines()[1] == f'"{text}",-0.5'
    for delimiter in ";\t":
        assert not any(cell.startswith(("=", "@", "＝")) for row in cells(written, delimiter) for cell in row)


def test_a_table_without_such_text_is_written_as_before() -> None:
    frame = pd.DataFrame({"variant": ["pca", "a,b"], "macro_f1": [0.5, -0.25], "p": [None, 0.1]})
    assert to_csv(frame) == frame.to_csv(index=False, lineterminator="\n")


def test_two_columns_of_one_name() -> None:
    frame = pd.DataFrame([["=a", "b"]], columns=["=x", "=x"])
    assert to_csv(frame) == "'=x,'=x\n'=a,b\n"
