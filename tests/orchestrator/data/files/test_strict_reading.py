"""With strict, files that can't be used are told before anything is drawn."""

from pathlib import Path

import pytest

from orchestrator.data.files.strict_reading import refuse_unreadable_series
from orchestrator.data.layouts.table import find_files
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.preflight import settle
from trainables.errors import InputError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(6):
            (tmp_path / name / f"{number}.csv").write_text("value\n1\n2\n3.5\n")
    return tmp_path


def test_the_files_are_named_with_the_reason_those_with_single_cells_last(tree: Path) -> None:
    listing = find_files(tree, "series")
    refuse_unreadable_series(listing, None, "auto")
    (tree / "a/1.csv").write_text("value\n1\nERR\n3\n")
    (tree / "b/2.csv").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        refuse_unreadable_series(listing, None, "auto")
    first, *lines, way = str(caught.value).splitlines()
    assert first.startswith("2 files in ")
    assert lines == ["  'b/2.csv': empty", "  'a/1.csv': 1 cell can't be read without doubt, such as 'ERR'"]
    assert "without strict" in way


def test_where_time_is_up_the_rest_is_left_to_the_drawing(tree: Path) -> None:
    (tree / "a/1.csv").write_bytes(b"")
    refuse_unreadable_series(find_files(tree, "series"), None, "auto", seconds=-1.0)


def test_a_run_is_refused_before_it_starts_where_strict_is_asked_for_alone(tree: Path) -> None:
    experiment = Experiment.from_mapping(
        {"data": {"path": str(tree), "layout": "series"}, "families": ["pca_logistic"]}
    )
    (tree / "a/1.csv").write_bytes(b"")
    settle(experiment)
    with pytest.raises(InputError, match=r"strict asks for none:\n  'a/1\.csv': empty"):
        settle(experiment, strict=True)
