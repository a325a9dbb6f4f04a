"""What Ray Tune runs: one trial, reporting after every epoch. The only import of Ray among the families."""

import math
import os
import threading
import time
from dataclasses import replace

from ray import tune

from trainables.errors import ToldError
from trainables.training.ended import Ended, EndedState, ended_state, read_ended
from trainables.training.past import Graded, Past
from trainables.training.reports import EpochReport, ErrorReport, LeavingReport, Suggestion, TrialReport
from trainables.training.trial import Job, Stopping, epochs
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
    name = "" if state is None else state.path.name
    try:
        kept = ended_state(job, asked, seed) if config["repeatable"] else None
        if kept is not None and _told_again(config, job, kept, name):
            return
        with watched(None if state is None else state.path.with_suffix(".hung"), job.epoch_seconds) as alive:
            memory = PeakMemory(job.problem.device)
            model = job.build(asked, seed, job.pulse(alive.set))

            def keep(past: Past) -> None:
                if kept is not None:
                    Ended(past, config["study"], config["number"], model.parameters, model.facts()).keep(kept)

            for graded in epochs(model, job, strategy, state, ended=keep, memory=memory):
                alive.set()
                leaving = job.stopping()
                _tell(_epoch(graded, job, name, model.parameters, model.facts(), leaving=leaving))
                if leaving:
                    return
    except Stopping:
        _tell(LeavingReport(objective=math.nan, epoch=0, state=name, leaving=True))
    except Exception as error:
        told = ToldError.of(error)
        if "CUDA error" in told.text and "out of memory" not in told.text:
            BROKEN.set()
        _tell(ErrorReport(objective=math.nan, epoch=0, state=name, error=told.text, storage=told.storage))


def _told_again(config: Suggestion, job: Job, kept: EndedState, name: str) -> bool:
    """Report the epochs of a training that is done already, as this trial judges them; False where it is not, or where
    this trial would go on beyond its end."""
    began = time.perf_counter()
    before = read_ended(kept)
    past = None if before is None else before.past.judged_again(job, config["strategy"])
    if before is None or past is None:
        return False
    own = (before.study, before.trial) == (config["study"], config["number"])  # only its record is missing
    same_as = None if own else (before.study, before.trial)
    if not own:
        past = replace(past, seconds=time.perf_counter() - began, energy=None)
    for graded in past.replayed(job):
        _tell(_epoch(graded, job, name, before.parameters, before.facts, same_as=same_as))
    return True


def _tell(report: TrialReport) -> None:
    tune.report(dict(report))


def _epoch(
    graded: Graded,
    job: Job,
    state: str,
    parameters: int,
    facts: dict[str, str],
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
        same_as=same_as,
    )
