"""A run whose experiment.yaml is not the one that its records name: told, marked, or refused; and never where it is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders.pages import Page

from orchestrator import InputError, compare_runs, results, status
from orchestrator.artifacts.records import append_record, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.run_data import MARKED, read_run
from orchestrator.report.page import write_report
from orchestrator.running.status import status_text

MakeRun = Callable[..., RunFolder]


def changed(run: RunFolder, **values: Any) -> RunFolder:
    """The run with other values in its experiment's file."""
    before = yaml.safe_load(run.experiment.read_text())
    run.experiment.write_text(yaml.safe_dump({**before, **values}, sort_keys=False))
    return run


def with_records(run: RunFolder, **provenance: str) -> RunFolder:
    """The run with its records' origin exchanged."""
    records = list(read_records(run.records))
    run.records.unlink()
    for one in records:
        append_record(run.records, one.model_copy(update={"provenance": one.provenance.model_copy(update=provenance)}))
    return run


def test_its_own_is_not_marked(make_run: MakeRun, make_detection_run: MakeRun) -> None:
    for run in (make_run("a", search=1), make_detection_run("b", search=1)):
        data = read_run(run)
        assert (data.marks, data.remarks, data.caveat) == ((), [], "")
        assert {one.provenance.experiment for one in data.records} <= data.prints
        assert results(run)["marks"] == []
        assert status(run)["strangers"] == 0


@pytest.mark.parametrize(
    "values",
    [
        {"budget": {"trials": 99, "epochs": 12, "minutes": 5, "concurrent": 2}},
        {"seeds": [0, 1, 2, 3, 4, 5]},
        {"resources": {"cpus": 2}},
        {"heat_maps": True, "mirror": "file:///elsewhere"},
        {"mirror": "s3://KEY:SECRET@bucket/x"},
        {"data": {"path": "/moved/series", "layout": "series", "store": "/kept"}},
        {"ablation": {"factors": {"C": [1.0, 2.0]}, "config": {}}},
    ],
)
def test_what_may_differ_as_a_run_goes_on_is_not_marked(make_run: MakeRun, values: dict[str, Any]) -> None:
    run = changed(make_run(search=1), **values)
    data = read_run(run)
    assert (data.marks, data.remarks) == ((), [])
    assert "SECRET" not in write_report(run, figures=False).read_text()


def test_a_changed_file_without_its_copy_is_marked_everywhere(make_run: MakeRun) -> None:
    run = changed(make_run(search=1), objective={"metric": "log_loss", "mode": "max"})
    page = Page(write_report(run, figures=False).read_text())
    assert page.text.index("Beware. experiment.yaml is not the experiment that the records name") < page.text.index(
        "comes first"
    )
    assert "nothing tells in what" in page.text
    markdown = (run.report / "report.md").read_text()
    assert markdown.index("**Beware: experiment.yaml is not") < markdown.index("## Verdict")
    for suffix in ("md", "html", "tex"):
        assert "is not the one that the records name" in (run.report / "tables" / f"leaderboard.{suffix}").read_text()
    assert len(results(run)["marks"]) == 1
    found = status(run)
    assert (found["strangers"], found["records"]) == (8, 8)
    assert "Beware: 8 of 8 records name another experiment" in status_text(found)
    data = read_run(run)
    assert len(data.counted) == 8, "no figure is lost"
    assert data.caveat == f" {MARKED}"


def test_where_its_copy_proves_what_it_was_the_report_goes_by_that(make_run: MakeRun) -> None:
    run = make_run(search=1)
    shutil.copyfile(run.experiment, run.as_run)
    before = write_report(run, figures=False).read_text()
    changed(run, objective={"metric": "log_loss", "mode": "max"}, baseline="resnet18")
    data = read_run(run)
    assert (data.metric, data.mode, data.baseline, data.caveat) == ("macro_f1", "max", "pca_logistic", "")
    (mark,) = data.marks
    assert "baseline: 'pca_logistic' there, 'resnet18' here" in mark
    assert "objective.metric: 'macro_f1' there, 'log_loss' here" in mark
    after = Page(write_report(run, figures=False).read_text())
    assert mark in after.text
    assert after.text.replace(f" Beware. {mark}", "") == Page(before).text


def test_a_copy_that_the_records_do_not_bear_out_is_not_believed(make_run: MakeRun) -> None:
    run = make_run(search=1)
    changed(run, scheduler="none")
    shutil.copyfile(run.experiment, run.as_run)
    changed(run, baseline="resnet18")
    (mark,) = read_run(run).marks
    assert "nothing tells in what" in mark
    run.as_run.write_text("{")
    assert read_run(run).marks == (mark,)


def test_records_of_another_experiment_among_this_ones_are_left_out(make_run: MakeRun) -> None:
    def mixed(builder: Any) -> None:
        provenance = {**builder.run_provenance(), "experiment": "<b>other</b>"}
        builder.cell("resnet18", 7, provenance=provenance)

    run = make_run(search=1, then=mixed)
    data = read_run(run)
    (mark,) = data.marks
    assert mark.startswith("1 of 9 records names another experiment than this run's (<b>other</b>): they are left out")
    assert [one.seed for one in data.completed["resnet18"]] == [0, 1, 2]
    assert data.caveat == ""
    text = write_report(run, figures=False).read_text()
    assert "&lt;b&gt;other&lt;/b&gt;" in text
    assert "<b>" not in text


def test_another_runs_records_are_refused(make_run: MakeRun, orchestrate: Callable[..., Any]) -> None:
    run = with_records(make_run(search=1), experiment="e" * 16, data="d" * 16, split="5" * 16)
    with pytest.raises(InputError, match=r"another run's: not one of its 8 records.*nor on the data and split"):
        read_run(run)
    ended = orchestrate("report", run.root)
    assert (ended.code, ended.out) == (2, "")
    assert "Put the run's own files back" in ended.err
    assert not run.report.exists()
    # On its own pictures, the figures still stand.
    run = with_records(make_run("b", search=1), experiment="e" * 16)
    assert "nothing tells in what" in read_run(run).marks[0]
    # Without a split to hold them against, it is marked.
    run = with_records(make_run("c", search=1), experiment="e" * 16, data="d" * 16, split="5" * 16)
    run.split.unlink()
    assert len(read_run(run).marks) == 1


def test_a_file_that_is_no_experiment_is_said_and_not_marked(make_run: MakeRun) -> None:
    run = changed(make_run(search=1), schedulr="asha")
    data = read_run(run)
    assert data.marks == ()
    assert [line for line in data.remarks if "is the one that the records name is not known" in line]
    assert len(data.counted) == 8
    run.places.write_text("{")
    changed(run)
    assert write_report(run, figures=False).exists()


def test_a_comparison_says_it(make_run: MakeRun, tmp_path: Path) -> None:
    one, other = make_run("one", search=1), make_run("other", search=1, pictures=135)
    lines = other.records.read_bytes().splitlines(keepends=True)
    other.records.write_bytes(b"".join(lines[:-1]))
    assert not [line for line in compare_runs([one, other]).values["notices"] if "experiment.yaml" in line]
    changed(other, scheduler="none")
    told = json.dumps(compare_runs([one, other]).values["notices"])
    assert "other: experiment.yaml is not the experiment that the records name" in told
