"""A run that is stopped in the middle of its search, and goes on: nothing lost, nothing twice."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from orchestrator.artifacts.records import read_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TRIALS = 60


def start(file: Path, out: Path, *options: str) -> "subprocess.Popen[str]":
    program = [sys.executable, "-m", "orchestrator.cli", "sweep", str(file), "--out", str(out), "--quiet", *options]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_in_the_search_and_resumed(series_tree: Path, tmp_path: Path, how: signal.Signals) -> None:
    experiment = {
        "data": {"path": str(series_tree), "size": 32, "style": "plain"},
        "families": ["pca_logistic"],
        "budget": {"trials": TRIALS, "epochs": 1},
        "seeds": [0],
    }
    file, out = tmp_path / "e.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(experiment), encoding="utf-8")
    process = start(file, out)
    records = out / "records.jsonl"
    deadline = time.monotonic() + 400
    while len(list(read_records(records))) < 5:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(how)
    _, said = process.communicate(timeout=200)
    assert process.returncode == (-how if how is signal.SIGKILL else 128 + how)
    if how is not signal.SIGKILL:
        assert "--resume" in said
        assert "Traceback" not in said
    before = records.read_bytes()
    assert before.count(b"\n") < TRIALS
    again = start(file, out, "--resume")
    _, said = again.communicate(timeout=600)
    assert again.returncode == 0, said
    assert records.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    search = [record for record in read_records(records) if record.stage == "search"]
    assert {record.status for record in search} == {"completed"}
    assert len(search) == TRIALS
    assert sorted(record.trial for record in search) == list(range(TRIALS))
    assert (out / "report" / "index.html").is_file()


def test_a_second_sweep_in_the_folder_of_one_that_works_is_refused(series_tree: Path, tmp_path: Path) -> None:
    experiment = {
        "data": {"path": str(series_tree), "size": 32, "style": "plain"},
        "families": ["pca_logistic"],
        "budget": {"trials": 5, "epochs": 1},
        "seeds": [0],
    }
    file, out = tmp_path / "e.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(experiment), encoding="utf-8")
    first = start(file, out, "--resume")
    deadline = time.monotonic() + 200
    while not (out / "heartbeat.json").exists():
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = start(file, out, "--resume")
    _, said = second.communicate(timeout=300)
    assert second.returncode == 2
    assert "Another process works in" in said
    _, said = first.communicate(timeout=600)
    assert first.returncode == 0, said
    search = [record for record in read_records(out / "records.jsonl") if record.stage == "search"]
    assert sorted(record.trial for record in search) == list(range(5))
