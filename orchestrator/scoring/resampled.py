"""A metric on many draws of the test pictures, and what its spread says of other test pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.scoring.draws import Sources

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Resampled:
    """One metric of S seeds on draws of the test pictures, or a difference of two."""

    values: Floats
    """(draws, S)."""
    sources: Sources
    influence: Floats | None = None
    """(G, S): how the metric moves with each source picture's weight, the covariance of both over the draws (the
    infinitesimal jackknife of Efron 2014, "Estimation and accuracy after model selection"); None: not known."""

    def of_seeds(self, columns: Sequence[int]) -> Resampled:
        """The same of some of the seeds, in that order."""
        influence = None if self.influence is None else self.influence[:, columns]
        return Resampled(self.values[:, columns], self.sources, influence)

    def minus(self, other: Resampled) -> Resampled:
        """The difference on each draw. Both must be of the same draws."""
        known = self.influence is not None and other.influence is not None
        influence = self.influence - other.influence if known else None  # type: ignore[operator]
        return Resampled(self.values - other.values, self.sources, influence)

    @property
    def known(self) -> Resampled | None:
        """The draws on which the metric is defined; None where those are too few for a spread."""
        rows = np.isfinite(self.values).all(axis=1)
        if rows.sum() < 2:
            return None
        return self if rows.all() else Resampled(self.values[rows], self.sources)

    @property
    def variance(self) -> float:
        """Of the mean over seeds, over draws."""
        return float(self.values.mean(axis=1).var(ddof=1))

    @property
    def interaction(self) -> float:
        """The part of `variance` that comes of each seed's own answers on these pictures.

        With other seeds it would be another draw: the spread over seeds holds it, too. NaN with one seed.
        """
        seeds = self.values.shape[1]
        if seeds < 2:
            return float("nan")
        apart = self.values - self.values.mean(axis=1, keepdims=True)
        return float(apart.var(axis=0, ddof=1).sum() / (seeds - 1) / seeds)

    def agreement(self, prior: float) -> float:
        """What the variance of the mean over seeds is of that of one seed: 1 where all answer alike, 1 / S where not.

        `prior`: a variance of one seed's that is taken to be shared by all, so that little seen does not say much.
        """
        each = float(self.values.var(axis=0, ddof=1).mean())
        return (self.variance + prior) / (each + prior) if each + prior else 1.0

    @property
    def same_for_every_seed(self) -> bool:
        """Whether all seeds gave the same figure on every draw, as a model without randomness does."""
        return bool(np.ptp(self.values, axis=1).max() <= 1e-9)

    @property
    def degrees_of_freedom(self) -> float:
        """Of the variance: by the share that each stratum of sources has in it, at least 1.

        A variance that rests on 5 anomalies is known as badly as that of 5 numbers, however many normal pictures there
        are. The strata's variances add up as Satterthwaite's (1946), each with one degree fewer than it has sources.
        Without influences all strata count alike.
        """
        sizes = self.sources.sizes
        free = sizes - 1.0
        varied = free > 0
        if self.influence is None or not varied.any():
            return max(1.0, float(free.sum()))
        moved = self.influence.mean(axis=1)
        parts = np.bincount(self.sources.strata, weights=moved**2, minlength=len(sizes))
        # What chance alone leaves of a covariance over so many draws.
        parts = np.maximum(parts - sizes * self.variance / len(self.values), 0.0)
        parts, free = parts[varied], free[varied]
        if not parts.any():
            return float(free.min())
        return max(1.0, float(parts.sum() ** 2 / (parts**2 / free).sum()))


class Accumulated:
    """Collects a metric's values on chunks of draws together with what its influences need."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._firsts = sources.firsts
        self._values: dict[str, list[Floats]] = {}
        self._moments: dict[str, Floats] = {}
        self._weight: Floats = np.zeros(len(self._firsts))

    def add(self, weights: Floats, found: Mapping[str, Floats]) -> None:
        """`weights` (chunk, N) of `picture_weights`, and each metric's values on these draws, (chunk, S) by name."""
        of_sources = weights[:, self._firsts].T
        self._weight += of_sources.sum(axis=1)
        for name, values in found.items():
            self._values.setdefault(name, []).append(values)
            moment = of_sources @ values
            self._moments[name] = self._moments[name] + moment if name in self._moments else moment

    def resampled(self) -> dict[str, Resampled]:
        """Every metric that was added, by name."""
        found = {}
        for name, parts in self._values.items():
            values = np.concatenate(parts)
            weight = self._weight[:, None] / len(values)
            influence = self._moments[name] / len(values) - weight * values.mean(axis=0)
            found[name] = Resampled(values, self._sources, influence)
        return found


def side_by_side(parts: Iterable[Resampled]) -> Resampled:
    """Seeds that were drawn one by one, on the same draws, as one."""
    each = list(parts)
    influences = [one.influence for one in each if one.influence is not None]
    influence = np.concatenate(influences, axis=1) if len(influences) == len(each) else None
    return Resampled(np.concatenate([one.values for one in each], axis=1), each[0].sources, influence)
