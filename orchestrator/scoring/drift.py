"""Whether new pictures and their scores are like validation's: a two-sample test a statistic, corrected over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from orchestrator.artifacts.reference import MOST_KEPT, STATISTICS, Reference
from orchestrator.scoring.comparisons import holm

FALSE_ALARMS = 0.01
"""How often, at most, pictures that are like validation's are told to differ: over all statistics together."""
LEAST = 20
"""New pictures, and source pictures of validation, below which nothing is said."""
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""ITU-R BT.601."""
SCORE, CONFIDENCE = "score", "confidence"
"""Of a detector its anomaly score; of a classifier the highest probability."""


def picture_statistics(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The STATISTICS of pictures (N, H, W, 3), as (N, 4)."""
    found = np.empty((len(pictures), len(STATISTICS)), dtype=np.float32)
    for row, picture in enumerate(pictures):
        # Every second row, as one product of floats, channel by channel: a picture is scored in few milliseconds.
        rows = picture[::2]
        luma = (rows.reshape(-1, 3).astype(np.float32) @ LUMA).reshape(rows.shape[:2])
        across = np.abs(luma[:, 1:] - luma[:, :-1])
        detail = across.sum() / max(1, across.size)
        red, green, blue = (rows[..., channel] for channel in range(3))
        largest, least = (of(of(red, green), blue) for of in (np.maximum, np.minimum))
        found[row] = luma.mean(), luma.std(), np.mean(largest - least), detail
    found /= 255
    return found


def score_statistic(scores: NDArray[np.float64]) -> tuple[str, NDArray[np.float64]]:
    """What is compared of scores (N,) or probabilities (N, C), and its values (N,)."""
    return (SCORE, scores) if scores.ndim == 1 else (CONFIDENCE, scores.max(axis=1))


def reference_of(
    scores: NDArray[np.float64], statistics: NDArray[np.float32], groups: tuple[str, ...], normal_only: bool
) -> Reference:
    """What is kept of validation: scores (N,) or (N, C), STATISTICS (N, 4) and source pictures (N,), or none."""
    name, values = score_statistic(scores)
    columns = {name: values, **dict(zip(STATISTICS, statistics.T, strict=True))}
    return Reference(
        pictures=len(scores),
        sources=len(set(groups)) if groups else len(scores),
        of="normal" if normal_only else "all",
        values={key: _kept(column) for key, column in columns.items()},
    )


def _kept(values: NDArray[np.floating]) -> tuple[float, ...]:
    ordered = np.sort(values.astype(np.float64))
    if len(ordered) > MOST_KEPT:
        ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_KEPT).round().astype(np.int64)]
    return tuple(float(f"{value:.7g}") for value in ordered)


@dataclass(frozen=True)
class Shift:
    """How one statistic of new pictures lies to validation's."""

    name: str
    before: float
    """Validation's median."""
    now: float
    """The new pictures' median."""
    distance: float
    """Kolmogorov-Smirnov: the largest difference of the two distribution functions, from 0 to 1."""
    p: float
    """Corrected by Holm over all statistics."""


@dataclass(frozen=True)
class Drift:
    """What a comparison with validation found."""

    pictures: int
    reference: Reference
    shifts: tuple[Shift, ...]
    """Empty where there were too few pictures to say anything."""

    @property
    def differing(self) -> tuple[Shift, ...]:
        """The statistics that differ, the farthest first."""
        return self.differing_at(FALSE_ALARMS)

    def differing_at(self, level: float) -> tuple[Shift, ...]:
        """Those that chance explains at a rate below `level` only, the farthest first."""
        return tuple(sorted((one for one in self.shifts if one.p < level), key=lambda one: -one.distance))

    def text(self) -> str:
        """A warning for a person; empty where nothing differs or nothing could be said."""
        if not self.differing:
            return ""
        return (
            f"Beware: {self.sentence(self.differing)} What validation chose may not hold for them. "
            f"(Kolmogorov-Smirnov, Holm's correction over {len(self.shifts)} statistics: of pictures that are alike it "
            f"is said in {FALSE_ALARMS:.0%} of cases.)"
        )

    def sentence(self, differing: Sequence[Shift]) -> str:
        """What differs, one sentence for a person."""
        listed = "; ".join(
            f"{one.name} (median {one.before:.3g} before, {one.now:.3g} now, distance {one.distance:.2f})"
            for one in differing
        )
        whom = "normal validation pictures" if self.reference.of == "normal" else "validation's pictures"
        return f"the {self.pictures:,} new pictures differ from the {self.reference.pictures:,} {whom} in {listed}."

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "pictures": self.pictures,
            "validation_pictures": self.reference.pictures,
            "of": self.reference.of,
            "false_alarms": FALSE_ALARMS,
            "differs": [one.name for one in self.differing],
            "statistics": {
                one.name: {"before": one.before, "now": one.now, "distance": one.distance, "p": one.p}
                for one in self.shifts
            },
        }


def drift_of(reference: Reference, values: Mapping[str, NDArray[np.floating]]) -> Drift:
    """Compare new values (N,) by statistic with validation's. A statistic that the reference lacks is left out."""
    count = len(next(iter(values.values()), ()))
    names = [name for name in reference.values if name in values]
    if min(count, reference.sources) < LEAST or not names:
        return Drift(count, reference, ())
    found = []
    for name in names:
        before, now = np.array(reference.values[name]), np.sort(values[name].astype(np.float64))
        distance = _distance(before, now)
        found.append((name, float(np.median(before)), float(np.median(now)), distance))
    p_values = holm([_p(distance, reference.sources, count) for *_, distance in found])
    return Drift(count, reference, tuple(Shift(*one, p) for one, p in zip(found, p_values, strict=True)))


def _distance(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    every = np.concatenate([before, now])
    shares = [np.searchsorted(one, every, side="right") / len(one) for one in (before, now)]
    # Of a thinned reference each place is known to half a step only; what that adds is taken off.
    thinned = 0.5 / MOST_KEPT if len(before) == MOST_KEPT else 0.0
    return max(0.0, float(np.abs(shares[0] - shares[1]).max()) - thinned)


def _p(distance: float, before: int, now: int) -> float:
    """The asymptotic level, with the correction for small samples of Stephens (1970), as Press et al. give it."""
    root = sqrt(before * now / (before + now))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))
