"""Reading a run's folder: what counts, what is superseded, what is broken."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.artifacts.records import MARK
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.run_data import RunData, read_run, superseded
from trainables.errors import InputError

MakeRun = Callable[..., RunFolder]


def sealed(values: dict[str, Any]) -> str:
    """A line of records with its right checksum, whatever it holds."""
    text = json.dumps(values)
    return f'{text[:-1]}{MARK}{zlib.crc32(text.encode("ascii")):08x}"}}\n'


def test_a_folder_that_is_no_run(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="There is no run at"):
        read_run(RunFolder(tmp_path / "nothing"))
    with pytest.raises(InputError, match=r"at least one record.*does not exist.*orchestrate sweep"):
        read_run(RunFolder(tmp_path))
    (tmp_path / "records.jsonl").touch()
    with pytest.raises(InputError, match="is empty"):
        read_run(RunFolder(tmp_path))


def test_a_run_without_records_whose_minutes_are_limited_is_told_to_give_more(tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text("budget: {minutes: 0.5}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"budget.minutes is 0.5, .*--resume --set budget.minutes="):
        read_run(RunFolder(tmp_path))


def test_a_broken_record_is_named(make_run: MakeRun) -> None:
    run = make_run(search=1, seeds=())
    whole = run.records.read_text()
    run.records.write_text(whole + sealed({"stage": "search"}))
    with pytest.raises(InputError, match=r"Record 3 of .*Field required \(at family\)"):
        read_run(run)
    run.records.write_text(whole.replace('"trial": 0', '"trial": 7', 1))
    with pytest.raises(InputError, match=r"Line 1 of .* is not as it was written"):
        read_run(run)


def test_a_run_of_another_version_is_refused(make_run: MakeRun) -> None:
    run = make_run(search=1, seeds=())
    lines = [json.loads(line) | {"format": 2} for line in run.records.read_text().splitlines()]
    run.records.write_text("".join(sealed({key: line[key] for key in line if key != "checksum"}) for line in lines))
    with pytest.raises(InputError, match=r"Record 1 of .* has format 2; this version reads format 1"):
        read_run(run)


def test_a_cut_off_line_is_left_out_and_said(make_run: MakeRun) -> None:
    run = make_run(search=2, seeds=())
    with run.records.open("a") as file:
        file.write('{"stage": "sea')
    data = read_run(run)
    assert len(data.records) == 4
    assert any("unfinished" in remark for remark in data.remarks)


def test_missing_and_broken_side_files_are_said(make_run: MakeRun) -> None:
    run = make_run(search=1, seeds=(0,))
    run.split.unlink()
    run.experiment.write_text("{: broken", encoding="utf-8")
    data = read_run(run)
    assert any("split.json is missing" in remark for remark in data.remarks)
    assert any("experiment.yaml can't be read" in remark for remark in data.remarks)
    assert (data.metric, data.mode) == ("macro_f1", "max")
    assert data.baseline == "pca_logistic"  # the cheap family's
    assert data.seeds == [0]


def test_a_metric_that_is_no_number_is_no_metric(make_run: MakeRun) -> None:
    run = make_run(search=0, seeds=(0,))
    lines = [json.loads(line) for line in run.records.read_text().splitlines()]
    lines[0]["metrics"]["macro_f1"] = float("nan")
    for line in lines:
        del line["checksum"]
    run.records.write_text("".join(sealed(line) for line in lines))
    data = read_run(run)
    assert "macro_f1" not in data.completed["pca_logistic"][0].metrics
    assert "accuracy" in data.completed["pca_logistic"][0].metrics


def test_the_last_completed_record_of_a_cell_stands(make_run: MakeRun) -> None:
    def again(builder) -> None:  # type: ignore[no-untyped-def]
        builder.cell("resnet18", 1)
        builder.cell("resnet18", 1, "failed")

    run = make_run(search=0, seeds=(0, 1), then=again)
    data = read_run(run)
    second = [record for record in data.records if record.variant == "resnet18" and record.seed == 1]
    assert [record.status for record in second] == ["completed", "completed", "failed"]
    assert data.evaluation["resnet18"][1] is second[1]
    assert superseded(data) == 2


def test_cells_of_another_configuration_do_not_mix(make_run: MakeRun) -> None:
    run = make_run(search=0, seeds=(0, 1, 2), then=lambda builder: builder.cell("resnet18", 0, trial=9))
    data = read_run(run)
    assert [(record.trial, record.seed) for record in data.completed["resnet18"]] == [(9, 0)]
    assert superseded(data) == 3


def test_the_best_trial_follows_the_mode(make_run: MakeRun) -> None:
    def scores(data: RunData) -> list[float]:
        done = (record for record in data.search["resnet18"] if record.status == "completed")
        return [record.metrics["macro_f1"] for record in done]

    for mode, pick in (("max", max), ("min", min)):
        data = read_run(make_run(mode, search=9, seeds=(), objective={"metric": "macro_f1", "mode": mode}))
        best = data.best_trial("resnet18")
        assert best is not None
        assert best.metrics["macro_f1"] == pick(scores(data))


def test_tables_rank_by_the_test_metric_and_trials_by_the_searchs(make_run: MakeRun) -> None:
    objective = {"metric": "validation_loss", "mode": "min", "test_metric": "accuracy"}
    data = read_run(make_run("both", search=1, seeds=(), objective=objective))
    assert (data.search_metric, data.search_mode) == ("validation_loss", "min")
    assert (data.metric, data.mode) == ("accuracy", "max")
    data = read_run(make_run("loss", search=1, seeds=(), objective={"metric": "validation_loss", "test_metric": None}))
    assert (data.search_metric, data.search_mode) == ("validation_loss", "min")
    assert (data.metric, data.mode) == ("macro_f1", "max")
    data = read_run(make_run("one", search=1, seeds=(), objective={"metric": "log_loss"}))
    assert (data.metric, data.mode, data.search_metric) == ("log_loss", "min", "log_loss")


def test_an_unset_mode_is_the_metrics_own(make_run: MakeRun) -> None:
    assert read_run(make_run(objective={"metric": "log_loss", "mode": None})).mode == "min"
