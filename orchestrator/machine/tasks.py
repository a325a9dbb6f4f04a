"""Tasks on Ray's workers: in a process of their own where they use a GPU, and waited for with an end."""

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

import ray
from ray.exceptions import GetTimeoutError


class RemoteFunction(Protocol):
    """What is to be called on a worker."""

    def remote(self, *given: Any) -> "ray.ObjectRef[Any]":
        """Start it; what it returns is to be had by what this returns."""
        ...


def task(function: Callable[..., Any], *, cpus: float, gpus: float, retries: int | None = None) -> "RemoteFunction":
    """`function`, to be called by `.remote`. `retries`: how often it is tried again where its worker dies.

    With a GPU its process ends with it: what a GPU holds for a process, a broken context too, outlives a task, and the
    next one in it may have been given another GPU.
    """
    given = {"num_cpus": cpus, "num_gpus": gpus} | ({} if retries is None else {"max_retries": retries})
    found: RemoteFunction = _remote(function, gpus > 0).options(**given)
    return found


@cache
def _remote(function: Callable[..., Any], once: bool) -> Any:
    return ray.remote(max_calls=1)(function) if once else ray.remote(function)


def answer_of(asked: "ray.ObjectRef[Any]", seconds: float | None) -> Any:
    """What a task returns, or raises; GetTimeoutError, and the task is ended, where `seconds` have gone by.

    What has failed must not be cancelled: where the one meets the other, Ray aborts the process that asked
    (ray-project/ray, pull request 54798, tells of the race).
    """
    try:
        return ray.get(asked, timeout=seconds)
    except GetTimeoutError:
        ray.cancel(asked, force=True)
        raise
