"""optuna-dashboard over a run: all of its studies, on loopback, and the run is only read."""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders.classification_runs import RunBuilder
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from orchestrator import InputError, RunFolder
from orchestrator.search.journal import open_study
from orchestrator.search.searcher import report
from orchestrator.tracking.dashboard import serving
from orchestrator.tracking.studies import ReadJournal, RunStudies


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run of two splits, with a study of three trials each: one ended, one pruned, one at work."""
    builder = RunBuilder(tmp_path / "run", {"pca_logistic": 0.25, "resnet18": 0.9}, ("a", "b", "c"), 30)
    builder.experiment([0])
    for part, name in ((builder.run, "pca_logistic"), (builder.run, "resnet18"), (builder.run.of_split(2), "resnet18")):
        study = open_study(part.journal(name), name, "max")
        for number in range(3):
            trial = study.ask()
            trial.suggest_float("x", 0, 1)
            report(study, number, 1, 0.1 * (number + 1))
        study.tell(0, 0.5)
        study.tell(1, state=TrialState.PRUNED)
    return builder.run


def journals(folder: RunFolder) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.root.rglob("studies/*"))}


def got(address: str, **headers: str) -> Any:
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture
def address(folder: RunFolder) -> Iterator[str]:
    with serving(folder, 0) as found:
        yield found.removesuffix("/dashboard")


def test_all_studies_are_there_and_the_run_is_only_read(folder: RunFolder, address: str) -> None:
    before = journals(folder)
    assert address.startswith("http://127.0.0.1:")
    found = {one["study_name"]: one["study_id"] for one in got(f"{address}/api/studies")["study_summaries"]}
    assert set(found) == {"pca_logistic", "resnet18", "split 2: resnet18"}
    trials = got(f"{address}/api/studies/{found['split 2: resnet18']}?after=0")["trials"]
    assert [trial["state"] for trial in trials] == ["Complete", "Pruned", "Running"]
    assert [trial["intermediate_values"] for trial in trials] == [[{"step": 1, "value": 0.1 * n}] for n in (1, 2, 3)]
    gone = urllib.request.Request(f"{address}/api/studies/{found['resnet18']}", method="DELETE")
    with urllib.request.urlopen(gone, timeout=60):
        assert journals(folder) == before


def test_the_command_says_where_and_ends_on_ctrl_c(folder: RunFolder) -> None:
    command = [sys.executable, "-m", "orchestrator.cli", "dashboard", str(folder.root), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as shown:
        assert shown.stderr is not None
        line = shown.stderr.readline()
        assert re.match(r"optuna-dashboard: http://127\.0\.0\.1:\d+/dashboard ", line)
        shown.send_signal(signal.SIGINT)
        assert shown.wait(60) == 0
        assert shown.stderr.read() == ""


def test_who_asks_by_another_name_is_sent_away(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        got(f"{address}/api/studies", Host="evil.example")


def test_what_a_run_adds_is_seen(folder: RunFolder) -> None:
    studies = RunStudies(folder)
    studies.update()
    study = open_study(folder.journal("resnet18"), "resnet18", "max")
    report(study, 2, 2, 0.7)
    study.tell(2, 0.7)
    study.ask().suggest_float("x", 0, 1)
    studies.update()
    (copy,) = (one for one in studies.storage.get_all_studies() if one.study_name == "resnet18")
    theirs = [(one.state, one.params, one.values, one.intermediate_values) for one in study.trials]
    copied = studies.storage.get_all_trials(copy._study_id)
    assert [(one.state, one.params, one.values, one.intermediate_values) for one in copied] == theirs


def test_a_torn_line_is_left_for_later_and_a_spoiled_journal_is_left_out(folder: RunFolder) -> None:
    with folder.journal("resnet18").open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    folder.journal("pca_logistic").write_bytes(b"noise\nnoise\n")
    studies = RunStudies(folder)
    studies.update()
    assert {one.study_name for one in studies.storage.get_all_studies()} == {"resnet18", "split 2: resnet18"}
    assert studies.unreadable == {folder.journal("pca_logistic")}
    with pytest.raises(PermissionError):
        JournalStorage(ReadJournal(folder.journal("resnet18"))).create_new_study([], "x")


def test_what_can_t_be_shown_is_said(folder: RunFolder, tmp_path: Path, address: str) -> None:
    with pytest.raises(InputError, match=r"Port .* can't be had"), serving(folder, int(address.rpartition(":")[2])):
        pass
    with pytest.raises(InputError, match="holds no run"), serving(RunFolder(tmp_path / "nowhere"), 0):
        pass
    for path in folder.root.rglob("*.journal"):
        path.unlink()
    with pytest.raises(InputError, match="holds no study yet"), serving(folder, 0):
        pass
