"""Whether pictures that come one after the other stay like validation's: said when it ends, and when it is so again."""

from collections.abc import Mapping
from math import pi

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.reference import Reference
from orchestrator.scoring.drift import FALSE_ALARMS, Drift, drift_of

WINDOW = 500
"""The last pictures that are compared."""
EVERY = 100
"""New pictures from one look to the next."""


def level_of(look: int) -> float:
    """The level of a look, from 1: all looks that there will ever be have FALSE_ALARMS together, as 1/k² adds up to
    pi²/6. It costs little: the distance that the thousandth look finds is twice that of the first."""
    return FALSE_ALARMS * 6 / (pi * look) ** 2


class DriftWatch:
    """Compares the last WINDOW pictures with validation's, EVERY so many."""

    def __init__(self, reference: Reference, seen: int = 0) -> None:
        """`seen`: pictures of earlier starts, whose looks have spent their share of FALSE_ALARMS."""
        self._reference = reference
        self._looks, self._new = seen // EVERY, 0
        self._last: dict[str, NDArray[np.float64]] = {}
        self.drift: Drift | None = None
        """What the last look found."""
        self.differs = False

    def add(self, columns: Mapping[str, NDArray[np.float64]]) -> str:
        """Take in the values (N,) of some pictures by statistic; a sentence where the answer changed, else empty."""
        for name, values in columns.items():
            before = self._last.get(name)
            self._last[name] = (values if before is None else np.concatenate([before, values]))[-WINDOW:]
        self._new += len(next(iter(columns.values()), ()))
        if self._new < EVERY:
            return ""
        self._new = 0
        self._looks += 1
        self.drift = drift_of(self._reference, self._last)
        return self._told(self.drift)

    def _told(self, drift: Drift) -> str:
        found = drift.differing_at(level_of(self._looks))
        if not self.differs and found:
            self.differs = True
            return (
                f"Beware: {drift.sentence(found)} What validation chose may not hold for them. (Looked at "
                f"every {EVERY} files, over the last {WINDOW}; of files that stay alike it is ever said in "
                f"{FALSE_ALARMS:.0%} of cases.)"
            )
        if self.differs and not drift.differing:
            self.differs = False
            return f"The last {drift.pictures} files are like validation's again."
        return ""
