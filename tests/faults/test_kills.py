"""A sweep whose process is killed again and again: nothing lost, nothing repeated, the undisturbed run's records."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from orchestrator.artifacts.records import TrialRecord, read_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

KILLS = int(os.environ.get("ORCHESTRATOR_TEST_KILLS", "50"))
MEASURED = ("seconds", "gpu_seconds", "peak_memory", "own_memory")
"""The columns of a table that no two runs have alike."""
EXPERIMENT: dict[str, Any] = {
    "families": [
        "pca_logistic",
        {
            "family": "plot_classifier",
            "fixed": {"backbone": "shufflenet_v2_x0_5", "weights": "none", "batch_size": 4},
        },
    ],
    # More kills need a longer sweep to fall into.
    "budget": {"trials": max(12, 3 * KILLS // 2), "epochs": 9, "concurrent": 1, "patience": None},
    "seeds": [0, 1],
}


def start(file: Path, out: Path) -> "subprocess.Popen[str]":
    program = [sys.executable, "-m", "orchestrator.cli", "sweep", str(file), "--out", str(out), "--resume", "--quiet"]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(process: "subprocess.Popen[str]", true: Callable[[], bool], seconds: float) -> None:
    """Until something is true, the process has ended, or the time is up."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and not true() and time.monotonic() < deadline:
        time.sleep(0.02)


def size_of(out: Path) -> int:
    """Bytes of the records."""
    records = out / "records.jsonl"
    return records.stat().st_size if records.exists() else 0


def what_counts(record: TrialRecord) -> dict[str, Any]:
    """All of a record but times, memory, and where it was made."""
    told = record.model_dump(
        mode="json",
        exclude={
            "seconds",
            "seconds_a_picture",
            "speed",
            "peak_memory",
            "own_memory",
            "available_memory",
            "provenance",
            "reading",
        },
    )
    return {**told, "reason": told["reason"].split(" after ")[0]}


def test_killed_again_and_again(series_tree: Path, tmp_path: Path) -> None:
    data = {"path": str(series_tree), "size": 32, "style": "plain"}
    file = tmp_path / "e.yaml"
    file.write_text(yaml.safe_dump({"data": data, **EXPERIMENT}), encoding="utf-8")
    whole, out = tmp_path / "whole", tmp_path / "killed"
    undisturbed = start(file, whole)
    _, said = undisturbed.communicate(timeout=3600)
    assert undisturbed.returncode == 0, said

    moments = random.Random(0)
    kills, seen = 0, b""
    while True:
        process = start(file, out)
        # A start takes ten seconds, or thirty on a busy machine: every other kill waits for a record to come first.
        before = size_of(out)
        if kills < KILLS and kills % 2:
            wait_for(process, lambda before=before: size_of(out) > before, 600)
        wait_for(process, lambda: False, moments.uniform(0, 25 if kills % 2 == 0 else 10) if kills < KILLS else 3600)
        if process.poll() is not None:
            _, said = process.communicate()
            assert process.returncode == 0, said
            break
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
        records = out / "records.jsonl"
        now = records.read_bytes() if records.exists() else b""
        assert now.startswith(seen[: seen.rfind(b"\n") + 1]), "what was written stays"
        seen = now
    assert kills == KILLS, "the sweep was over before all kills had been"
    first, second = (list(read_records(folder / "records.jsonl")) for folder in (whole, out))
    keys = Counter((one.stage, one.variant, one.trial, one.seed) for one in second)
    assert max(keys.values()) == 1, "nothing repeated"
    in_order = [sorted((what_counts(one) for one in found), key=str) for found in (first, second)]
    assert in_order[0] == in_order[1], "nothing lost, nothing else"
    tables = [
        pd.read_csv(folder / "report" / "tables" / "evaluation.csv").drop(
            columns=["seconds", "gpu_seconds", "peak_memory", "own_memory"]
        )
        for folder in (whole, out)
    ]
    pd.testing.assert_frame_equal(*(table.sort_values(["variant", "seed"], ignore_index=True) for table in tables))
    assert not list((out / "states").glob("*"))
    print(f"{kills} kills of {len(second)} records: 0 lost, 0 repeated, all equal")
