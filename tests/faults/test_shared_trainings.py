"""Trainings that two workers share, by Ray Train: a whole run, one that is pruned, a worker killed, one that fails."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from builders import shared_family

from orchestrator import Experiment, RunFolder, read_records, run
from orchestrator.artifacts.records import TrialRecord
from orchestrator.machine.progress import Reporter

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.usefixtures("ray_session")]
QUIET = Reporter(quiet=True)


@pytest.fixture(autouse=True)
def _on_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it gains nothing, it can be tried."""
    monkeypatch.setenv("ORCHESTRATOR_WORKERS_ON_CPUS", "1")


def experiment(tree: Path, folder: Path, budget: dict[str, Any], **changes: Any) -> Experiment:
    code = shutil.copy(shared_family.__file__, folder / "shared_family.py")
    fixed = changes.pop("fixed", {})
    return Experiment.from_mapping(
        {
            "data": {"path": str(tree), "size": 16, "style": "plain"},
            "families": [{"name": "shared", "family": f"{code}:FAMILY", "fixed": fixed}],
            "budget": budget,
            "precision": {"dtype": "float32"},
            "resources": {"workers": 2, "cpus": 1},
            "seeds": [0, 1],
            **changes,
        }
    )


def records(folder: RunFolder, stage: str) -> list[TrialRecord]:
    return [one for one in read_records(folder.records) if one.stage == stage]


def test_a_whole_run_with_a_trial_that_is_pruned(series_tree: Path, tmp_path: Path) -> None:
    asked = experiment(
        series_tree,
        tmp_path,
        {"trials": 3, "epochs": 9, "patience": None},
        scheduler="asha",
        sampler="random",
        fixed={"learning_rate": 0.01},
    )
    folder = run(asked, tmp_path / "run", reporter=QUIET)
    trials, cells = records(folder, "search"), records(folder, "evaluation")
    assert {one.status for one in trials} == {"completed", "pruned"}, [(one.config, one.reason) for one in trials]
    assert [(one.seed, one.status) for one in cells] == [(0, "completed"), (1, "completed")]
    for one in (*trials, *cells):
        assert (one.workers, one.cpus, one.device) == (2, 1, "cpu")
        assert one.facts["workers"] == "2, batch 2 × 8"
        assert [row["epoch"] for row in one.history] == list(range(1, len(one.history) + 1))
    assert (folder.report / "index.html").exists()
    assert not left_over(), "no worker outlives its training"


def test_a_killed_worker_costs_what_was_not_saved_and_changes_nothing(series_tree: Path, tmp_path: Path) -> None:
    found = []
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        asked = experiment(
            series_tree,
            tmp_path,
            {"trials": 1, "epochs": 12, "patience": None},
            scheduler="none",
            fixed={"pause": 0.3, "wild": False},
        )
        if name == "killed":
            killing = threading.Thread(target=kill_one, args=(tmp_path / name / "run",))
            killing.start()
        folder = run(asked, tmp_path / name / "run", until="search", reporter=QUIET)
        if name == "killed":
            killing.join()
        (one,) = records(folder, "search")
        assert one.status == "completed", one.reason
        found.append((one.history, one.metrics, one.epoch))
    assert KILLED, "one was killed in the midst"
    assert found[0] == found[1]


def test_what_one_of_them_says_is_the_reason_and_the_others_end(series_tree: Path, tmp_path: Path) -> None:
    asked = experiment(
        series_tree,
        tmp_path,
        {"trials": 1, "epochs": 4, "patience": None},
        scheduler="none",
        fixed={"stumbles": 1, "wild": False},
    )
    folder = run(asked, tmp_path / "run", until="search", reporter=QUIET)
    (one,) = records(folder, "search")
    assert (one.status, one.reason) == ("failed", "LookupError: a shelf is empty")
    assert len(one.history) == 1
    assert not left_over()


KILLED: list[int] = []


def kill_one(run: Path) -> None:
    """The worker that does not lead, once a state was saved."""
    while not list(run.glob("states/*.state")):
        time.sleep(0.05)
    followers = sorted(workers(), key=lambda process: process.pid)[1:]
    for process in followers:
        process.kill()
        KILLED.append(process.pid)


def workers() -> list[psutil.Process]:
    """Of Ray Train."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if " ".join(child.cmdline()).startswith("ray::RayTrainWorker"):
                found.append(child)
        except psutil.Error:
            continue
    return found


def left_over() -> list[psutil.Process]:
    """The workers that are there half a minute later."""
    until = time.monotonic() + 30
    while (found := workers()) and time.monotonic() < until:
        time.sleep(0.5)
    return found
