"""One variant's search: Ray Tune runs the trials, Optuna suggests them, every ended trial becomes a record."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from ray import tune
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from orchestrator.experiment import Experiment, Variant
from orchestrator.families import family_row
from orchestrator.records import Provenance, Status, TrialRecord
from orchestrator.search.optuna_search import OptunaSearcher, tell
from trainables.trainable import run_trial
from trainables.trial import Job

GRACE_SHARE = 4
"""ASHA stops no trial in the first quarter of the epochs: plateau schedules and warm BatchNorm need that long."""


TIME_USED_UP = "the search's time was used up"


@dataclass(frozen=True)
class Study:
    """What one search needs beside its job."""

    experiment: Experiment
    variant: Variant
    optuna: optuna.Study
    trials: int
    """Still to run."""
    concurrent: int
    seconds: float | None
    """Wall time left; None: no limit."""
    scratch: Path
    """Ray's own state: a cache, removed afterwards."""
    provenance: Callable[[], Provenance]
    on_record: Callable[[TrialRecord], None]
    """Called for every trial that ended, in the driver; writes the record."""


def run_study(study: Study, job: Job) -> None:
    """Run the trials that are left. Failures stay in their trial; each ends in a record."""
    variant, experiment = study.variant, study.experiment
    searcher = OptunaSearcher(
        study.optuna,
        family_row(variant.family).suggest,
        job.family.config,
        fixed=variant.fixed,
        space=variant.space,
        seed=experiment.seeds[0],
        training_seed=experiment.seeds[0],
    )
    ledger = Ledger(study, job.metric)
    resources: dict[str, float] = {"cpu": experiment.resources.cpus, "gpu": experiment.resources.gpus}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(run_trial, job=job), resources),
        tune_config=tune.TuneConfig(
            metric="objective",
            mode=job.mode,
            search_alg=searcher,
            scheduler=scheduler(experiment),
            num_samples=study.trials,
            max_concurrent_trials=study.concurrent,
            time_budget_s=study.seconds,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(name="tune", storage_path=str(study.scratch), verbose=0, callbacks=[ledger]),
    )
    try:
        tuner.fit()
    except TuneError as error:
        ledger.end_open("failed", f"Ray Tune stopped: {first_line(str(error))}")
    else:
        ledger.end_open("timed-out", TIME_USED_UP)
    finally:
        # After Ctrl-C what was running has no record: the journal still knows it, and a resume runs it first.
        shutil.rmtree(study.scratch, ignore_errors=True)


def scheduler(experiment: Experiment) -> TrialScheduler:
    """ASHA by epochs, or none. A one-epoch family is never stopped by it."""
    if experiment.scheduler == "none" or experiment.budget.epochs < 2:
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    most = experiment.budget.epochs
    return ASHAScheduler(time_attr="epoch", max_t=most, grace_period=max(1, most // GRACE_SHARE), reduction_factor=3)


class Ledger(tune.Callback):
    """Turns what Tune says of its trials into records, each as soon as its trial has ended."""

    def __init__(self, study: Study, metric: str) -> None:
        self._study = study
        self._metric = metric
        self._open: dict[str, OpenTrial] = {}
        self._deadline = None if study.seconds is None else time.monotonic() + study.seconds

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._open.setdefault(trial.trial_id, OpenTrial(trial.config, time.monotonic()))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        opened = self._open[trial.trial_id]
        opened.history.append({"epoch": float(result["epoch"]), **result["row"]})
        opened.last = result

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        opened = self._open.get(trial.trial_id)
        if opened is None:
            return
        finished = bool(opened.last.get("finished"))
        if not finished and self._deadline is not None and time.monotonic() >= self._deadline:
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
            peak_memory=last.get("peak_memory"),
            facts=last.get("facts", {}),
            provenance=self._study.provenance(),
        )
        self._study.on_record(record)
        tell(self._study.optuna, record, self._metric)


class OpenTrial:
    """A trial that runs."""

    def __init__(self, config: dict[str, Any], started: float) -> None:
        self.config = config
        self.started = started
        self.history: list[dict[str, float]] = []
        self.last: dict[str, Any] = {}


def why(error: BaseException | str | None) -> tuple[Status, str]:
    """The status and a one-line reason for what ended a trial."""
    text = str(error or "no reason was given")
    reason = first_line(text)
    memory = ("outofmemory", "out of memory", "memoryerror")
    if any(word in f"{type(error).__name__} {text}".lower() for word in memory):
        return "out-of-memory", reason
    return "failed", reason


def first_line(text: str) -> str:
    """The last line of a traceback, or the first of a message: what a table has room for."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "no reason was given"
    return (lines[-1] if any(line.startswith("Traceback") or "ray::" in line for line in lines) else lines[0])[:500]
