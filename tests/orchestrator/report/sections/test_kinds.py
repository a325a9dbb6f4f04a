"""Kinds of anomalies, each with its figures and its number of pictures."""

from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.sections.kinds import kind_frame, kind_tables

MakeRun = Callable[..., RunFolder]


def test_means_over_seeds(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0, masks=True))
    frame = kind_frame(data).set_index(["variant", "kind"])
    assert set(frame.loc["vae"].index) == {"crack", "hole<i>"}
    assert frame.loc[("vae", "crack"), "pictures"] == 30
    for metric in ("roc_auc", "tpr", "pixel_roc_auc", "pro_auc"):
        values = [one.per_kind["crack"][metric] for one in data.completed["vae"]]
        assert frame.loc[("vae", "crack"), metric] == pytest.approx(np.mean(values))
        assert frame.loc[("vae", "crack"), f"{metric}_sd"] == pytest.approx(np.std(values, ddof=1))


def test_a_table_a_metric_with_a_column_a_variant(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run("masks", search=0, masks=True))
    tables = kind_tables(data, kind_frame(data), ["vae", "pca"])
    assert [table.caption.split(" of each")[0] for table in tables] == ["ROC-AUC", "TPR", "Pixel ROC-AUC", "PRO-AUC"]
    assert list(tables[0].columns) == ["Kind", "vae", "pca", "Pictures"]
    assert {row[0].text: row[3].text for row in tables[0].rows} == {"crack": "30", "hole<i>": "30"}
    data = read_run(make_detection_run("plain", search=0))
    assert len(kind_tables(data, kind_frame(data), ["vae", "pca"])) == 2


def test_many_kinds_go_to_the_csv(make_detection_run: MakeRun) -> None:
    kinds = {f"kind {row}": {"roc_auc": 0.5, "pictures": 2.0} for row in range(60)}
    run = make_detection_run(search=0, seeds=(), then=lambda builder: builder.cell("vae", 0, per_kind=kinds))
    data = read_run(run)
    frame = kind_frame(data)
    assert len(frame) == 60
    (table,) = kind_tables(data, frame, ["vae"])
    assert len(table.rows) == 40
    assert "The first 40 of 60 kinds; all are in tables/per_kind.csv." in table.caption


def test_no_kinds_no_rows(make_detection_run: MakeRun) -> None:
    run = make_detection_run(search=0, seeds=(), then=lambda builder: builder.cell("vae", 0, per_kind={}))
    assert kind_frame(read_run(run)).empty
