"""A sign of life in the run's folder: who works there, at what, and when it was last seen."""

import json
import os
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.artifacts.at_work import AtWork
from trainables.files import write_whole

EVERY = 5.0
"""Seconds between two beats."""
STALE = 60.0
"""Seconds after which a process that gave no beat counts as dead. Clocks of two machines may differ by some."""


@dataclass(frozen=True)
class Beat:
    """What a run's process says of itself."""

    host: str
    pid: int
    stage: str
    started: float
    """Seconds since 1970, as `seen`."""
    seen: float
    at_work: tuple[AtWork, ...] = ()
    """The trainings that run."""

    @property
    def age(self) -> float:
        """Seconds since it was seen; a clock that was set back makes none negative."""
        return max(0.0, time.time() - self.seen)

    @property
    def alive(self) -> bool:
        """Whether this process still works: known of this machine, judged by its age for another."""
        if self.host == socket.gethostname():
            return _exists(self.pid) and self.age < STALE
        return self.age < STALE


class Heartbeat:
    """Writes a beat every few seconds while the run works; removes it at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stage = "starting"
        self._started = time.time()
        self._at_work: tuple[AtWork, ...] = ()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def stage(self, name: str) -> None:
        """What is done from now on."""
        self._stage, self._at_work = name, ()
        self._write()

    def at_work(self, running: Sequence[AtWork]) -> None:
        """Which trainings run; written with the next beat."""
        self._at_work = tuple(running)

    def __enter__(self) -> Self:
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        with suppress(OSError):
            self._path.unlink()

    def _work(self) -> None:
        while not self._over.wait(EVERY):
            self._write()

    def _write(self) -> None:
        beat = Beat(socket.gethostname(), os.getpid(), self._stage, self._started, time.time(), self._at_work)
        # A disk that is full for a moment must not end the run for want of a sign of life.
        with suppress(OSError):
            write_whole(self._path, json.dumps(asdict(beat)), wait=False, shared=True)


def read_beat(path: Path) -> Beat | None:
    """The last beat; None where there is none that can be read."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        running = tuple(AtWork(**one) for one in read.pop("at_work", ()))
        return Beat(**read, at_work=running)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
