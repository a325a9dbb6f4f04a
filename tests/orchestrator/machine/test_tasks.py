"""Waiting for a worker ends, what failed by itself is not ended once more; on a cluster, what is lost begins anew."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, GetTimeoutError, TaskCancelledError, WorkerCrashedError

from orchestrator.machine import tasks, worker_pool
from orchestrator.machine.tasks import Call, answer_of, first_ended, task

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


@pytest.fixture
def clustered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is taken for a cluster."""
    for each in (tasks, worker_pool):
        monkeypatch.setattr(each, "cluster_address", lambda: "here:6379")


def _dies(mark: Path, times: int) -> int:
    """Its process dies so often before it answers which one it is."""
    with mark.open("a", encoding="utf-8") as lines:
        lines.write(f"{os.getpid()}\n")
    if len(mark.read_text(encoding="utf-8").splitlines()) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


@pytest.mark.usefixtures("clustered")
def test_a_call_on_a_cluster_is_made_again_as_often_as_is_said(tmp_path: Path) -> None:
    call = task(_dies, cpus=0, gpus=0, retries=2).remote(tmp_path / "twice", 2)
    assert answer_of(call, 120.0) != os.getpid()
    assert len((tmp_path / "twice").read_text(encoding="utf-8").splitlines()) == 3
    call = task(_dies, cpus=0, gpus=0, retries=0).remote(tmp_path / "once", 1)
    with pytest.raises(ActorDiedError):
        answer_of(call, 120.0)
    with pytest.raises(TimeoutError, match="of its own") as caught:
        answer_of(task(_fails, cpus=0, gpus=0).remote(), 120.0)
    assert not isinstance(caught.value, GetTimeoutError)


@pytest.mark.usefixtures("clustered")
@pytest.mark.parametrize("node", ["127.0.0.1", "10.0.0.9"])
def test_a_call_runs_on_the_node_it_is_for_as_long_as_that_is_alive(node: str) -> None:
    assert answer_of(task(_answers, cpus=0, gpus=0, node=node).remote(), 120.0) == 4


@pytest.mark.usefixtures("clustered")
def test_a_call_on_a_cluster_that_takes_too_long_is_ended_and_ends_no_other() -> None:
    slow, fast = _asked(_sleeps), _asked(_answers)
    assert first_ended([slow, fast], 120.0) is fast
    with pytest.raises(GetTimeoutError):
        answer_of(slow, 0.5)
    with pytest.raises(ActorDiedError):
        ray.get(slow.asked, timeout=60.0)


class _Doubles:
    """A worker that dies once, at a job."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __call__(self, batch: Any) -> Any:
        return worker_pool.as_batches(self._double, batch)

    def _double(self, job: int) -> int:
        if job == 3 and not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * job


@pytest.mark.usefixtures("clustered")
def test_a_lost_worker_of_a_cluster_has_its_job_done_by_another(tmp_path: Path) -> None:
    waits: list[str] = []
    results = worker_pool.by_workers(_Doubles, (tmp_path / "mark",), range(8), most=2, waits=waits.append)
    assert sorted(results) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert (tmp_path / "mark").exists()
    assert set(waits) == {""}
