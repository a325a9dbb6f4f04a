"""Home: one actor on the driver's machine that does with its files what workers elsewhere ask for."""

import errno
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trainables.small_files import Looks, Part

if TYPE_CHECKING:  # it takes a second, and who reads files here needs none
    import ray

THREADS = 8
"""Calls that are done beside each other."""
PATIENCE = 300.0
"""Seconds after which what the driver's machine has not done counts as failed. Ray gives up a machine that is cut off
after about a minute, and what worked there is done elsewhere: who still waits then has no one to tell."""
LOOK = 1.0
"""Seconds between two looks for one file, such as the mark of a stop."""
LARGE = 64 * 1024
"""Bytes from which a part is handed over without a copy."""

Place = tuple[Any, ...]
"""What an object at home is made of; the path of its folder or file comes first."""


class Kind(NamedTuple):
    """Objects at home that may be called, and where."""

    make: Callable[..., Any]
    """Makes one of its place."""
    roots: tuple[str, ...]
    """The folders in which it may lie."""


class Home:
    """The actor. It keeps nothing: a call may be repeated, and after a death another one goes on."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = dict(kinds)

    def call(
        self, kind: str, place: Place, method: str, given: Sequence[Any], named: Mapping[str, Any]
    ) -> tuple[Any, Place | None]:
        """What a method of an object returns, or, of an OSError, its number, text and file: Ray keeps none of them."""
        try:
            made = self._kinds[kind]
            if method.startswith("_") or not any(_within(root, place[0]) for root in made.roots):
                raise PermissionError(errno.EACCES, "outside of what the run may use", str(place[0]))
            return getattr(made.make(*place), method)(*given, **named), None
        except OSError as error:
            return None, (error.errno, error.strerror or str(error), error.filename)


def _within(root: str, path: Any) -> bool:
    inside, asked = os.path.normpath(root), os.path.normpath(os.fspath(path))
    return Path(asked).is_absolute() and os.path.commonpath([inside, asked]) == inside


def start_home(kinds: Mapping[str, Kind]) -> Any:
    """Start it on this process's machine, where it sees the same files; ends with this process's Ray."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(Home)
    options = {"num_cpus": 0, "max_concurrency": THREADS, "max_restarts": -1, "max_task_retries": -1}
    return actor.options(scheduling_strategy=here, **options).remote(dict(kinds))


@dataclass(frozen=True)
class AtHome:
    """An object at home, as a worker has it."""

    home: Any
    """The actor's handle."""
    kind: str
    place: Place

    def asked(self, method: str, *given: Any, **named: Any) -> "ray.ObjectRef[Any]":
        """Begin a call."""
        begun: ray.ObjectRef[Any] = self.home.call.remote(self.kind, self.place, method, given, named)
        return begun

    def answer(self, asked: "ray.ObjectRef[Any]") -> Any:
        """What it returns; OSError as it was raised there, or EIO where no answer comes in time."""
        returned, told = got(asked)
        if told is not None:
            raise OSError(*told)
        return returned

    def call(self, method: str, *given: Any, **named: Any) -> Any:
        """Both."""
        return self.answer(self.asked(method, *given, **named))


def got(asked: "ray.ObjectRef[Any]") -> Any:
    """What the driver's machine has to give; OSError with EIO where it does not come in time."""
    import ray
    from ray.exceptions import GetTimeoutError, RayActorError

    try:
        return ray.get(asked, timeout=PATIENCE)
    except (GetTimeoutError, RayActorError) as error:
        raise OSError(errno.EIO, f"the driver's machine did not answer within {PATIENCE:g} s") from error


@dataclass(frozen=True)
class HomeFiles(AtHome):
    """`SmallFiles` of a folder at home."""

    def read(self, name: str) -> bytes:
        content: bytes = self.call("read", name)
        return content

    def write(self, name: str, parts: Sequence[Part], *, wait: bool) -> Looks:
        # Arrays go into Ray's shared memory as they are, bytes by one copy more.
        sent = [np.frombuffer(one, dtype=np.uint8) if memoryview(one).nbytes >= LARGE else bytes(one) for one in parts]
        looks: Looks = self.call("write", name, sent, wait=wait)
        return looks

    def rename(self, name: str, to: str) -> None:
        self.call("rename", name, to)

    def remove(self, name: str) -> None:
        _LOOKED.pop((self.place, name), None)
        self.call("remove", name)

    def exists(self, name: str) -> bool:
        """Asked after every epoch, and between: the answer may be `LOOK` seconds old."""
        moment, found = _LOOKED.get((self.place, name), (-math.inf, False))
        if time.monotonic() - moment >= LOOK:
            found = bool(self.call("exists", name))
            _LOOKED[self.place, name] = time.monotonic(), found
        return found


_LOOKED: dict[tuple[Place, str], tuple[float, bool]] = {}
"""By folder and name: when it was last asked for, and whether it was there."""
