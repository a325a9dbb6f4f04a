"""What is known of one training after its epochs so far, and of each of them when it came."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from trainables.errors import InputError
from trainables.interface import Family, Mode, Prediction, Problem, Samples

Grade = Callable[[Prediction, Samples, str | None], dict[str, float]]
"""(validation scores, validation samples, threshold strategy or None for the best) -> metrics by name."""


class Judging(Protocol):
    """What of a job decides how epochs are judged, and when a training ends. A `Job` is one."""

    @property
    def family(self) -> Family: ...
    @property
    def problem(self) -> Problem: ...
    @property
    def validation(self) -> Samples: ...
    @property
    def metric(self) -> str: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def patience(self) -> int | None: ...
    @property
    def exactly(self) -> int | None: ...
    @property
    def grade(self) -> Grade: ...


@dataclass(frozen=True)
class Graded:
    """What is known after an epoch."""

    epoch: int
    """From 1."""
    row: dict[str, float]
    """The epoch's losses and validation metrics by name."""
    best_epoch: int
    best: dict[str, float]
    """The validation metrics of the best epoch so far, with what is sought if that is a loss."""
    scores: NDArray[np.float64]
    """The best epoch's validation scores, (N, C) or (N,); empty where a better epoch of an earlier process follows."""
    improved: bool
    """True where this epoch is the best so far."""
    finished: bool
    """True where training ends here by itself: the last epoch, or no better one for `patience` epochs."""
    seconds: float
    peak_memory: int
    """Bytes; see `PeakMemory`."""
    own_memory: int = 0
    """Bytes that the training itself took; see `PeakMemory.own`."""
    available_memory: int = 0
    """Bytes that were free when it began."""
    energy: float | None = None
    """Joules since the training began; see `GpuEnergy`."""


@dataclass
class Past:
    """The epochs of one training so far, and its best one."""

    rows: list[dict[str, float]] = field(default_factory=list)
    """By epoch: losses and validation metrics."""
    bests: list[int] = field(default_factory=list)
    """By epoch: the number, from 1, of the best epoch until then."""
    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    """By the number of each epoch that was the best when it came: its validation metrics."""
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """The validation scores of the best epoch."""
    losses: list[dict[str, float]] = field(default_factory=list)
    """By epoch."""
    every: list[NDArray[np.float64]] = field(default_factory=list)
    """Detection: the validation scores by epoch, for another threshold strategy to be tried on them."""
    of_maps: tuple[str, ...] | None = None
    """The metrics that are taken of maps, which are not kept; None: there were no maps."""
    last: bool = False
    """Whether the family itself will not go on."""
    seconds: float = 0.0
    energy: float | None = None

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Past:
        """What `content` was once."""
        past = json.loads(saved["past"])
        metrics = {int(number): found for number, found in past["metrics"].items()}
        found = cls(
            rows=past["rows"],
            bests=past["bests"],
            metrics=metrics,
            scores=saved["scores"].numpy(),
            losses=past["losses"],
            every=list(saved["every"].numpy()),
            of_maps=None if past["of_maps"] is None else tuple(past["of_maps"]),
            last=past["last"],
            seconds=past["seconds"],
            energy=past["energy"],
        )
        lengths = {len(found.rows), len(found.bests), len(found.losses), len(found.every) or len(found.rows)}
        if len(lengths) > 1 or not set(found.bests) <= metrics.keys():
            raise ValueError("its epochs do not fit each other")
        return found

    def content(self) -> dict[str, Any]:
        """For a state; JSON keeps floats to the last bit."""
        past = {
            "rows": self.rows,
            "bests": self.bests,
            "metrics": self.metrics,
            "losses": self.losses,
            "of_maps": self.of_maps,
            "last": self.last,
            "seconds": self.seconds,
            "energy": self.energy,
        }
        every = np.stack(self.every) if self.every else np.empty(0)
        return {
            "past": json.dumps(past),
            "scores": torch.from_numpy(self.scores.copy()),
            "every": torch.from_numpy(every),
        }

    def add(
        self, losses: Mapping[str, float], metrics: Mapping[str, float], scores: NDArray[np.float64], job: Judging
    ) -> bool:
        """Take in one epoch; True where it is the best so far. InputError where it lacks what is sought."""
        row, number = {**losses, **metrics}, len(self.rows) + 1
        if job.metric not in row:
            raise InputError(
                f"{job.metric} is not defined by epoch {number} (it is None or no finite number), so that no epoch can "
                "be chosen by it. Choose another objective.metric, or mend it."
            )
        value = row[job.metric]
        record = self.metrics[self.bests[-1]][job.metric] if self.bests else None
        better = record is None or (value > record if job.mode == "max" else value < record)
        improved = better or job.exactly is not None
        self.rows.append(row)
        self.losses.append(dict(losses))
        self.bests.append(number if improved else self.bests[-1])
        if job.family.task == "detection":
            self.every.append(scores)
        if improved:
            self.metrics[number], self.scores = {**metrics, job.metric: value}, scores
        return improved

    def finished(self, job: Judging) -> bool:
        """Whether training ends here by itself: the last epoch, or no better one for `patience` epochs."""
        done = len(self.rows)
        if job.exactly is not None:
            return self.last or done >= job.exactly
        tired = job.patience is not None and bool(self.bests) and done - self.bests[-1] >= job.patience
        return self.last or tired or done >= job.problem.epochs

    def graded(self, number: int, job: Judging, memory: int) -> Graded:
        """What is known after the epoch of that number, from 1."""
        best = self.bests[number - 1]
        return Graded(
            epoch=number,
            row=self.rows[number - 1],
            best_epoch=best,
            best=self.metrics[best],
            scores=self.scores if best == self.bests[-1] else np.empty(0),
            improved=best == number,
            finished=number == len(self.rows) and self.finished(job),
            seconds=self.seconds,
            peak_memory=memory,
            energy=self.energy,
        )

    def replayed(self, job: Judging) -> Iterator[Graded]:
        """The epochs so far once more."""
        for number in range(1, len(self.rows) + 1):
            yield self.graded(number, job, 0)

    def judged_again(self, job: Judging, strategy: str | None) -> Past | None:
        """A training that came to its end, as another threshold strategy grades its epochs: it may choose another of
        them, and end earlier. None where it would go on beyond them.

        Metrics of maps hang on no threshold and stay; classifiers are graded in one way in all of a run.
        """
        if job.family.task == "classification":
            return self
        past = Past(of_maps=self.of_maps)
        for row, losses, scores in zip(self.rows, self.losses, self.every, strict=True):
            same = {name: row[name] for name in self.of_maps or () if name in row}
            past.add(losses, job.grade(Prediction(scores), job.validation, strategy) | same, scores, job)
            past.last = self.last and len(past.rows) == len(self.rows)
            if past.finished(job):
                return past
        return None
