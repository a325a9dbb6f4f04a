"""How far a long step is."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far one step is."""

    step: str
    """`render` or `png`."""
    done: int
    """Pictures, those that failed included."""
    total: int
    failed: int
    seconds: float
    """Since the step began, the start of its workers included."""
    rate: float
    """Pictures a second since the first batch came back; 0 before the second: all the time until the first holds the
    start of the workers, too."""
    waits: str = ""
    """What is waited for where nothing can go on; empty: it does."""

    @property
    def seconds_left(self) -> float:
        """At this rate; infinite while none is known."""
        return (self.total - self.done) / self.rate if self.rate else math.inf


class Step:
    """Counts what is done and tells `on_progress`."""

    def __init__(self, name: str, total: int, on_progress: Callable[[Progress], None] | None) -> None:
        self._name = name
        self._total = total
        self._tell = on_progress
        self._started = time.monotonic()
        self._first: tuple[int, float] | None = None
        self._done = self._failed = 0
        self._waits = ""
        self._say(0.0, 0.0)

    def advance(self, done: int, failed: int) -> None:
        """Count pictures, `failed` of the `done`."""
        seconds = time.monotonic() - self._started
        self._done += done
        self._failed += failed
        if self._first is None:
            self._first = (self._done, seconds)
        counted, since = self._first
        self._say(seconds, (self._done - counted) / max(seconds - since, 1e-9))

    def waits(self, what: str) -> None:
        """Tell what is waited for; empty: nothing any more."""
        if what or self._waits:
            self._waits = what
            self._say(time.monotonic() - self._started, 0.0)

    def _say(self, seconds: float, rate: float) -> None:
        if self._tell is not None:
            self._tell(Progress(self._name, self._done, self._total, self._failed, seconds, rate, self._waits))
