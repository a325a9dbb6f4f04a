"""Keeping up: where windows come faster than they can be scored, all but each second, fourth, … are skipped."""

from math import inf

MOST_WAITING = 4_096
"""Windows that wait at most; then the input has to."""
SPARE = 0.8
"""The part of the time that scoring may take for fewer to be skipped again."""
WEIGHT = 0.2
"""That the latest measurement has in a mean."""


class Pace:
    """Of each `stride` windows one is scored: a power of two, so that what is left lies evenly."""

    def __init__(self, lag: float) -> None:
        """`lag`: the seconds that a line may come after its last value, before windows are skipped."""
        self._lag = lag
        self.stride = 1
        self.seconds: float | None = None
        """What a window takes."""
        self._since: float | None = None
        self._came = 0
        self.rate = 0.0
        """Windows a second that come."""

    def came(self, count: int, now: float) -> None:
        """So many windows came by this moment."""
        self._came += count
        if self._since is None:
            self._since, self._came = now, 0
        elif now - self._since >= 1.0:
            rate = self._came / (now - self._since)
            self.rate = rate if not self.rate else (1 - WEIGHT) * self.rate + WEIGHT * rate
            self._since, self._came = now, 0

    def scored(self, count: int, seconds: float) -> None:
        """So many windows took so long together."""
        each = seconds / count
        self.seconds = each if self.seconds is None else (1 - WEIGHT) * self.seconds + WEIGHT * each

    def takes(self, number: int) -> bool:
        """Whether the window of this number is scored."""
        return number % self.stride == 0

    def adapt(self, waiting: int) -> bool:
        """Skip more, or fewer, with so many windows waiting; whether more are skipped now."""
        if self.seconds is None or self._lag == inf:
            return False
        most = min(MOST_WAITING, max(1.0, self._lag / self.seconds))
        if waiting > most:
            self.stride *= 2
            return True
        share = self.rate * self.seconds / max(1, self.stride / 2)
        if self.stride > 1 and waiting <= most / 8 and 0 < share < SPARE:
            self.stride //= 2
        return False
