"""The demonstration's series: nine classes, the same every time."""

from pathlib import Path

import pytest

from orchestrator.data.files.series import read_series
from orchestrator.data.layouts.table import find_files
from orchestrator.experiment.experiment import Experiment
from orchestrator.machine.progress import Reporter
from orchestrator.running.demo import CLASSES, EXPERIMENT, demo, make_series
from trainables.errors import InputError

pytest.importorskip("betise", reason="the demo's generator is not installed")


def test_nine_classes_of_series_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_series(tmp_path / name, 4)
    listing = find_files(tmp_path / "a", "series")
    assert {file.class_name for file in listing.files} == set(CLASSES)
    assert len(CLASSES) == 9
    assert len(listing.files) == 36
    for file in listing.files:
        assert (tmp_path / "a" / file.path).read_bytes() == (tmp_path / "b" / file.path).read_bytes()
        assert 200 <= len(read_series(tmp_path / "a" / file.path).values) <= 400


def test_its_experiment_is_valid() -> None:
    data = {**EXPERIMENT["data"], "path": "x"}
    assert Experiment.from_mapping({**EXPERIMENT, "data": data}).baseline_name == "pca_logistic"


def test_it_leaves_other_things_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious", encoding="utf-8")
    with pytest.raises(InputError, match="holds no demo"):
        demo(tmp_path, reporter=Reporter(quiet=True))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
