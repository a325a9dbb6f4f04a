"""What trains at this moment, epoch by epoch, so that a long training is no silence."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from trainables.small_files import NamedFile

EVERY = 2.0
"""Seconds between two notes of one training: more would be no news."""


@dataclass(frozen=True)
class AtWork:
    """One training that runs."""

    variant: str
    kind: Literal["trial", "seed"]
    number: int
    """Of the trial, or the seed of the final training."""
    epochs: int
    """The most that it may take."""
    had: float
    """Seconds since it was started."""
    epoch: int = 0
    """The one that ended last, from 1; 0: none has."""
    each: float | None = None
    """Seconds an epoch; None where none has ended."""
    best: float | None = None
    """Of its epochs so far, on validation."""

    @property
    def left(self) -> float | None:
        """Seconds until it ends at the latest: a scheduler or its patience may end it before."""
        return None if self.each is None else self.each * (self.epochs - self.epoch)


def at_most(running: Sequence[AtWork], waiting: int, at_once: int) -> float | None:
    """Seconds until these and `waiting` others like them are done at the latest, by what their epochs take; None where
    none has ended."""
    paces = [(one.each, one.epochs) for one in running if one.each is not None]
    if not paces:
        return None
    mean = fmean(each for each, _ in paces)
    whole = fmean(each * epochs for each, epochs in paces)
    begun = [mean * one.epochs if one.left is None else one.left for one in running]
    return max((sum(begun) + waiting * whole) / max(1, at_once), max(begun))


class EpochNote:
    """A worker's note of how far its training is, for who watches the run; a file that may be lost without harm."""

    def __init__(self, file: NamedFile | None) -> None:
        self._file = file
        self._written = 0.0

    def write(self, history: Sequence[dict[str, float]], seconds: float, best: float) -> None:
        """Note the rows of its epochs so far; `seconds` that they took, with those of earlier processes."""
        if self._file is None or time.monotonic() - self._written < EVERY:
            return
        self._written = time.monotonic()
        epoch = len(history)
        noted = {"epoch": epoch, "each": seconds / epoch, "best": best, "history": history}
        with suppress(OSError):
            self._file.write(json.dumps(noted).encode(), wait=False)

    def remove(self) -> None:
        """The training has ended."""
        if self._file is not None:
            with suppress(OSError):
                self._file.remove()


def noted(training: AtWork, file: NamedFile | None) -> AtWork:
    """The same with how far its worker has noted it to be, where it has."""
    if file is None:
        return training
    try:
        read = json.loads(file.read())
        return replace(training, epoch=int(read["epoch"]), each=float(read["each"]), best=float(read["best"]))
    except (OSError, ValueError, TypeError, KeyError):
        return training


def noted_history(file: NamedFile | None) -> list[dict[str, float]]:
    """The rows of a training's epochs so far, as its worker has noted them; none where it has not."""
    if file is None:
        return []
    try:
        read = json.loads(file.read())
        return [{str(name): float(value) for name, value in row.items()} for row in read["history"]]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []
