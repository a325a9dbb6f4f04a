"""Many like jobs by workers on a cluster, whose nodes come and go: what a lost one had is done again by another.

Ray Data, which does it on one machine, restarts a lost worker in its pool and has its job wait for that: where the
nodes that are left have no room, until all other jobs are done. It tells nobody what it waits for.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError

from orchestrator.artifacts.endings import RETRIES
from orchestrator.machine.alive import Alive, lacking
from orchestrator.machine.lives import Lives

LOOK = 2.0
"""Seconds after which it is looked anew which nodes are there."""


class ClusterPool:
    """Workers on the nodes that are alive, each with one job at a time."""

    def __init__(
        self,
        start: Callable[[], Any],
        jobs: Sequence[bytes],
        most: int,
        held: tuple[float, float],
        waits: Callable[[str], object],
    ) -> None:
        """`start` gives a new worker, an actor. `most`: of them at a time. `held`: the CPUs and GPUs of each. `waits`:
        told what is waited for where nothing can go on, and empty once it can."""
        self._start, self._jobs, self._most, self._held, self._waits = start, jobs, most, held, waits
        self._alive = Alive()
        self._waiting = deque(range(len(jobs)))
        self._lives = {number: Lives(RETRIES) for number in range(len(jobs))}
        self._starts = Lives(RETRIES)
        """Of workers that died before their first job; of no use where a job was done in between."""
        self._starting: dict[ray.ObjectRef[Any], Any] = {}
        self._working: dict[ray.ObjectRef[Any], tuple[Any, int]] = {}

    def results(self) -> Iterator[bytes]:
        """What the jobs give, in the order in which they end. What a job raises is raised."""
        try:
            while self._waiting or self._working:
                self._fill()
                asked = [*self._working, *self._starting]
                for ended in ray.wait(asked, num_returns=1, timeout=LOOK)[0]:
                    if ended in self._starting:
                        self._begun(ended)
                    else:
                        yield from self._ended(ended)
        finally:
            # One who was thrown out of it may end it after Ray, which a call would then start anew.
            for worker in [*self._starting.values(), *(worker for worker, _ in self._working.values())]:
                if ray.is_initialized():
                    ray.kill(worker)

    def _fill(self) -> None:
        """Start as many workers as there are jobs, and room on the nodes that are alive: one at least, for which a node
        may come."""
        now = self._alive.now()
        room = now.places(*self._held)
        self._waits("" if self._working else lacking(now, *self._held))
        most = max(1, min(room, self._most))
        while len(self._starting) + len(self._working) < most and len(self._starting) < len(self._waiting):
            worker = self._start()
            self._starting[worker.ready.remote()] = worker

    def _begun(self, ready: "ray.ObjectRef[Any]") -> None:
        worker = self._starting.pop(ready)
        try:
            ray.get(ready)
        except (ActorDiedError, ActorUnavailableError) as error:
            if not self._starts.again(error):
                raise
            ray.kill(worker)
            return
        self._give(worker)

    def _give(self, worker: Any) -> None:
        """Give a worker that is free the next job; it ends where there is none."""
        if not self._waiting:
            ray.kill(worker)
            return
        number = self._waiting.popleft()
        self._working[worker.do.remote(self._jobs[number])] = worker, number

    def _ended(self, asked: "ray.ObjectRef[Any]") -> Iterator[bytes]:
        worker, number = self._working.pop(asked)
        try:
            done: bytes = ray.get(asked)
        except (ActorDiedError, ActorUnavailableError) as error:
            if not self._lives[number].again(error):
                raise
            ray.kill(worker)
            self._waiting.appendleft(number)
            return
        self._starts = Lives(RETRIES)
        self._give(worker)
        yield done
