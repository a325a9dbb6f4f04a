"""Runs that the release before the rooms made: resumed, reported, ablated further, compared, their models loaded.

`tests/fixtures/before_rooms.tar.xz` holds what commit a9cba29 left of three runs and the data that they were made of,
by relative paths: a whole one (`whole`), the same one after its search (`searched`), and one of detection with masks,
known anomalies and an ablation (`detection`).
"""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import (
    Experiment,
    RunFolder,
    ablate,
    compare_runs,
    load_model,
    read_records,
    run,
    status,
    write_report,
)
from orchestrator.artifacts.records import TrialRecord
from orchestrator.data.store.store import open_store
from orchestrator.experiment.of_a_run import experiment_of, known_prints
from orchestrator.machine.progress import Reporter
from orchestrator.report.numbers.readings import log_faults
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.numbers.speeds import COLUMNS as SPEED
from orchestrator.running.claim import open_run

QUIET = Reporter(quiet=True)
RUNS = ("whole", "searched", "detection")

TESTS = ("p", "p_holm", "outcome", "significant", "probability_better")
"""Columns that follow from this version's tests."""


def told(record: TrialRecord) -> dict[str, Any]:
    """What does not change from one time to the next."""
    left_out = {
        "seconds",
        "seconds_a_picture",
        "speed",
        "peak_memory",
        "own_memory",
        "available_memory",
        "device",
        "cpus",
        "provenance",
        "files",
        "history",
        "metrics",
        "per_kind",
        "threshold",
        "reading",
    }
    return record.model_dump(exclude=left_out)


def rows(run_folder: Path, table: str) -> list[dict[str, str]]:
    with (run_folder / "report" / "tables" / table).open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("name", RUNS)
def test_the_experiment_is_the_one_that_its_records_are_of(old: Path, name: str) -> None:
    folder = RunFolder(old / name)
    prints = {record.provenance.experiment for record in read_records(folder.records)}
    assert prints == {experiment_of(folder).placed_fingerprint}
    assert prints < known_prints(experiment_of(folder), folder)


@pytest.mark.usefixtures("ray_session")
def test_a_searched_run_is_evaluated_as_it_would_have_been(old: Path) -> None:
    before = list(read_records(old / "searched" / "records.jsonl"))
    found = run(experiment_of(RunFolder(old / "searched")), "searched", resume=True, reporter=QUIET)
    write_report("whole", figures=False)  # with this version's intervals and tests
    records, whole = (
        {(one.stage, one.variant, one.trial, one.seed): one for one in read_records(folder / "records.jsonl")}
        for folder in (found.root, old / "whole")
    )
    assert list(read_records(found.records))[: len(before)] == before, "nothing is run twice"
    assert records.keys() == whole.keys()
    for place, record in records.items():
        # What has no randomness is trained once now, for all seeds.
        assert record.trained is (record.family != "pca_logistic" or record.seed == 0 or record.stage == "search")
        facts = {name: fact for name, fact in record.facts.items() if name != "training"}
        assert told(record.model_copy(update={"trained": True, "facts": facts})) == told(whole[place])
        assert record.metrics == pytest.approx(whole[place].metrics)
    for mine, theirs in zip(rows(found.root, "leaderboard.csv"), rows(old / "whole", "leaderboard.csv"), strict=True):
        assert mine.keys() == theirs.keys()
        for column in mine.keys() - {"seconds", *SPEED}:
            assert mine[column] == theirs[column] or float(mine[column]) == pytest.approx(float(theirs[column]))


@pytest.mark.usefixtures("ray_session")
def test_more_trials_keep_the_seed_that_the_first_had(old: Path) -> None:
    folder = RunFolder(old / "searched")
    before = list(read_records(folder.records))
    experiment = experiment_of(folder)
    budget = experiment.budget.model_copy(update={"trials": experiment.budget.trials + 1})
    assert experiment.trial_seed == 1000, "in a run that begins now"
    run(experiment.model_copy(update={"budget": budget}), "searched", resume=True, until="search", reporter=QUIET)
    added = list(read_records(folder.records))[len(before) :]
    assert len(added) == len(experiment.families)
    assert {one.seed for one in added} == {one.seed for one in before} == {experiment.seeds[0]}
    assert read_run(folder).marks == ()


@pytest.mark.usefixtures("ray_session")
def test_an_ablation_goes_on_with_a_level_more(old: Path) -> None:
    before = list(read_records(old / "detection" / "records.jsonl"))
    table = rows(old / "detection", "ablation.csv")
    values = experiment_of(RunFolder(old / "detection")).model_dump(mode="json")
    values["ablation"]["factors"]["blur"].append(2.0)
    found = ablate(Experiment.from_mapping(values), "detection", reporter=QUIET)
    added = list(read_records(found.records))[len(before) :]
    assert [(record.stage, record.config["blur"], record.seed) for record in added] == [
        ("ablation", 2.0, 0),
        ("ablation", 2.0, 1),
    ]
    grown = {(row["variant"], row["metric"]): row["mean"] for row in rows(found.root, "ablation.csv")}
    assert {(row["variant"], row["metric"]): row["mean"] for row in table}.items() <= grown.items()


