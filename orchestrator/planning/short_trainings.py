"""Trainings of a few steps, for real, and what of each is timed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from orchestrator.planning.extrapolation import Probed
from orchestrator.planning.sample_store import SamplePictures
from orchestrator.planning.sizes import Sizes
from trainables.cache import Cache
from trainables.interface import Family, Problem
from trainables.training.usage import PeakMemory

BATCH = 32
"""Pictures of the smallest probe of a family without `batch_size`."""
STEPS, QUICK_STEPS = 3, 12
"""Of the larger probe of a family with epochs; the more where steps are quick."""
QUICK = 0.2
"""Seconds of such an epoch."""
VALIDATED, SCORED = 8, 32
"""Pictures that probes validate on, and by which scoring is timed."""
GROWTH, DEARER = 2, 4.0
"""A family that fits at once is probed at so many times the pictures again, which takes at most so many times as long.
"""


@dataclass(frozen=True)
class Observed:
    """What one configuration's short trainings gave."""

    probes: tuple[Probed, ...]
    memory: int
    """Bytes of this process at its peak, or on a GPU what torch allocated."""
    weights: int
    """Bytes of what is kept of a model."""


class ShortTrainings:
    """Of one variant's configurations, on the few pictures that there are of its size."""

    def __init__(
        self, family: Family, problem: Problem, pictures: SamplePictures, sizes: Sizes, cache: Path, threads: int
    ) -> None:
        """`problem`: of the real training; `cache`: an empty folder for what trainings of one search share."""
        self._family, self._problem, self._pictures, self._sizes = family, problem, pictures, sizes
        self._cache, self._threads = cache, threads
        self._largest = 0
        """Pictures of the largest probe of a family that fits at once."""
        self._settled = False
        """Whether a training has run in this process, and what the first one pays for is paid."""

    def observe(self, config: Mapping[str, Any], seconds: float, *, first: bool) -> Observed:
        """Train a configuration at two sizes at least where the `seconds` allow it, of a family that fits at once at
        more of them. `first`: of its variant, so that what later trainings find again is told apart."""
        until = time.monotonic() + seconds
        memory = PeakMemory(self._problem.device)
        batch = getattr(self._family.config(**config), "batch_size", BATCH)
        smallest = max(2, min(batch, self._sizes.train))
        begun = time.monotonic()
        one, weights = self._train(config, smallest)
        took = time.monotonic() - begun
        one = replace(one, cold=not self._settled)
        # A fit at once on few pictures is mostly what it imports: without that it is cheap to repeat.
        if not self._settled and (len(one.epochs) == 1 or time.monotonic() + took < until):
            one, weights = self._train(config, smallest, "once more")
            took = sum(one.epochs) + one.build
        self._settled = True
        if len(one.epochs) == 1:
            probes = self._growing(config, one, took, until, first)
        else:
            probes = [one, *self._larger(config, one, batch, until, first)]
        return Observed(tuple(probes), memory.read(), weights)

    def _larger(self, config: Mapping[str, Any], one: Probed, batch: int, until: float, first: bool) -> list[Probed]:
        """Of a family with epochs: a second size, if there are more pictures and there is time."""
        steps = QUICK_STEPS if min(one.epochs) < QUICK else STEPS
        count = min(steps * batch, self._sizes.train)
        if count <= one.pictures or time.monotonic() + one.build + 2 * steps * max(one.epochs) > until:
            return []
        cold, _ = self._train(config, count)
        whole = cold.build + sum(cold.epochs)
        if not first or time.monotonic() + whole > until:
            return [cold]
        again, _ = self._train(config, count)
        shared = cold.build + cold.epochs[0] - again.build - again.epochs[0]
        return [replace(again, once=max(0.0, shared))]

    def _growing(self, config: Mapping[str, Any], one: Probed, took: float, until: float, first: bool) -> list[Probed]:
        """Of a family that fits at once: at ever more pictures; what was not the variant's first, at the largest."""
        probes, most = [one], self._sizes.train
        if not first:
            most = min(most, self._largest)
            growth = max(1, most // one.pictures)
        else:
            growth = GROWTH
        while (count := min(most, growth * probes[-1].pictures)) > probes[-1].pictures:
            if time.monotonic() + took * (DEARER if first else growth) > until:
                break
            begun = time.monotonic()
            probes.append(self._train(config, count)[0])
            took = time.monotonic() - begun
        if first:
            self._largest = probes[-1].pictures
        return probes

    def _train(self, config: Mapping[str, Any], count: int, kept_in: str = "") -> tuple[Probed, int]:
        """Two epochs on so many pictures; and the bytes of what is kept. What trainings on as many pictures have left
        is found, where they kept it in the same place; what others have left is not: each size pays for its own."""
        validated = min(VALIDATED, self._sizes.validation)
        train, validation = self._pictures.train(count), self._pictures.validation(validated)
        warming, scored = (self._pictures.validation(SCORED, skipped) for skipped in (validated, validated + SCORED))
        cache = Cache(self._cache / f"{count} {kept_in}".rstrip())
        problem = replace(self._problem, epochs=2, cache=cache, data=f"probe of {count}")
        torch.set_num_threads(self._threads)
        begun = time.perf_counter()
        model = self._family.build(self._family.config(**config), problem, 0)
        moments = [time.perf_counter()]
        for _ in model.fit(train, validation):
            moments.append(time.perf_counter())
        epochs = tuple(end - start for start, end in pairwise(moments))
        model.predict(warming)
        before = time.perf_counter()
        model.predict(scored)
        scoring = (time.perf_counter() - before) / len(scored)
        kept = sum(tensor.nbytes for tensor in model.weights().values())
        return Probed(count, validated, moments[0] - begun, epochs, scoring), kept
