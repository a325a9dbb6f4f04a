"""Waiting for a worker ends, and what failed by itself is not ended once more."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import ray
from ray.exceptions import GetTimeoutError, TaskCancelledError, WorkerCrashedError

from orchestrator.machine.tasks import Call, answer_of, task

pytestmark = pytest.mark.usefixtures("ray_session")


def _fails() -> None:
    raise TimeoutError("of its own")


def _sleeps() -> None:
    time.sleep(600)


def _answers() -> int:
    return 4


def _asked(function: Callable[[], Any]) -> Call:
    return task(function, cpus=0, gpus=0, retries=0).remote()


def test_an_answer_and_a_failure_are_those_of_the_task() -> None:
    assert answer_of(_asked(_answers), None) == 4
    # Ray aborts the whole process where a failure meets a cancellation, which shows within some hundred of them.
    for _ in range(200):
        with pytest.raises(TimeoutError, match="of its own") as caught:
            answer_of(_asked(_fails), 60.0)
        assert not isinstance(caught.value, GetTimeoutError)


def test_what_takes_too_long_is_ended() -> None:
    asked = _asked(_sleeps)
    with pytest.raises(GetTimeoutError):
        answer_of(asked, 1.0)
    with pytest.raises((TaskCancelledError, WorkerCrashedError)):
        ray.get(asked.asked, timeout=60.0)
