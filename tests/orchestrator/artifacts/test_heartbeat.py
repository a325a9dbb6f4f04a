"""A sign of life: written while the run works, judged by process and age."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from orchestrator.artifacts.at_work import AtWork
from orchestrator.artifacts.heartbeat import STALE, Beat, Heartbeat, read_beat


def beat(**changes: object) -> Beat:
    values = {"host": socket.gethostname(), "pid": os.getpid(), "stage": "search", "started": 0.0, "seen": time.time()}
    return Beat(**{**values, **changes})  # type: ignore[arg-type]


def test_it_is_there_while_the_run_works_and_gone_after(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat.json"
    with Heartbeat(path) as heart:
        heart.stage("search")
        found = read_beat(path)
        assert found is not None
        assert (found.stage, found.pid, found.alive) == ("search", os.getpid(), True)
    assert list(tmp_path.iterdir()) == []


def test_it_says_which_trainings_run_until_the_next_stage(tmp_path: Path) -> None:
    path, running = tmp_path / "heartbeat.json", [AtWork("vae", "trial", 3, 30, 50.0, 12, 2.5, 0.9)]
    with Heartbeat(path) as heart:
        heart.stage("search")
        heart.at_work(running)
        heart._write()
        found = read_beat(path)
        assert found is not None
        assert list(found.at_work) == running
        heart.stage("evaluate")
        found = read_beat(path)
        assert found is not None
        assert found.at_work == ()


def test_a_beat_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat.json"
    values = {key: value for key, value in asdict(beat()).items() if key != "at_work"}
    path.write_text(json.dumps(values), encoding="utf-8")
    found = read_beat(path)
    assert found is not None
    assert found.alive


def test_a_process_that_is_gone_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert not beat(pid=process.pid).alive
    assert beat().alive


def test_on_another_machine_its_age_decides() -> None:
    assert beat(host="elsewhere", pid=1).alive
    assert not beat(host="elsewhere", pid=1, seen=time.time() - STALE - 1).alive


def test_a_clock_that_was_set_back_makes_no_negative_age() -> None:
    assert beat(seen=time.time() + 3600).age == 0


def test_what_can_t_be_read_is_no_beat(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat.json"
    assert read_beat(path) is None
    for text in ("", "{", "[]", '{"host": "a"}', json.dumps({**asdict(beat()), "more": 1})):
        path.write_text(text, encoding="utf-8")
        assert read_beat(path) is None
