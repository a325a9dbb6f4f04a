"""How fast a trained model is and what memory it takes, and the limits that an experiment may set to both."""

import platform
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

MEGABYTE = 10**6
"""Bytes, as limits are given and tables print memory."""
UNKNOWN = 1.0
"""By how much what was not measured counts as beyond a limit: as twice of it."""


class Speed(BaseModel):
    """What a kept model takes to score pictures that lie in memory, as it is loaded for use: without caches."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency_ms: float
    """Milliseconds for one picture alone, maps included: the median of repeated calls."""
    pictures_per_second: float | None = None
    """In batches of `best_batch`; None: not measured, as of a trial."""
    best_batch: int | None = None
    """The batch size, of powers of 2, that gave most pictures a second."""
    memory: int
    """Bytes: the model's numbers, and what scoring one picture took at most beyond them; on a GPU, of its memory."""
    device: str
    """The name of the GPU, else of the processor."""
    threads: int
    """That torch had, on CPUs."""
    beside: int | None = None
    """How many other trainings could run on the same machine meanwhile; None: that was not noted."""

    @property
    def memory_mb(self) -> float:
        """Megabytes of 10⁶ bytes."""
        return self.memory / MEGABYTE


def one_after_another(speeds: Sequence[Speed]) -> Speed:
    """What models take that answer together: each its own time, and all their memory at once."""
    rates = [one.pictures_per_second for one in speeds]
    batches = [one.best_batch for one in speeds if one.best_batch is not None]
    beside = [one.beside for one in speeds if one.beside is not None]
    return Speed(
        latency_ms=sum(one.latency_ms for one in speeds),
        pictures_per_second=1 / sum(1 / rate for rate in rates if rate) if all(rates) else None,
        best_batch=min(batches, default=None),
        memory=sum(one.memory for one in speeds),
        device=" + ".join(dict.fromkeys(one.device for one in speeds)),
        threads=min(one.threads for one in speeds),
        beside=max(beside, default=None),
    )


class Limits(BaseModel):
    """What a model may take at most; None: anything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency_ms: float | None = None
    memory_mb: float | None = None

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return self.latency_ms is not None or self.memory_mb is not None

    def excess(self, speed: Speed | None) -> dict[str, float]:
        """By the name of each limit: the share of it that a model takes beyond it, 0 or less where it keeps it."""
        limits = {"latency_ms": self.latency_ms, "memory_mb": self.memory_mb}
        return {
            name: UNKNOWN if speed is None else float(getattr(speed, name)) / limit - 1
            for name, limit in limits.items()
            if limit is not None
        }

    def kept_by(self, speed: Speed | None) -> bool:
        """Whether a model keeps to all of them. One whose speed is not known keeps to none."""
        return all(value <= 0 for value in self.excess(speed).values())

    def distance(self, speed: Speed | None) -> float:
        """How far a model is beyond them in all; 0: it keeps them."""
        return sum(value for value in self.excess(speed).values() if value > 0)

    @property
    def told(self) -> str:
        """The limits as a clause: `latency at most 20 ms and memory at most 500 MB`."""
        limits = {name: getattr(self, name) for name in _WORDS}
        words = [f"{_WORDS[name][0]} at most {limit:g} {_WORDS[name][1]}" for name, limit in limits.items() if limit]
        return " and ".join(words)

    def broken_by(self, speed: Speed | None) -> str:
        """What a model breaks, as a clause; empty where it breaks nothing."""
        if self.kept_by(speed):
            return ""
        if speed is None:
            return "its speed is not known"
        return " and ".join(
            _beyond(name, getattr(speed, name), getattr(self, name))
            for name, excess in self.excess(speed).items()
            if excess > 0
        )


NO_LIMITS = Limits()


def _beyond(name: str, value: float, limit: float) -> str:
    """`latency 31 ms, 55 % beyond the 20 ms allowed`."""
    (what, unit), times = _WORDS[name], value / limit
    had = f"{value:,.0f}" if value >= 99.5 else f"{value:.3g}"
    by = f"{times:.0f} times" if times >= 10 else f"{times:.1f} times" if times >= 2 else ""
    if not by:
        by = f"{100 * (times - 1):.0f} % beyond" if times >= 1.01 else "less than 1 % beyond"
    return f"{what} {had} {unit}, {by} the {limit:g} {unit} allowed"


def processor_name() -> str:
    """Of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


_WORDS = {"latency_ms": ("latency", "ms"), "memory_mb": ("memory", "MB")}
