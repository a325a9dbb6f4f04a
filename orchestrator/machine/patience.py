"""What a worker was asked for, waited for with an end."""

from typing import Any

import ray
from ray.exceptions import GetTimeoutError


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
