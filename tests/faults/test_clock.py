"""A clock that jumps by days while a run works: the run ends as if it had not."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JUMPS = ((3, -2 * 86_400), (9, 5 * 86_400), (14, -400 * 86_400))
"""(records so far, the clock's error from then on in seconds)."""
# Every Python process of the run takes the time from here: its driver, its workers, and Ray's own.
CLOCK = """
import time

_now, _now_ns = time.time, time.time_ns


def shifted():
    return _now() + _error()


def shifted_ns():
    return _now_ns() + _error() * 10**9


def _error():
    try:
        with open({stamp!r}) as file:
            return int(file.read() or 0)
    except (OSError, ValueError):
        return 0
"""
SITE = """
import time

import shifted_clock

time.time, time.time_ns = shifted_clock.shifted, shifted_clock.shifted_ns
"""


def test_a_clock_that_jumps_changes_nothing(series_tree: Path, tmp_path: Path) -> None:
    site, stamp, out = tmp_path / "site", tmp_path / "stamp", tmp_path / "run"
    site.mkdir()
    (site / "shifted_clock.py").write_text(CLOCK.format(stamp=str(stamp)), encoding="utf-8")
    (site / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    values: dict[str, Any] = {
        "data": {"path": str(series_tree), "size": 32, "style": "plain"},
        "families": ["pca_logistic"],
        "budget": {"trials": 20, "epochs": 1, "concurrent": 1, "minutes": 60, "epoch_minutes": 10},
        "seeds": [0, 1],
    }
    file = tmp_path / "e.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    paths = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "orchestrator.cli"]
    process = subprocess.Popen(
        [*command, "sweep", str(file), "--out", str(out), "--quiet"],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip
    records = out / "records.jsonl"
    for count, error in JUMPS:
        while not records.exists() or records.read_bytes().count(b"\n") < count:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        stamp.write_text(str(error), encoding="ascii")
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    lines = [json.loads(line) for line in records.read_text(encoding="ascii").splitlines()]
    assert [one["status"] for one in lines] == ["completed"] * 22
    assert all(0 <= one["seconds"] < 600 for one in lines), "durations are those of a clock that only goes on"
    told = subprocess.run([*command, "status", str(out), "--json"], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["state"] == "finished"
