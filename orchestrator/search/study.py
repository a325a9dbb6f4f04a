"""One variant's search: Ray Tune runs the trials, Optuna suggests them, every ended trial becomes a record."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from ray import tune
from ray.tune.error import TuneError
from ray.tune.experiment import Trial

from orchestrator.experiment import Experiment, Variant
from orchestrator.families import family_row
from orchestrator.records import Provenance, Status, TrialRecord
from orchestrator.search.halving import scheduler
from orchestrator.search.optuna_search import (
    OptunaSearcher,
    agrees,
    open_study,
    put_aside,
    rebuild,
    reconcile,
    tell,
)
from trainables.trainable import Hung, run_trial
from trainables.trial import Job

RETRIES = 2
"""How often a trial whose worker or node died is tried again; it goes on from its last state."""
FRUITLESS = 5
"""A study whose first trials all failed, so many of them, stops itself."""
TIME_USED_UP = "the search's time was used up"


@dataclass(frozen=True)
class Study:
    """What one search needs beside its job."""

    experiment: Experiment
    variant: Variant
    journal: Path
    """The Optuna journal; rebuilt from `earlier` where it is lost."""
    earlier: tuple[TrialRecord, ...]
    """The records of this study so far."""
    trials: int
    """Still to run."""
    concurrent: int
    seconds: float | None
    """Wall time left; None: no limit."""
    scratch: Path
    """Ray's own state: a cache, removed afterwards."""
    provenance: Callable[[], Provenance]
    on_record: Callable[[TrialRecord, str | None, NDArray[np.float64] | None], TrialRecord]
    """Called in the driver for every trial that ended, with the threshold strategy that it was judged by and the
    validation scores of its best epoch (flat). Writes them and the record, and gives the record as written."""


def run_study(study: Study, job: Job) -> None:
    """Run the trials that are left. Failures stay in their trial; each ends in a record."""
    variant, experiment = study.variant, study.experiment
    searcher = open_searcher(study, job, lambda: ledger.fruitless or ledger.unwritable is not None or job.stopping())
    ledger = Ledger(study, job, searcher.study)
    resources: dict[str, float] = {"cpu": experiment.resources.cpus, "gpu": experiment.resources.gpus}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(run_trial, job=job), resources),
        tune_config=tune.TuneConfig(
            metric="objective",
            mode=job.mode,
            search_alg=searcher,
            scheduler=scheduler(
                experiment.scheduler, experiment.epochs_of(variant), job.metric, job.mode, study.earlier
            ),
            num_samples=study.trials,
            max_concurrent_trials=study.concurrent,
            time_budget_s=study.seconds,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(study.scratch),
            verbose=0,
            callbacks=[ledger],
            failure_config=tune.FailureConfig(max_failures=RETRIES),
        ),
    )
    try:
        tuner.fit()
    except TuneError as error:
        ledger.end_open("failed", f"Ray Tune stopped: {first_line(str(error))}")
    else:
        if not job.stopping() and ledger.unwritable is None:
            ledger.end_open("timed-out", TIME_USED_UP)
    finally:
        # After Ctrl-C what was running has no record: the journal still knows it, and a resume runs it first.
        shutil.rmtree(study.scratch, ignore_errors=True)
    if ledger.unwritable is not None:
        raise ledger.unwritable


def open_searcher(study: Study, job: Job, ended: Callable[[], bool]) -> OptunaSearcher:
    """The searcher on a study's journal, set right by the records: these are the truth."""
    variant, experiment = study.variant, study.experiment

    def searcher(found: optuna.Study) -> OptunaSearcher:
        return OptunaSearcher(
            found,
            family_row(variant.family).suggest,
            job.family.config,
            fixed=variant.fixed,
            space=variant.space,
            seed=experiment.seeds[0],
            training_seed=experiment.seeds[0],
            strategies=experiment.threshold.strategies if experiment.threshold.search else (),
            ended=ended,
        )

    found = open_study(study.journal, variant.name, job.mode)
    if not agrees(found, study.earlier):
        put_aside(study.journal)
        found = open_study(study.journal, variant.name, job.mode)
        rebuild(found, study.earlier, searcher(found), job.metric)
    reconcile(found, study.earlier, job.metric)
    return searcher(found)


