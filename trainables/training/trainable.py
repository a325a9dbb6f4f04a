"""What Ray Tune runs: one trial, reporting after every epoch. It and `workers` are all that imports Ray here."""

import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import Any

from ray import tune

from trainables.errors import ToldError
from trainables.interface import Model
from trainables.training.ended import Ended, EndedState, ended_state, read_ended
from trainables.training.past import Graded, Past
from trainables.training.reports import EpochReport, ErrorReport, LeavingReport, Suggestion, TrialReport
from trainables.training.span import WorkerError, WorkersDied
from trainables.training.timing import measure_speed
from trainables.training.trial import Job, Stopping, epochs
from trainables.training.trial_state import TrialState
from trainables.training.usage import PeakMemory, gpu_name
from trainables.training.watching import watched

LOST = 76
"""The exit status of a worker whose GPU context is lost."""
BROKEN = threading.Event()
"""Set in a worker after a CUDA error other than of memory: all that follows in its process would fail with it."""


def run_trial(config: Suggestion, job: Job) -> None:
    """Train what is suggested and report each epoch to Tune; an exception of the training is a report, too."""
    if BROKEN.is_set():
        os._exit(LOST)  # Tune goes on with the trial on another worker
    asked, seed, strategy = config["config"], config["seed"], config["strategy"]
    state = job.state_of(asked, seed, strategy=strategy, stage="search")
    name = "" if state is None else state.file.name
    try:
        if job.workers is None:
            _train(config, job, state, _tell)
        else:
            _train_over_workers(config, job, state)
    except Stopping:
        _tell(LeavingReport(objective=math.nan, epoch=0, state=name, leaving=True))
    except WorkersDied:
        raise  # Tune tries the trial again
    except Exception as error:
        told = error.told if isinstance(error, WorkerError) else ToldError.of(error)
        if "CUDA error" in told.text and "out of memory" not in told.text and job.workers is None:
            BROKEN.set()
        _tell(ErrorReport(objective=math.nan, epoch=0, state=name, error=told.text, storage=told.storage))


def _train_over_workers(config: Suggestion, job: Job, state: TrialState | None) -> None:
    """The same by several workers, of which the first tells this process what it would tell Tune."""
    from trainables.training.workers import over_workers, relayed  # a second, that others are spared

    def work(tell: Callable[[TrialReport], object]) -> None:
        over_workers(partial(_train, config, state=state, tell=tell), job, config["config"], config["seed"])

    relayed(work, _tell)


def _train(config: Suggestion, job: Job, state: TrialState | None, tell: Callable[[TrialReport], object]) -> None:
    """Train what is suggested, and tell of each epoch."""
    asked, seed, strategy = config["config"], config["seed"], config["strategy"]
    name = "" if state is None else state.file.name
    kept = ended_state(job, asked, seed) if config["repeatable"] else None
    if kept is not None and _told_again(config, job, kept, name, tell):
        return
    with watched(None if state is None else state.beside(".hung"), job.epoch_seconds) as alive:
        memory = PeakMemory(job.problem.device)
        model = job.build(asked, seed, job.pulse(alive.set))
        # After its first epoch: a scheduler may end the training before its last.
        speed = cache(partial(_speed, model, job, asked, seed))

        def keep(past: Past) -> None:
            if kept is not None:
                origin = config["study"], config["number"]
                Ended(past, *origin, model.parameters, model.facts(), speed()).keep(kept)

        for graded in epochs(model, job, strategy, state, ended=keep, memory=memory):
            alive.set()
            leaving = job.stopping()
            tell(_epoch(graded, job, name, model.parameters, model.facts(), speed(), leaving=leaving))
            if leaving:
                return


def _told_again(
    config: Suggestion, job: Job, kept: EndedState, name: str, tell: Callable[[TrialReport], object]
) -> bool:
    """Report the epochs of a training that is done already, as this trial judges them; False where it is not, or where
    this trial would go on beyond its end."""
    began = time.perf_counter()
    before = read_ended(kept)
    past = None if before is None else before.past.judged_again(job, config["strategy"])
    if before is None or past is None or (job.limits.given and before.speed is None):
        return False
    own = (before.study, before.trial) == (config["study"], config["number"])  # only its record is missing
    same_as = None if own else (before.study, before.trial)
    if not own:
        past = replace(past, seconds=time.perf_counter() - began, energy=None)
    for graded in past.replayed(job):
        tell(_epoch(graded, job, name, before.parameters, before.facts, before.speed, same_as=same_as))
    return True


def _speed(model: Model, job: Job, config: Mapping[str, Any], seed: int) -> dict[str, Any] | None:
    """How fast a training's model scores validation pictures, where that is limited; None where it can't be told, which
    is no reason to lose the training."""
    if not job.limits.given:
        return None
    with suppress(Exception):  # no memory for a second model, say
        measured = measure_speed(job.family, config, job.problem, seed, model.weights(), job.validation, batches=False)
        return measured.model_dump(exclude={"beside"})
    return None


def _tell(report: TrialReport) -> None:
    tune.report(dict(report))


def _epoch(
    graded: Graded,
    job: Job,
    state: str,
    parameters: int,
    facts: dict[str, str],
    speed: dict[str, Any] | None,
    *,
    leaving: bool = False,
    same_as: tuple[str, int] | None = None,
) -> EpochReport:
    return EpochReport(
        objective=graded.best[job.metric],
        epoch=graded.epoch,
        state=state,
        row=graded.row,
        best_epoch=graded.best_epoch,
        best=graded.best,
        scores=graded.scores.tobytes() if graded.improved else b"",
        finished=graded.finished,
        leaving=leaving,
        seconds=graded.seconds,
        peak_memory=graded.peak_memory,
        own_memory=graded.own_memory,
        available_memory=graded.available_memory,
        energy=graded.energy,
        gpu=gpu_name(job.problem.device),
        parameters=parameters,
        facts=facts,
        speed=speed,
        same_as=same_as,
    )
