"""Progress counts, and its rate leaves the start-up out."""

import math

import pytest

from orchestrator.data.fill.progress_count import Progress, Step


def test_rate_and_time_left_leave_the_start_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    told: list[Progress] = []
    step = Step("render", 100, told.append)
    now = 110.0
    step.advance(10, 1)
    now = 112.0
    step.advance(20, 0)
    assert [(one.step, one.done, one.total, one.failed) for one in told] == [
        ("render", 0, 100, 0),
        ("render", 10, 100, 1),
        ("render", 30, 100, 1),
    ]
    assert [one.seconds for one in told] == [0, 10, 12]
    assert [one.rate for one in told] == [0, 0, 10]
    assert [one.seconds_left for one in told] == [math.inf, math.inf, 7]


def test_nobody_has_to_listen() -> None:
    Step("render", 1, None).advance(1, 0)
