"""What is said of the column that is plotted."""

from pathlib import Path

import pytest

from orchestrator.data.files.series_remarks import early_remarks
from orchestrator.data.layouts.table import find_files


def tree(root: Path, text: str) -> Path:
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        (root / name / "0.csv").write_text("", encoding="utf-8")
        (root / name / "1.csv").write_text(text, encoding="utf-8")
    return root


def test_a_first_column_of_several_is_said_and_that_it_looks_like_time(tmp_path: Path) -> None:
    listing = find_files(tree(tmp_path, "stamp,sensor\n0,5\n1,4\n2,6\n"), "series")
    (remark,) = early_remarks(listing, None)
    for word in ("'stamp'", "first of 2", "only rise", "data.column"):
        assert word in remark
    assert early_remarks(listing, "sensor") == []


@pytest.mark.parametrize("text", ["value\n1\n2\n", "time,data\n1,3\n2,1\n", "x\n1\n2\n", "3\n1\n2\n"])
def test_nothing_is_said_where_there_is_no_doubt(tmp_path: Path, text: str) -> None:
    assert early_remarks(find_files(tree(tmp_path, text), "series"), None) == []


def test_a_column_that_falls_too_is_no_time(tmp_path: Path) -> None:
    (remark,) = early_remarks(find_files(tree(tmp_path, "a,b\n3,1\n1,2\n"), "series"), None)
    assert "only rise" not in remark
