"""How a run stands, from its folder alone."""

import json
import os
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.artifacts.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.artifacts.at_work import AtWork
from orchestrator.artifacts.heartbeat import Beat
from orchestrator.artifacts.records import MARK, Provenance, TrialRecord, append_record
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.experiment import Experiment
from orchestrator.running.status import status_of, status_text
from trainables.errors import InputError

EXPERIMENT = Experiment.from_mapping(
    {"data": {"path": "x"}, "families": ["pca_logistic"], "budget": {"trials": 10}, "seeds": [0, 1]}
)


def record(number: int, ago: float, **changes: Any) -> TrialRecord:
    finished = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat(timespec="seconds")
    origin = dict.fromkeys(("experiment", "data", "split", "code", "device", "host"), "")
    values: dict[str, Any] = {
        "stage": "search",
        "family": "pca_logistic",
        "variant": "pca_logistic",
        "trial": number,
        "seed": 0,
        "split": "validation",
        "config": {},
        "metrics": {"macro_f1": number / 10},
        "status": "completed",
        "seconds": 1.0,
        "provenance": Provenance(**origin, packages={}, finished=finished),
    }
    return TrialRecord.model_validate({**values, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path)
    run.experiment.write_text(EXPERIMENT.to_yaml(), encoding="utf-8")
    for number in range(4):
        append_record(run.records, record(number, 60 - 10 * number))
    bad: dict[str, Any] = {"status": "failed", "reason": "ValueError: no", "metrics": {}}
    append_record(run.records, record(4, 20, **bad))
    append_record(run.records, record(2, 5, stage="evaluation", split="test"))
    return run


def beat(run: RunFolder, **changes: Any) -> None:
    now = time.time()
    values: dict[str, Any] = {
        "host": socket.gethostname(), "pid": os.getpid(), "stage": "search", "started": now - 100, "seen": now,
    }  # fmt: skip
    run.heartbeat.write_text(json.dumps(asdict(Beat(**{**values, **changes}))), encoding="utf-8")


def test_while_it_works(folder: RunFolder) -> None:
    beat(folder)
    found = status_of(folder, EXPERIMENT)
    assert (found["state"], found["stage"], found["records"]) == ("running", "search", 6)
    (variant,) = found["variants"]
    assert variant["trials"] == {"completed": 4, "failed": 1}
    assert (variant["of"], variant["best"], variant["evaluated"], variant["seeds"]) == (10, 0.3, 1, 2)
    (error,) = found["errors"]
    assert (error["trial"], error["status"], error["reason"]) == (4, "failed", "ValueError: no")
    assert found["per_minute"] == pytest.approx(5, rel=0.2)
    # Five trials more and one model, as many as have ended in 56 s; the last record is 5 s old.
    assert found["seconds_left"] == pytest.approx(56 - 5, abs=3)
    text = status_text(found)
    assert "running (search)" in text
    assert "ValueError: no" in text


def test_what_trains_is_told_epoch_by_epoch_and_what_is_left_at_most(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.experiment.write_text(EXPERIMENT.to_yaml(), encoding="utf-8")
    running = [AtWork("pca_logistic", "trial", 0, 30, 50.0, 12, 2.5, 0.9)]
    beat(run, at_work=running)
    found = status_of(run, EXPERIMENT)
    assert found["at_work"] == [asdict(running[0])]
    # Ten trials and two models of 30 epochs, of which the first has had 12.
    assert (found["seconds_left"], found["at_most"]) == (18 * 2.5 + 11 * 75, True)
    text = status_text(found)
    assert "at work: pca_logistic, trial 0: epoch 12/30, 2.5 s each, best 0.9000" in text
    assert "left at most 14 min" in text


def test_after_it_died(folder: RunFolder) -> None:
    beat(folder, pid=2**22 + 5)
    found = status_of(folder, EXPERIMENT)
    assert (found["state"], found["per_minute"]) == ("stopped", None)
    assert "--resume" in status_text(found)


def test_when_it_is_done(folder: RunFolder) -> None:
    for number in range(5, 10):
        append_record(folder.records, record(number, 3))
    append_record(folder.records, record(9, 1, stage="evaluation", split="test", seed=1))
    folder.report.mkdir()
    assert status_of(folder, EXPERIMENT)["state"] == "finished"


def ablation(run: RunFolder, baseline: str) -> None:
    rows = [
        AblatedVariant(
            name=name, changes={}, family="pca_logistic", config={}, strategy=None, cell=name, folder=name, trials=0
        )
        for name in ("one", "two")
    ]
    plan = AblationPlan(baseline=baseline, design="named", factors={}, tuned=None, seeds=(0, 1), variants=tuple(rows))
    plan.save(run.ablation)


def test_an_ablation_is_counted_by_its_cells(folder: RunFolder) -> None:
    changes: dict[str, Any] = {"stage": "ablation", "split": "test", "variant": "pca_logistic~1"}
    for cell, seed, status in (
        ("one", 0, "completed"),
        ("one", 1, "failed"),
        ("two", 0, "completed"),
        ("x", 1, "completed"),
    ):
        append_record(folder.records, record(0, 4, **changes, cell=cell, seed=seed, status=status))
    ablation(folder, "pca_logistic")
    folder.report.mkdir()
    found = status_of(folder, EXPERIMENT)
    assert (found["ablation"]["done"], found["ablation"]["of"], found["records"]) == (2, 4, 10)
    assert found["errors"][-1]["stage"] == "ablation"
    assert "orchestrate ablate" in status_text(found)
    assert "ablation: 2 of 4 cells completed" in status_text(found)
    for cell in ("one", "two"):
        append_record(folder.records, record(0, 4, **changes, cell=cell, seed=1))
    assert status_of(folder, EXPERIMENT)["state"] == "finished", "no other variant was begun"


def test_with_another_variant_begun_the_sweep_is_asked_for_too(folder: RunFolder) -> None:
    ablation(folder, "another")
    found = status_of(folder, EXPERIMENT)
    assert (found["state"], found["command"]) == ("stopped", "sweep")
    folder.ablation.write_text("{", encoding="utf-8")
    assert "holds no ablation" in status_of(folder, EXPERIMENT)["ablation"]["fault"]


def test_the_command(folder: RunFolder, orchestrate: Callable[..., Any]) -> None:
    ended = orchestrate("status", folder.root, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["records"] == 6
    assert "trials 4 completed, 1 failed of 10" in orchestrate("status", folder.root).out
    missing = orchestrate("status", folder.root / "nothing")
    assert missing.code == 2
    assert "holds no run" in missing.err


def test_ten_thousand_trials_are_read_without_parsing_models(folder: RunFolder) -> None:
    line = folder.records.read_bytes().splitlines(keepends=True)[0]
    with folder.records.open("ab") as file:
        file.write(line * 10_000)
    assert status_of(folder, EXPERIMENT)["records"] == 10_006


@pytest.mark.parametrize("broken", ["", "[]", '{"format": 1, "baseline": "pca_log'])
def test_an_ablation_that_cannot_be_read_is_not_finished(folder: RunFolder, broken: str) -> None:
    for number in range(5, 10):
        append_record(folder.records, record(number, 5))
    append_record(folder.records, record(2, 5, stage="evaluation", split="test", seed=1))
    folder.report.mkdir()
    assert status_of(folder, EXPERIMENT)["state"] == "finished"
    folder.ablation.write_text(broken, encoding="utf-8")
    found = status_of(folder, EXPERIMENT)
    assert (found["state"], found["command"]) == ("stopped", "ablate")
    text = status_text(found)
    assert "go on with: orchestrate ablate" in text
    assert "ablation.json holds no ablation" in text


def test_a_record_of_no_moment_and_one_nested_too_deep_are_no_tracebacks(tmp_path: Path) -> None:
    path = RunFolder(tmp_path).records
    append_record(path, record(0, 5))
    text = path.read_text().rpartition(MARK)[0] + "}"
    moment = json.loads(text)["provenance"]["finished"]

    def exchanged(old: str, new: str) -> int:
        assert old in text
        told = text.replace(old, new)
        path.write_text(f'{told[:-1]}{MARK}{zlib.crc32(told.encode("ascii")):08x}"}}\n')
        return int(status_of(RunFolder(tmp_path), EXPERIMENT)["records"])

    for other in ("yesterday", "9999-99-99", ""):
        assert exchanged(moment, other) == 1
    with pytest.raises(InputError, match=r"Record 1 of .* can't be read"):
        exchanged('"reason": ""', '"reason": ' + "[" * 20_000)


def test_the_time_left_runs_down_and_ends_as_the_last_trial_goes_on(folder: RunFolder) -> None:
    folder.records.unlink()
    for number in range(9):
        append_record(folder.records, record(number, 900 - 60 * number))
    # The last of ten trials is seven minutes old, where each took one: what is left for sure is the model after it.
    beat(folder, started=time.time() - 1000)
    changed = EXPERIMENT.model_copy(update={"seeds": (0,)})
    found = status_of(folder, changed)
    assert found["at_least"]
    assert found["seconds_left"] == pytest.approx(60, abs=10)
    folder.records.unlink()
    for number in range(9):
        append_record(folder.records, record(number, 500 - 60 * number, seconds=60.0))
    assert status_of(folder, changed)["seconds_left"] == pytest.approx(60 + 60 - 20, abs=5)


def test_a_pause_before_a_resume_and_a_search_that_is_over_are_no_work(folder: RunFolder) -> None:
    folder.records.unlink()
    for number, ago in enumerate((90_000, 80_000, 20, 10)):
        append_record(folder.records, record(number, ago))
    beat(folder, started=time.time() - 30)
    assert status_of(folder, EXPERIMENT)["seconds_left"] == pytest.approx(10 * (6 + 2) - 10, abs=10)
    beat(folder, started=time.time() - 30, stage="evaluate")
    assert status_of(folder, EXPERIMENT)["seconds_left"] == pytest.approx(10 * 2 - 10, abs=5)


def test_no_more_is_done_than_there_is(folder: RunFolder) -> None:
    fewer = EXPERIMENT.model_copy(update={"budget": EXPERIMENT.budget.model_copy(update={"trials": 2})})
    (variant,) = status_of(folder, fewer)["variants"]
    assert variant["of"] == 5
    assert "trials 4 completed, 1 failed of 5" in status_text(status_of(folder, fewer))


@pytest.mark.parametrize(("cells", "left"), [(0, 4 * 200 - 20), (1, 3 * 400)])
def test_dear_models_are_not_reckoned_by_cheap_ones(tmp_path: Path, cells: int, left: float) -> None:
    """Of two variants the cheap one is done: what is left is told by the dear one's trials, then by its cells."""
    both = Experiment.from_mapping(
        {"data": {"path": "x"}, "families": ["pca", "patch_knn"], "budget": {"trials": 1}, "seeds": [0, 1, 2, 3]}
    )
    run, since = RunFolder(tmp_path), 20 + 380 * cells
    append_record(run.records, record(0, since + 280, variant="pca", seconds=20.0))
    append_record(run.records, record(0, since + 80, variant="patch_knn", seconds=200.0))
    of_test: dict[str, Any] = {"stage": "evaluation", "split": "test"}
    for seed in range(4):
        append_record(run.records, record(0, since + 60 - 20 * seed, variant="pca", seed=seed, seconds=20.0, **of_test))
    for seed in range(cells):
        append_record(run.records, record(0, 0, variant="patch_knn", seed=seed, seconds=400.0, **of_test))
    beat(run, started=time.time() - since - 310, stage="evaluate")
    found = status_of(run, both)
    assert found["seconds_left"] == pytest.approx(left, rel=0.05)
    assert not found["at_least"]


def test_what_takes_longer_than_any_before_leaves_more_than(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for number in range(8):
        append_record(run.records, record(number, 900 - 60 * number, seconds=60.0))
    beat(run, started=time.time() - 1000)
    found = status_of(run, EXPERIMENT)  # the ninth of ten trials has had eight minutes, and two models come after it
    assert found["at_least"]
    assert found["seconds_left"] == pytest.approx(480 + 2 * 60, abs=10)
    assert "left more than 10 min" in status_text(found)
