"""One configuration with one seed: the epochs, graded by the caller's rule, with the best one remembered."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.errors import InputError
from trainables.interface import Family, Mode, Model, Prediction, Problem, Samples
from trainables.own_code import OwnFiles, described
from trainables.training.trial_state import TrialState, state_key
from trainables.training.usage import GpuEnergy, PeakMemory, cap_memory

Grade = Callable[[Prediction, Samples, str | None], dict[str, float]]
"""(validation scores, validation samples, threshold strategy or None for the best) -> metrics by name."""


class Stopping(Exception):
    """The run is asked to stop before the training's next epoch; what it has done so far is saved."""


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
    """Sought on validation: a metric that `grade` gives, or a loss."""
    mode: Mode
    patience: int | None
    """Stop after so many epochs without a better validation metric; None: never."""
    threads: int
    """What torch may use: the CPUs reserved for the trial."""
    memory: int | None = None
    """Bytes of a GPU that torch may reserve; None: all that is free."""
    states: Path | None = None
    """The folder of what broken-off trainings go on from; None: they start again."""
    code: str = ""
    """The version of the code: a training that another version began starts again."""
    epoch_seconds: float | None = None
    """A training that gives no epoch for so long hangs; None: no limit."""
    own_files: OwnFiles | None = None
    """The files of the user's own code: a worker that does not see them has them by this."""
    stop: Path | None = None
    """Where this file is there, the run is asked to stop: each training saves its state after its epoch."""

    def stopping(self) -> bool:
        """Whether the run is asked to stop."""
        return self.stop is not None and self.stop.exists()

    def state_of(
        self, config: Mapping[str, Any], seed: int, *, strategy: str | None, stage: Literal["search", "evaluation"]
    ) -> TrialState | None:
        """Where one training keeps its state: found again by all that decides what comes out of it.

        `strategy`: the threshold strategy that it is judged by, which may choose another epoch.
        """
        if self.states is None:
            return None
        identity = {
            "family": self.family.name if self.family.own is None else described(self.family.own),
            "config": dict(config),
            "seed": seed,
            "data": self.problem.data,
            "shape": self.problem.shape,
            "device": self.problem.device,
            "epochs": self.problem.epochs,
            "patience": self.patience,
            "metric": self.metric,
            "mode": self.mode,
            "code": self.code,
            "strategy": strategy,
            "stage": stage,
        }
        return TrialState(self.states, state_key(identity))

    def pulse(self, alive: Callable[[], object]) -> Callable[[], None]:
        """For `build`: tells that the training lives; raises Stopping in it where the run is asked to stop."""

        def told() -> None:
            alive()
            if self.stopping():
                raise Stopping

        return told

    def build(self, config: Mapping[str, Any], seed: int, pulse: Callable[[], object] = bool) -> Model:
        """An untrained model, on this job's threads and device; `pulse` as in Problem."""
        torch.set_num_threads(self.threads)
        cap_memory(self.problem.device, self.memory)
        model: Model = self.family.build(self.family.config(**config), replace(self.problem, pulse=pulse), seed)
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


def epochs(
    model: Model,
    job: Job,
    strategy: str | None = None,
    state: TrialState | None = None,
    best_weights: dict[str, Tensor] | None = None,
    memory: PeakMemory | None = None,
) -> Iterator[Graded]:
    """Train, and grade the validation scores after each epoch, by a threshold strategy where one is given.

    With a `state` that holds a broken-off training, its epochs are yielded again first, as they were graded, and
    training goes on with the next one, to the same result as if it had never stopped; the state is saved as often as
    that is cheap, and where the run is asked to stop. `best_weights` is filled with the best epoch's. `memory` was made
    before the model was built; unset, what the untrained model takes is not counted.
    """
    memory = memory or PeakMemory(job.problem.device)
    energy = GpuEnergy(job.problem.device)
    past = _taken_up(state, model, best_weights)
    drawn_before = past.energy
    yield from past.replayed(job)
    if past.finished(job):
        return
    started = time.perf_counter() - past.seconds
    for epoch in model.fit(job.train, job.validation):
        metrics = job.grade(epoch.validation, job.validation, strategy)
        row = {**epoch.losses, **metrics}
        if job.metric not in row:
            raise InputError(
                f"{job.metric} is not defined by epoch {len(past.rows) + 1} (it is None or no finite number), so that "
                "no epoch can be chosen by it. Choose another objective.metric, or mend it."
            )
        improved = past.add(row, {**metrics, job.metric: row[job.metric]}, epoch.validation.scores, job)
        if improved and best_weights is not None:
            best_weights.clear()
            best_weights.update(model.weights())
        past.last, past.seconds = epoch.last, time.perf_counter() - started
        drawn = energy.read()
        past.energy = None if drawn is None else (drawn_before or 0.0) + drawn
        finished = past.finished(job)
        if state is not None and not finished and (state.due() or job.stopping()):
            # Without room for it, the training goes on all the same.
            with suppress(OSError):
                state.save({**past.content(), "model": model.state(), "weights": dict(best_weights or {})})
        graded = past.graded(len(past.rows), job, memory.read())
        yield replace(graded, own_memory=memory.own(), available_memory=memory.available)
        if finished:
            return
    if not past.rows:
        raise InputError(f"Family {job.family.name} gave no epoch: its models' fit must give at least one.")


