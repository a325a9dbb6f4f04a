"""Calls on Ray's workers: in a process of their own where they use a GPU, and waited for with an end.

On a cluster each is an actor of one call: where a node is cut off the network, Ray tells of its actors as soon as it
has given the node up, after a minute, and of its plain tasks not before the cut has an end. On this machine they are
tasks, which need no new process.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, GetTimeoutError

from orchestrator.machine.cluster import cluster_address
from orchestrator.machine.lives import Lives
from orchestrator.machine.nodes import alive_nodes

RETRIES = 3
"""As Ray does for a task of which nothing is said."""


class Call:
    """A call on a worker, from its begin to its end."""

    def __init__(self, begin: Callable[[], tuple["ray.ObjectRef[Any]", Any]], retries: int) -> None:
        """`begin`: starts it, and gives what its answer is had by, and its actor, if it has one."""
        self._begin, self._lives = begin, Lives(retries)
        self.asked, self._actor = begin()

    def over(self) -> bool:
        """Whether the call has ended, where Ray says that what it was asked for is there; False: its worker or node was
        lost, and another one has it now."""
        if self._actor is None:
            return True
        loss = _loss(self.asked)
        if loss is not None and self._lives.again(loss):
            self.end()
            self.asked, self._actor = self._begin()
            return False
        self._actor = None  # with which its process ends, and frees its place
        return True

    def end(self) -> None:
        """End it, at work or not."""
        if self._actor is None:
            # What has failed must not be cancelled: where the one meets the other, Ray aborts the process that asked
            # (ray-project/ray, pull request 54798, tells of the race).
            ray.cancel(self.asked, force=True)
        else:
            with suppress(Exception):  # it is gone already
                ray.kill(self._actor)


def _loss(asked: "ray.ObjectRef[Any]") -> Exception | None:
    """The loss of a worker that ended a call; None: the call came to its own end."""
    try:
        ray.get(asked)
    except (ActorDiedError, ActorUnavailableError) as error:
        return error
    except Exception:  # is raised where the answer is asked for
        return None
    return None


class Task:
    """What is to be called on a worker."""

    def __init__(self, begin: Callable[..., tuple["ray.ObjectRef[Any]", Any]], retries: int) -> None:
        self._begin, self._retries = begin, retries

    def remote(self, *given: Any) -> Call:
        """Start it."""
        return Call(lambda: self._begin(*given), self._retries)


def task(function: Callable[..., Any], *, cpus: float, gpus: float, retries: int | None = None, node: str = "") -> Task:
    """`function`, to be called by `.remote`. `retries`: how often it is tried again where its worker dies. `node`: the
    address of the one of a cluster that it is to run on, as long as that is alive.

    With a GPU its process ends with it: what a GPU holds for a process, a broken context too, outlives a task, and the
    next one in it may have been given another GPU.
    """
    given: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus}
    if cluster_address() is None:
        given |= {} if retries is None else {"max_retries": retries}
        made = _remote(function, gpus > 0).options(**given)
        return Task(lambda *handed: (made.remote(*handed), None), 0)

    def begin(*handed: Any) -> tuple["ray.ObjectRef[Any]", Any]:
        alive = bool(node) and any(one.address == node for one in alive_nodes())
        actor = _once().options(**given, resources=on_node(node) if alive else {}, max_restarts=0).remote()
        return actor.call.options(name=function.__name__).remote(function, *handed), actor

    return Task(begin, RETRIES if retries is None else retries)


def on_node(address: str) -> dict[str, float]:
    """The resource that only the node at an address has, of which any number may hold a little."""
    return {f"node:{address}": 0.001}


@cache
def _remote(function: Callable[..., Any], once: bool) -> Any:
    return ray.remote(max_calls=1)(function) if once else ray.remote(function)


class _Once:
    """A process for one call."""

    def call(self, function: Callable[..., Any], *given: Any) -> Any:
        return function(*given)


@cache
def _once() -> Any:
    return ray.remote(_Once)


def first_ended(calls: Iterable[Call], seconds: float) -> Call | None:
    """One of the calls that has ended; None where none has after so long."""
    asked = {call.asked: call for call in calls}
    found, _ = ray.wait(list(asked), num_returns=1, timeout=seconds)
    return next((asked[one] for one in found if asked[one].over()), None)


def answer_of(call: Call, seconds: float | None = None) -> Any:
    """What a call returns, or raises; GetTimeoutError, and the call is ended, where `seconds` have gone by."""
    began = time.monotonic()
    while True:
        left = None if seconds is None else max(0.0, began + seconds - time.monotonic())
        found, _ = ray.wait([call.asked], timeout=left)
        if not found:
            call.end()
            raise GetTimeoutError(f"A worker gave no answer within {seconds:g} seconds.")
        if call.over():
            return ray.get(call.asked)
