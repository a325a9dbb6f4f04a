"""One configuration with one seed: the epochs, graded by the caller's rule, with the best one remembered."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from trainables.errors import InputError
from trainables.interface import Family, Mode, Model, Precision, Prediction, Problem, Samples
from trainables.own_code import OwnFiles, described
from trainables.small_files import NamedFile, SmallFiles
from trainables.speed import NO_LIMITS, Limits
from trainables.training.past import Grade, Graded, Past
from trainables.training.precision import use_tf32
from trainables.training.span import Span, led
from trainables.training.trial_state import TrialState, state_key
from trainables.training.usage import EnergyShare, GpuEnergy, PeakMemory, cap_memory


class Stopping(Exception):
    """The run is asked to stop before the training's next epoch; what it has done so far is saved."""


@dataclass(frozen=True)
class Workers:
    """Several processes that share each training."""

    count: int
    cpus: float
    """Of each."""
    gpus: float
    """Of each, whole ones."""


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
    exactly: int | None = None
    """Train so many epochs and keep the last, where nothing is held out to choose one by; None: validation chooses."""
    states: SmallFiles | None = None
    """What broken-off trainings go on from; None: they start again."""
    code: str = ""
    """The version of the code: a training that another version began starts again."""
    epoch_seconds: float | None = None
    """A training that gives no epoch for so long hangs; None: no limit."""
    own_files: OwnFiles | None = None
    """The files of the user's own code: a worker that does not see them has them by this."""
    limits: Limits = NO_LIMITS
    """What its model may take; where there are any, a search's trainings measure it."""
    stop: NamedFile | None = None
    """Where this file is there, the run is asked to stop: each training saves its state after its epoch."""
    workers: Workers | None = None
    """Those that share each training; None: one trains it."""
    span: Span | None = None
    """In one of several that share a training: all of them."""

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
        identity = self.identity(config, seed) | {"strategy": strategy, "stage": stage}
        return TrialState(self.states, state_key(identity))

    def identity(self, config: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """All that decides the epochs of one training, as plain values, and when it ends if each is judged alike."""
        # Without a choice it is what it was before there was one.
        chosen: dict[str, Any] = {}
        if self.problem.precision != Precision():
            chosen["precision"] = asdict(self.problem.precision)
        if self.workers is not None:
            chosen["workers"] = self.workers.count
        if self.exactly is not None:
            chosen |= {"exactly": self.exactly, "followed": list(self.problem.followed)}
        return {
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
            **chosen,
        }

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
        use_tf32(self.problem.precision)
        problem = replace(self.problem, pulse=pulse, span=self.span)
        model: Model = led(self.family.build(self.family.config(**config), problem, seed), self.span)
        return model


def epochs(
    model: Model,
    job: Job,
    strategy: str | None = None,
    state: TrialState | None = None,
    best_weights: dict[str, Tensor] | None = None,
    ended: Callable[[Past], object] = bool,
    memory: PeakMemory | None = None,
    energy: EnergyShare | None = None,
) -> Iterator[Graded]:
    """Train, and grade the validation scores after each epoch, by a threshold strategy where one is given.

    With a `state` that holds a broken-off training, its epochs are yielded again first, as they were graded, and
    training goes on with the next one, to the same result as if it had never stopped; the state is saved as often as
    that is cheap, and where the run is asked to stop. `best_weights` is filled with the best epoch's. `ended` is called
    with all epochs once training ends here by itself, before the last is yielded. `memory` was made before the model
    was built; unset, what the untrained model takes is not counted. `energy`: its share of what several draw.
    """
    memory = memory or PeakMemory(job.problem.device)
    # One process knows the energy of its own GPU, not of all that share the training.
    drawing = energy or GpuEnergy(job.problem.device if job.span is None else "cpu")
    past = _taken_up(state, model, best_weights)
    drawn_before = past.energy
    yield from past.replayed(job)
    if past.finished(job):
        return
    started = time.perf_counter() - past.seconds
    for epoch in model.fit(job.train, job.validation):
        metrics = job.grade(epoch.validation, job.validation, strategy)
        improved = past.add(epoch.losses, metrics, epoch.validation.scores, job)
        if epoch.validation.maps is not None and past.of_maps is None:
            plain = job.grade(Prediction(epoch.validation.scores), job.validation, strategy)
            past.of_maps = tuple(sorted(metrics.keys() - plain.keys()))
        if improved and best_weights is not None:
            best_weights.clear()
            best_weights.update(model.weights())
        past.last, past.seconds = epoch.last, time.perf_counter() - started
        drawn = drawing.read()
        past.energy = None if drawn is None else (drawn_before or 0.0) + drawn
        finished = past.finished(job)
        if state is not None and not finished and (state.due() or job.stopping()):
            # Without room for it, the training goes on all the same.
            with suppress(OSError):
                state.save({**past.content(), "model": model.state(), "weights": dict(best_weights or {})})
        graded = past.graded(len(past.rows), job, memory.read())
        graded = replace(graded, own_memory=memory.own(), available_memory=memory.available)
        if finished:
            ended(past)
        yield graded
        if finished:
            return
    if not past.rows:
        raise InputError(f"Family {job.family.name} gave no epoch: its models' fit must give at least one.")


def _taken_up(state: TrialState | None, model: Model, best_weights: dict[str, Tensor] | None) -> Past:
    """The past of a training, with the model set back to it; of a state that is none of its own, nothing."""
    saved = None if state is None else state.load()
    if state is None or saved is None:
        return Past()
    try:
        untouched = model.state()
    except Exception:  # one's own family may have none before it is trained
        untouched = None
    try:
        past, weights = Past.of(saved), dict(saved["weights"])
        model.load(saved["model"])  # last: what fails before it has changed nothing
        if best_weights is not None:
            best_weights.update(weights)
        return past
    except Exception as error:
        state.set_aside()
        if untouched is None:
            raise InputError(
                f"A broken-off training's saved state fits no model of its family ({type(error).__name__}). It was "
                "set aside; start the run again, and the training begins anew."
            ) from None
        model.load(untouched)
        return Past()
