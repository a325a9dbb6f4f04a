"""How long trials and cells take, by what has ended of each variant, and what is therefore left of a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from orchestrator.artifacts.records import TrialRecord

Unit = tuple[str, bool]
"""A variant, and whether it is one of its cells, or else one of its trials."""


@dataclass(frozen=True)
class TimeLeft:
    """What is left of some work."""

    seconds: float
    at_least: bool = False
    """Whether it may be much more: something runs longer than anything like it has."""


@dataclass
class Durations:
    """The seconds of what has ended, by variant."""

    ended: dict[Unit, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[TrialRecord]) -> "Durations":
        """Of a run's records."""
        found = cls()
        for record in records:
            found.add(record)
        return found

    def add(self, record: TrialRecord) -> None:
        """Count one that was completed, or that a scheduler cut short; of cells those that were trained."""
        cell = record.stage not in ("search", "tuning")
        if record.status in ("completed", "pruned") and (record.trained or not cell):
            unit = record.variant, cell
            self.ended.setdefault(unit, []).append(record.seconds)

    def known(self, variant: str) -> bool:
        """Whether anything of a variant has ended."""
        return any(name == variant for name, _ in self.ended)

    def expected(self, unit: Unit) -> float | None:
        """The mean seconds of its like: a cell's of the variant's cells, else of its trials (longer by as much as other
        variants' cells took longer than theirs), else of all that ended; a trial's likewise. None where nothing has
        ended."""
        variant, cell = unit
        own, others = self.ended.get(unit), self.ended.get((variant, not cell))
        if not own and others and cell:
            return fmean(others) * self._dearer
        every = own or others or [seconds for one in self.ended.values() for seconds in one]
        return fmean(every) if every else None

    @property
    def _dearer(self) -> float:
        """How many times as long as a trial a cell takes, which scores the test part too: by the variants with both."""
        both = [variant for variant, cell in self.ended if cell and (variant, False) in self.ended]
        ratios = [fmean(self.ended[one, True]) / max(fmean(self.ended[one, False]), 1e-9) for one in both]
        return max(1.0, fmean(ratios)) if ratios else 1.0

    def left(self, waiting: Sequence[Unit], running: Sequence[tuple[Unit, float]], at_once: float) -> TimeLeft | None:
        """Until all is done, `at_once` beside each other; None where nothing has ended to tell it by.

        `running`: what is at work, with the seconds it has had. Where that is more than was expected, all of its kind
        that wait are expected to take as long, and what is left is `at_least` so much.
        """
        expected = {unit: self.expected(unit) for unit in {*waiting, *(unit for unit, _ in running)}}
        had: dict[Unit, float] = {}
        for unit, seconds in running:
            had[unit] = max(seconds, had.get(unit, 0.0))
        takes = {unit: max(mean, had.get(unit, 0.0)) for unit, mean in expected.items() if mean is not None}
        if len(takes) < len(expected) or not takes:
            return None
        parts = [takes[unit] for unit in waiting] + [takes[unit] - seconds for unit, seconds in running]
        overdue = any(seconds > (expected[unit] or 0.0) for unit, seconds in running)
        return TimeLeft(max(sum(parts) / at_once, max(parts) / min(1.0, at_once)), overdue)
