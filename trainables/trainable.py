"""What Ray Tune runs: one trial, reporting after every epoch. The only import of Ray among the families."""

import os
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune

from trainables.errors import storage_error
from trainables.trial import Graded, Job, Stopping, epochs

HUNG = 75
"""The exit status of a worker that ended itself because no epoch came."""
LOST = 76
"""The exit status of a worker whose GPU context is lost."""
BROKEN = threading.Event()
"""Set in a worker after a CUDA error other than of memory: all that follows in its process would fail with it."""


def run_trial(config: dict[str, Any], job: Job) -> None:
    """Train `config["config"]` with `config["seed"]` and report each epoch to Tune.

    `config["strategy"]` is the threshold strategy to judge by, or None for the best. A report holds `objective` (the
    best validation value so far), `epoch`, `row` (this epoch's losses and metrics), `best_epoch`, `best`, `scores`
    (the validation scores as float64 bytes where this epoch is the best so far, else none), `finished`, `seconds`,
    `peak_memory`, `energy`, `parameters`, `facts` and `state` (the name of the file that a broken-off training goes on
    from), and `leaving`: whether it breaks off here, since the run is asked to stop. Epochs of an earlier process come
    first, as they were reported then. An exception of the training is a report with `error`, its traceback: raised
    here, it would cost the worker, and be tried again to the same end; with it comes `storage`, what a disk said
    (errno, text, file), or None.
    """
    if BROKEN.is_set():
        os._exit(LOST)  # Tune goes on with the trial on another worker
    state = job.state_of(config["config"], config["seed"], strategy=config["strategy"], stage="search")
    name = "" if state is None else state.path.name
    try:
        with watched(None if state is None else state.path.with_suffix(".hung"), job.epoch_seconds) as alive:
            model = job.build(config["config"], config["seed"], job.pulse(alive.set))
            for graded in epochs(model, job, config["strategy"], state):
                alive.set()
                told = {**_told(graded, job), "parameters": model.parameters, "facts": model.facts(), "state": name}
                leaving = job.stopping()
                tune.report({**told, "leaving": leaving})
                if leaving:
                    return
    except Stopping:
        tune.report({"objective": float("nan"), "epoch": 0, "state": name, "leaving": True})
    except Exception as error:
        text, disk = traceback.format_exc(), storage_error(error)
        if "CUDA error" in text and "out of memory" not in text:
            BROKEN.set()
        storage = None if disk is None else (disk.errno, disk.strerror, disk.filename)
        tune.report({"objective": float("nan"), "epoch": 0, "error": text, "storage": storage, "state": name})


class Hung(Exception):
    """No epoch came within the limit."""


@contextmanager
def watched(mark: Path | None, seconds: float | None) -> Iterator[threading.Event]:
    """End this process where the event is not set again within `seconds`: nothing else ends a computation that hangs.

    It leaves `mark`; who finds it, raises Hung instead of trying the same again.
    """
    alive, over = threading.Event(), threading.Event()
    if mark is None or seconds is None:
        yield alive
        return
    if mark.exists():
        mark.unlink()
        raise Hung(f"no epoch came within {seconds:g} s. Raise budget.epoch_minutes if that is too short.")

    def watch() -> None:
        while not over.is_set():
            if alive.wait(seconds):
                alive.clear()
            elif not over.is_set():
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()
                os._exit(HUNG)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield alive
    finally:
        over.set()
        alive.set()


def _told(graded: Graded, job: Job) -> dict[str, Any]:
    return {
        "objective": graded.best[job.metric],
        "epoch": graded.epoch,
        "row": graded.row,
        "best_epoch": graded.best_epoch,
        "best": graded.best,
        "scores": graded.scores.tobytes() if graded.improved else b"",
        "finished": graded.finished,
        "seconds": graded.seconds,
        "peak_memory": graded.peak_memory,
        "energy": graded.energy,
    }
