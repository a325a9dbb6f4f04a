"""One configuration with one seed: the epochs, graded by the caller's rule, with the best one remembered."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import torch

from trainables.interface import Family, Model, Prediction, Problem, Samples

Grade = Callable[[Prediction, Samples], dict[str, float]]


@dataclass(frozen=True)
class Job:
    """All that training needs. It holds no test data, and nothing in it leads there."""

    family: Family
    problem: Problem
    train: Samples
    validation: Samples
    grade: Grade
    """Turns the validation scores into metrics; given by the caller, since families never grade themselves."""
    metric: str
    mode: Literal["max", "min"]
    patience: int | None
    """Stop after so many epochs without a better validation metric; None: never."""
    threads: int
    """What torch may use: the CPUs reserved for the trial."""

    def build(self, config: Mapping[str, Any], seed: int) -> Model:
        """An untrained model, on this job's threads and device."""
        torch.set_num_threads(self.threads)
        model: Model = self.family.build(self.family.config(**config), self.problem, seed)
        return model


@dataclass(frozen=True)
class Graded:
    """What is known after an epoch."""

    epoch: int
    """From 1."""
    row: dict[str, float]
    """The epoch's losses and validation metrics by name."""
    best_epoch: int
    best: dict[str, float]
    """The validation metrics of the best epoch so far."""
    improved: bool
    """True where this epoch is the best so far."""
    finished: bool
    """True where training ends here by itself: the last epoch, or no better one for `patience` epochs."""
    seconds: float
    peak_memory: int
    """Bytes; see `PeakMemory`."""


def epochs(model: Model, job: Job) -> Iterator[Graded]:
    """Train, and grade the validation scores after each epoch."""
    started = time.perf_counter()
    memory = PeakMemory(job.problem.device)
    best_epoch, best = 0, {job.metric: -math.inf if job.mode == "max" else math.inf}
    for number, epoch in enumerate(model.fit(job.train, job.validation), start=1):
        metrics = job.grade(epoch.validation, job.validation)
        value, record = metrics[job.metric], best[job.metric]
        improved = value > record if job.mode == "max" else value < record
        if improved:
            best_epoch, best = number, metrics
        tired = job.patience is not None and number - best_epoch >= job.patience
        yield Graded(
            epoch=number,
            row={**epoch.losses, **metrics},
            best_epoch=best_epoch,
            best=best,
            improved=improved,
            finished=epoch.last or tired or number >= job.problem.epochs,
            seconds=time.perf_counter() - started,
            peak_memory=memory.read(),
        )
        if tired:
            return


class PeakMemory:
    """The most memory since it was made: of this process, or with a GPU what torch allocated on it."""

    def __init__(self, device: str) -> None:
        self._cuda = device.startswith("cuda")
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        else:
            # Linux: forget the peak so far, which belongs to an earlier trial in the same process.
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

    def read(self) -> int:
        """Bytes."""
        if self._cuda:
            return int(torch.cuda.max_memory_allocated())
        try:
            status = Path("/proc/self/status").read_text(encoding="ascii")
            return int(status.split("VmHWM:")[1].split()[0]) * 1024
        except (OSError, IndexError):
            return int(psutil.Process().memory_info().rss)
