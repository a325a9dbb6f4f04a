"""What Ray Tune runs: one trial, reporting after every epoch. The only import of Ray among the families."""

import math
import os
import threading
import traceback

from ray import tune

from trainables.errors import storage_error
from trainables.interface import Model
from trainables.training.reports import EpochReport, ErrorReport, LeavingReport, Suggestion, TrialReport
from trainables.training.trial import Graded, Job, Stopping, epochs
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
    state = job.state_of(config["config"], config["seed"], strategy=config["strategy"], stage="search")
    name = "" if state is None else state.path.name
    try:
        with watched(None if state is None else state.path.with_suffix(".hung"), job.epoch_seconds) as alive:
            memory = PeakMemory(job.problem.device)
            model = job.build(config["config"], config["seed"], job.pulse(alive.set))
            for graded in epochs(model, job, config["strategy"], state, memory=memory):
                alive.set()
                leaving = job.stopping()
                _tell(_epoch(graded, job, model, name, leaving))
                if leaving:
                    return
    except Stopping:
        _tell(LeavingReport(objective=math.nan, epoch=0, state=name, leaving=True))
    except Exception as error:
        text, disk = traceback.format_exc(), storage_error(error)
        if "CUDA error" in text and "out of memory" not in text:
            BROKEN.set()
        storage = None if disk is None else (disk.errno, disk.strerror, disk.filename)
        _tell(ErrorReport(objective=math.nan, epoch=0, state=name, error=text, storage=storage))


def _tell(report: TrialReport) -> None:
    tune.report(dict(report))


def _epoch(graded: Graded, job: Job, model: Model, state: str, leaving: bool) -> EpochReport:
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
        parameters=model.parameters,
        facts=model.facts(),
    )
