"""A run's folder that becomes read-only, or goes away, in mid-search: the run stops with a reason and can go on."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.artifacts.records import read_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TRIALS = 60


def begin(file: Path, out: Path) -> subprocess.Popen[str]:
    """A sweep that has ended three trials."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.cli", "sweep", str(file), "--out", str(out), "--resume", "--quiet"],
        stderr=subprocess.PIPE,
        text=True,
    )
    records = out / "records.jsonl"
    while not records.exists() or records.read_bytes().count(b"\n") < 3:
        assert process.poll() is None
        time.sleep(0.05)
    return process


def stopped(process: subprocess.Popen[str]) -> str:
    """What it says, once it has ended as told."""
    _, said = process.communicate(timeout=300)
    assert process.returncode == 2, said
    assert "Traceback" not in said
    assert "--resume" in said
    return said


def goes_on(file: Path, out: Path, before: bytes) -> None:
    """Resume, and count."""
    assert (out / "records.jsonl").read_bytes().startswith(before)
    process = begin(file, out)
    _, said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    search = [one for one in read_records(out / "records.jsonl") if one.stage == "search"]
    assert sorted(one.trial for one in search) == list(range(TRIALS))
    assert {one.status for one in search} == {"completed"}
    assert (out / "report" / "index.html").is_file()


@pytest.fixture
def file(cheap_experiment: Callable[..., Path]) -> Path:
    return cheap_experiment(trials=TRIALS)


def mount(*words: str | Path) -> None:
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


def test_a_folder_that_becomes_read_only(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = begin(file, out)
    try:
        # A mount over the folder: one with files open for writing, such as the lock, can't be made read-only itself.
        mount("--bind", out, out)
        mount("-o", "remount,bind,ro", out)
        before = (out / "records.jsonl").read_bytes()
        assert "Read-only" in stopped(process)
    finally:
        process.kill()
        subprocess.run(["umount", "-l", str(out)], capture_output=True, check=False)
    goes_on(file, out, before)


def test_a_folder_that_goes_away_and_comes_back(file: Path, tmp_path: Path) -> None:
    out, away = tmp_path / "run", tmp_path / "away"
    process = begin(file, out)
    out.rename(away)
    stopped(process)
    assert not list(out.rglob("*"))  # Ray may have made the folder again, for a moment's files of its own
    before = (away / "records.jsonl").read_bytes()
    away.rename(out)
    goes_on(file, out, before)
