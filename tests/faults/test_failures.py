"""Trials that raise, hang, die, or run out of memory: each a row with its reason, and the others go on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.artifacts.records import TrialRecord, read_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("ray_session")]

BACKBONES = """
import errno
import os
import signal
import time
from pathlib import Path

import torch
from torch import nn

MARKS = Path({marks!r})


class Spoilt(nn.Module):
    context_lost = False

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.convolution = nn.Conv2d(3, 4, 3, stride=4)
        self.last = nn.Linear(4, 1000)

    def forward(self, pictures):
        if self.training and pictures.device.type != "meta":
            with (MARKS / self.how).open("a") as marks:
                marks.write("x")
            times = (MARKS / self.how).stat().st_size
            if self.how == "raises":
                raise ValueError("this backbone always raises")
            if self.how == "cuda":
                Spoilt.context_lost = Spoilt.context_lost or times == 1
                if Spoilt.context_lost:
                    raise RuntimeError("CUDA error: device-side assert triggered")
            if self.how == "disk_full" and times == 1:
                raise OSError(errno.ENOSPC, "No space left on device", "/elsewhere/store")
            if self.how == "hangs":
                time.sleep(3600)
            if self.how == "dies" or (self.how == "dies_once" and times == 1):
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "eats":
                import resource

                limit = resource.getrlimit(resource.RLIMIT_AS)
                resource.setrlimit(resource.RLIMIT_AS, (1 << 32, limit[1]))
                try:
                    bytearray(1 << 36)
                finally:
                    resource.setrlimit(resource.RLIMIT_AS, limit)
        features = self.convolution(pictures).mean(dim=(2, 3))
        if self.how == "nan":
            features = features * float("nan")
        return self.last(features)


def raises():
    return Spoilt("raises")


def hangs():
    return Spoilt("hangs")


def cuda():
    return Spoilt("cuda")


def disk_full():
    return Spoilt("disk_full")


def dies():
    return Spoilt("dies")


def dies_once():
    return Spoilt("dies_once")


def eats():
    return Spoilt("eats")


def nan():
    return Spoilt("nan")
"""


@pytest.fixture
def swept(
    series_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]
) -> Callable[..., tuple[Any, list[TrialRecord], Path]]:
    """Run a sweep of one kind of spoilt backbone beside a sound family: how it ended, its records, the marks."""

    def sweep(how: str, trials: int = 2, **budget: Any) -> tuple[Any, list[TrialRecord], Path]:
        marks = tmp_path / "marks"
        marks.mkdir(exist_ok=True)
        file = tmp_path / "spoilt.py"
        file.write_text(BACKBONES.format(marks=str(marks)), encoding="utf-8")
        spoilt = {
            "family": "plot_classifier",
            "name": how,
            "fixed": {"backbone": f"{file}:{how}", "weights": "none", "batch_size": 16},
        }
        values = {
            "data": {"path": str(series_tree), "size": 32, "style": "plain"},
            "families": [spoilt, "pca_logistic"],
            "budget": {"trials": trials, "epochs": 2, "concurrent": 1, **budget},
            "seeds": [0],
        }
        experiment = tmp_path / "e.yaml"
        experiment.write_text(yaml.safe_dump(values), encoding="utf-8")
        ended = orchestrate("sweep", experiment, "--out", tmp_path / "run", "--until", "search", "--resume")
        records = list(read_records(tmp_path / "run" / "records.jsonl"))
        if ended.code == 0:
            sound = [one for one in records if one.variant == "pca_logistic"]
            assert [one.status for one in sound] == ["completed"] * trials
        return ended, [one for one in records if one.variant == how], marks / how

    return sweep


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("raises", "failed", "this backbone always raises"),
        ("nan", "failed", "not finite"),
        ("eats", "out-of-memory", "MemoryError"),
    ],
)
def test_what_would_end_the_same_again_is_not_tried_again(swept: Any, how: str, status: str, words: str) -> None:
    ended, records, marks = swept(how)
    assert ended.code == 0, ended.err
    assert [one.status for one in records] == [status] * 2
    assert all(words in one.reason for one in records)
    if how != "nan":
        assert marks.stat().st_size == 2, "once a trial"


def test_a_worker_that_dies_is_replaced_and_then_given_up(swept: Any) -> None:
    ended, records, marks = swept("dies", trials=1)
    assert ended.code == 0, ended.err
    assert [one.status for one in records] == ["failed"]
    assert records[0].reason
    assert marks.stat().st_size == 3, "two more tries"


def test_a_worker_that_died_once_changes_nothing(swept: Any) -> None:
    ended, records, _ = swept("dies_once", trials=1)
    assert ended.code == 0, ended.err
    assert [(one.status, len(one.history)) for one in records] == [("completed", 2)]


def test_a_lost_gpu_context_costs_one_trial_and_not_all_that_follow(swept: Any) -> None:
    ended, records, _ = swept("cuda", trials=3)
    assert ended.code == 0, ended.err
    assert [one.status for one in records] == ["failed", "completed", "completed"]
    assert "CUDA error" in records[0].reason


def test_a_disk_that_fails_a_worker_stops_the_run_and_no_trial_is_given_up(swept: Any) -> None:
    ended, records, _ = swept("disk_full")
    assert ended.code == 2, ended.err
    assert "/elsewhere/store: No space left on device" in ended.err
    assert not records
    again, records, _ = swept("disk_full")
    assert again.code == 0, again.err
    assert [(one.trial, one.status) for one in records] == [(0, "completed"), (1, "completed")]


def test_a_training_that_hangs_is_ended_and_said_so(swept: Any) -> None:
    ended, records, marks = swept("hangs", trials=1, epoch_minutes=0.1)
    assert ended.code == 0, ended.err
    assert [one.status for one in records] == ["failed"]
    assert "no epoch came within 6 s" in records[0].reason
    assert marks.stat().st_size == 1


def test_a_family_that_fails_in_all_its_first_trials_stops_its_own_search(swept: Any, tmp_path: Path) -> None:
    ended, records, _ = swept("raises", trials=20)
    assert ended.code == 0, ended.err
    assert 5 <= len(records) < 20
    assert "first 5 trials all failed" in ended.err
    assert json.loads((tmp_path / "run" / "records.jsonl").read_text().splitlines()[0])["status"] == "failed"