class Ledger(tune.Callback):
    """Turns what Tune says of its trials into records, each as soon as its trial has ended."""

    def __init__(self, study: Study, job: Job, trials: optuna.Study) -> None:
        self._study = study
        self._trials = trials
        self._job = job
        self._ended = [record.status for record in study.earlier]
        self.unwritable: OSError | None = None
        """What kept a record from being written, after which no more trials begin."""
        self._open: dict[str, OpenTrial] = {}
        self._deadline = None if study.seconds is None else time.monotonic() + study.seconds

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._open.setdefault(trial.trial_id, OpenTrial(trial.config, time.monotonic()))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        opened = self._open[trial.trial_id]
        opened.state = result["state"]
        if "error" in result:
            opened.error = result["error"]
            return
        # A trial that was tried again reports its earlier epochs once more.
        del opened.history[result["epoch"] - 1 :]
        opened.history.append({"epoch": float(result["epoch"]), **result["row"]})
        opened.memory = max(opened.memory, result["peak_memory"])
        opened.last = result
        opened.scores = result["scores"] or opened.scores

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        opened = self._open.get(trial.trial_id)
        if opened is None:
            return
        finished = bool(opened.last.get("finished"))
        if opened.error:
            self._end(trial.trial_id, *why(opened.error))
        elif not finished and self._job.stopping():
            del self._open[trial.trial_id]  # its state is saved: a resume goes on with it
        elif not finished and self._deadline is not None and time.monotonic() >= self._deadline:
            self._end(trial.trial_id, "timed-out", TIME_USED_UP)
        else:
            reason = "" if finished else f"stopped by the scheduler after epoch {opened.last.get('epoch', 0)}"
            self._end(trial.trial_id, "completed" if finished else "pruned", reason)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        # Tune's own get_error reads the copy in the storage, which is not there yet at this moment.
        path = Path(trial.error_file or "")
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        status, reason = why(text.partition("\n")[2] if text.startswith("Failure #") else text)
        self._end(trial.trial_id, status, reason)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore from its own state, which is never done here."""
        return {}

    def end_open(self, status: Status, reason: str) -> None:
        """Give every trial that Tune left open its record."""
        for trial_id in list(self._open):
            self._end(trial_id, status, reason)

    def _end(self, trial_id: str, status: Status, reason: str) -> None:
        opened = self._open.pop(trial_id, None)
        if opened is None:
            return
        last = opened.last
        record = TrialRecord(
            stage="search",
            family=self._study.variant.family,
            variant=self._study.variant.name,
            trial=opened.config["number"],
            seed=opened.config["seed"],
            split="validation",
            config=opened.config["config"],
            metrics=last.get("best", {}),
            epoch=last.get("best_epoch"),
            history=opened.history,
            status=status,
            reason=reason,
            seconds=time.monotonic() - opened.started,
            gpus=self._study.experiment.resources.gpus,
            parameters=last.get("parameters"),
            peak_memory=opened.memory or None,
            facts=last.get("facts", {}),
            provenance=self._study.provenance(),
        )
        scores = np.frombuffer(opened.scores, dtype=np.float64) if opened.scores else None
        try:
            record = self._study.on_record(record, opened.config["strategy"], scores)
            tell(self._trials, record, self._job.metric)
        except OSError as error:
            # No room, say. Without its record the trial has not ended: a resume runs it again.
            self.unwritable = self.unwritable or error
            return
        self._ended.append(record.status)
        if self._job.states is not None and opened.state:
            (self._job.states / opened.state).unlink(missing_ok=True)

    @property
    def fruitless(self) -> bool:
        """Whether the first trials of this study all failed, so that no more are worth their time."""
        return all_failed(self._ended)


class OpenTrial:
    """A trial that runs."""

    def __init__(self, config: dict[str, Any], started: float) -> None:
        self.config = config
        self.started = started
        self.history: list[dict[str, float]] = []
        self.last: dict[str, Any] = {}
        self.scores = b""
        self.memory = 0
        self.error = ""
        self.state = ""


def all_failed(statuses: Sequence[Status]) -> bool:
    """Whether a study's first trials, FRUITLESS or more of them, all failed."""
    return len(statuses) >= FRUITLESS and not set(statuses) - {"failed", "out-of-memory"}


def why(error: BaseException | str | None) -> tuple[Status, str]:
    """The status and a one-line reason for what ended a trial."""
    text = str(error or "no reason was given")
    reason = first_line(text)
    memory = ("outofmemory", "out of memory", "memoryerror")
    if any(word in f"{type(error).__name__} {text}".lower() for word in memory):
        return "out-of-memory", reason
    if Hung.__name__ in reason.split(":")[0]:
        return "timed-out", reason
    return "failed", reason


def first_line(text: str) -> str:
    """The last line of a traceback, or the first of a message: what a table has room for."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "no reason was given"
    return (lines[-1] if any(line.startswith("Traceback") or "ray::" in line for line in lines) else lines[0])[:500]