def test_its_report_says_the_same(old: Path) -> None:
    for name, table in (("whole", "leaderboard.csv"), ("detection", "ablation.csv")):
        before = rows(old / name, table)
        write_report(name, figures=False)
        # Intervals and tests are this version's; every figure is as it was.
        after = rows(old / name, table)
        assert [one["variant"] for one in after] == [one["variant"] for one in before]
        same = [key for key in before[0] if key in after[0] and not key.endswith(("low", "high")) and key not in TESTS]
        assert len(same) > 5
        assert [[one[key] for key in same] for one in after] == [[one[key] for key in same] for one in before]
        assert (status(name)["state"], status(name)["strangers"]) == ("finished", 0)
        data = read_run(RunFolder(old / name))
        assert (data.marks, data.readings.missing, len(data.readings.commands)) == ((), "", 0)
        assert [line for line in log_faults(data) if "not chained" not in line] == []
        assert "as an earlier version began this run" in (data.run.report / "report.md").read_text(encoding="utf-8")


def test_runs_of_before_and_after_are_compared(old: Path) -> None:
    shutil.copytree(old / "whole", old / "again")
    records = old / "again" / "records.jsonl"
    records.write_bytes(b"".join(records.read_bytes().splitlines(keepends=True)[:-1]))
    written = old / "again" / "experiment.yaml"  # as a resume by this version writes it
    written.write_text(experiment_of(RunFolder(old / "again")).to_yaml())
    assert "sampler: tpe" in written.read_text()
    found = compare_runs(["whole", "again"])
    assert not [one for one in found.values["others"][0]["changes"] if one["scope"] == "experiment"]
    assert {move["outcome"] for move in found.values["others"][0]["moves"]} == {"unchanged"}


@pytest.mark.parametrize(("name", "variant"), [("whole", "tiny"), ("whole", "pca_logistic"), ("detection", "pca")])
def test_its_models_give_the_scores_that_they_gave(old: Path, name: str, variant: str) -> None:
    folder = RunFolder(old / name)
    (store,) = (open_store(path) for path in folder.stores.iterdir() if (path / "store.json").exists())
    model = load_model(folder.model(variant, 1))
    with np.load(folder.predictions(variant, 1)) as kept:
        paths = [path.decode() for path in kept["paths"]]
        rows = np.array([store.paths.index(path) for path in paths])
        np.testing.assert_allclose(model.predict(store.pictures[rows]).scores, kept["scores"], rtol=1e-9)
        data = experiment_of(folder).data.path
        np.testing.assert_allclose(model.predict([data / path for path in paths]).scores, kept["scores"], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("name", ["searched", "detection"])
def test_it_goes_on_where_run_and_data_were_moved_twice(
    old: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = experiment_of(RunFolder(old / name))
    before = list(read_records(old / name / "records.jsonl"))
    data = old / experiment.data.path
    for number in (1, 2):
        moved = tmp_path / f"elsewhere {number}"
        moved.mkdir()
        data, folder = data.rename(moved / "data"), (old / name).rename(moved / "run")
        old = moved.rename(moved)
        values = experiment_of(RunFolder(folder)).model_dump(mode="json")
        values["data"] |= {"path": str(data), "store": str(moved / "store") if number == 2 else None}
        found = run(Experiment.from_mapping(values), folder, resume=True)
        assert "byte for byte" in capsys.readouterr().err
        name = "run"
    records = list(read_records(found.records))
    assert records[: len(before)] == before
    assert len([one for one in records if one.stage == "search"]) == len(
        [one for one in before if one.stage == "search"]
    )
    page = (found.report / "index.html").read_text(encoding="utf-8")
    assert "elsewhere 1" in page
    assert load_model(found.model("pca_logistic" if "pca_logistic" in page else "pca", 1))


def test_credentials_that_a_run_holds_are_shown_nowhere(old: Path, orchestrate: Any) -> None:
    run = old / "detection"
    file = run / "experiment.yaml"
    text = file.read_text(encoding="utf-8")
    assert "mirror: null" in text
    file.write_text(text.replace("mirror: null", "mirror: s3://KEY:HIDDEN@bucket/x?region=eu"), encoding="utf-8")
    said = []
    for command in (["status", run], ["status", run, "--json"], ["report", run]):
        ended = orchestrate(*command)
        assert ended.code == 0, ended.err
        said += [ended.out, ended.err]
    pages = [path.read_text(encoding="utf-8") for path in (run / "report").glob("*.*") if path.is_file()]
    assert any("s3://***@bucket/x?region=eu" in page for page in pages)
    assert not any("HIDDEN" in one for one in (*said, *pages))
    assert experiment_of(open_run(run)).mirror == "s3://bucket/x?region=eu"
    refused = orchestrate("sweep", file, "--out", run, "--resume")
    assert refused.code == 2
    assert "let the environment hold it" in refused.err
    assert "HIDDEN" not in refused.err