def _taken_up(state: TrialState | None, model: Model, best_weights: dict[str, Tensor] | None) -> "Past":
    """The past of a training, with the model set back to it; of a state that is none of its own, nothing."""
    saved = None if state is None else state.load()
    if state is None or saved is None:
        return Past()
    try:
        untouched = model.state()
    except Exception:  # one's own family may have none before it is trained
        untouched = None
    try:
        return Past.of(saved, model, best_weights)
    except Exception as error:
        state.set_aside()
        if untouched is None:
            raise InputError(
                f"A broken-off training's saved state fits no model of its family ({type(error).__name__}). It was "
                "set aside; start the run again, and the training begins anew."
            ) from None
        model.load(untouched)
        return Past()


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
    last: bool = False
    seconds: float = 0.0
    energy: float | None = None

    @classmethod
    def of(cls, saved: dict[str, Any] | None, model: Model, best_weights: dict[str, Tensor] | None) -> "Past":
        """What a state holds, with the model set back to it; nothing where there is none."""
        if saved is None:
            return cls()
        past = json.loads(saved["past"])
        metrics = {int(number): found for number, found in past["metrics"].items()}
        scores, weights = saved["scores"].numpy(), dict(saved["weights"])
        found = cls(list(past["rows"]), list(past["bests"]), metrics, scores, False, past["seconds"], past["energy"])
        if len(found.bests) != len(found.rows) or not set(found.bests) <= metrics.keys():
            raise ValueError("its epochs do not fit each other")
        model.load(saved["model"])  # last: what fails before it has changed nothing
        if best_weights is not None:
            best_weights.update(weights)
        return found

    def content(self) -> dict[str, Any]:
        """For a state; JSON keeps floats to the last bit."""
        past = {
            "rows": self.rows,
            "bests": self.bests,
            "metrics": self.metrics,
            "seconds": self.seconds,
            "energy": self.energy,
        }
        return {"past": json.dumps(past), "scores": torch.from_numpy(self.scores.copy())}

    def add(self, row: dict[str, float], metrics: dict[str, float], scores: NDArray[np.float64], job: Job) -> bool:
        """Take in one epoch; True where it is the best so far."""
        value, number = metrics[job.metric], len(self.rows) + 1
        record = self.metrics[self.bests[-1]][job.metric] if self.bests else None
        improved = record is None or (value > record if job.mode == "max" else value < record)
        self.rows.append(row)
        self.bests.append(number if improved else self.bests[-1])
        if improved:
            self.metrics[number], self.scores = metrics, scores
        return improved

    def finished(self, job: Job) -> bool:
        """Whether training ends here by itself: the last epoch, or no better one for `patience` epochs."""
        done = len(self.rows)
        tired = job.patience is not None and bool(self.bests) and done - self.bests[-1] >= job.patience
        return self.last or tired or done >= job.problem.epochs

    def graded(self, number: int, job: Job, memory: int) -> Graded:
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

    def replayed(self, job: Job) -> Iterator[Graded]:
        """The epochs so far once more."""
        for number in range(1, len(self.rows) + 1):
            yield self.graded(number, job, 0)
