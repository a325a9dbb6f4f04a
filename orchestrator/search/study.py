"""One variant's search: Ray Tune runs the trials, Optuna suggests them, every ended trial becomes a record."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from numpy.typing import NDArray
from ray import tune
from ray.tune.error import TuneError

from orchestrator.experiment import Experiment, Variant
from orchestrator.families import family_row
from orchestrator.records import Provenance, TrialRecord
from orchestrator.search.halving import scheduler
from orchestrator.search.journal import open_study, put_aside
from orchestrator.search.ledger import RETRIES, TIME_USED_UP, Ledger, first_line
from orchestrator.search.optuna_search import OptunaSearcher, agrees, rebuild, reconcile
from trainables.trainable import run_trial
from trainables.trial import Job

AT_ONCE = 1_000
"""Trials that one Tuner runs: Tune keeps some 120 KiB of each in memory until it ends."""


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
    say: Callable[[str], object] = str
    """Called with what a person should know."""
    renew: Callable[[], bool] = bool
    """Starts Ray anew after it gave the search up; False where that can't be done."""
    stage: Literal["search", "tuning"] = "search"
    """Of its records; tuning: of one variant of an ablation."""


def run_study(study: Study, job: Job) -> None:
    """Run the trials that are left. Failures stay in their trial; each ends in a record."""
    ledger = Ledger(study, job)
    while not _run(study, job, ledger):
        pass
    if ledger.unwritable is not None:
        raise ledger.unwritable


def _run(study: Study, job: Job, ledger: Ledger) -> bool:
    """Run Tune once over what is left, or a part of it; False where there is more to run."""
    variant, experiment = study.variant, study.experiment
    earlier = (*study.earlier, *ledger.records)
    searcher = open_searcher(
        study, earlier, job, lambda: ledger.fruitless or ledger.unwritable is not None or job.stopping()
    )
    ledger.searcher, given_back = searcher, ledger.given_back
    resources: dict[str, float] = {"cpu": experiment.resources.cpus, "gpu": experiment.resources.gpus}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(run_trial, job=job), resources),
        tune_config=tune.TuneConfig(
            metric="objective",
            mode=job.mode,
            search_alg=searcher,
            scheduler=scheduler(experiment.scheduler, experiment.epochs_of(variant), job.metric, job.mode, earlier),
            num_samples=min(AT_ONCE, study.trials - len(ledger.records)),
            max_concurrent_trials=study.concurrent,
            reuse_actors=True,
            trial_dirname_creator=attrgetter("trial_id"),  # by itself Tune builds paths of what was drawn
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(study.scratch),
            verbose=0,
            callbacks=[ledger],
            stop=Deadline(ledger.deadline),
            failure_config=tune.FailureConfig(max_failures=RETRIES),
        ),
    )
    try:
        tuner.fit()
    except (TuneError, RuntimeError) as error:
        # Ray's memory monitor ends a whole search for one trial.
        if ledger.end_killed(str(error)):
            if len(ledger.records) >= study.trials or study.renew():
                return len(ledger.records) >= study.trials
            study.say(f"{variant.name}: Ray ended the search for want of memory. Go on with --resume.")
            return True
        if not isinstance(error, TuneError):
            raise
        ledger.end_open("failed", f"Ray Tune stopped: {first_line(str(error))}")
    else:
        if not job.stopping() and ledger.unwritable is None:
            ledger.end_open("timed-out", TIME_USED_UP)
            ran = len(study.earlier) + len(ledger.records) - len(earlier)
            # Tune ends short of what is to be run after AT_ONCE trials, and where a worker was lost or slow to be used
            # again. As long as something comes of it, it is asked again.
            stuck = not ran and ledger.given_back == given_back
            return stuck or len(ledger.records) >= study.trials or ledger.fruitless or ledger.time_used_up
    finally:
        # After Ctrl-C what was running has no record: the journal still knows it, and a resume runs it first.
        shutil.rmtree(study.scratch, ignore_errors=True)
    return True


class Deadline(tune.Stopper):
    """Ends a search at a moment of the monotonic clock; Tune's own limit goes by the clock on the wall, which jumps."""

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        """Whether the time is used up."""
        return time.monotonic() >= self._moment


def open_searcher(
    study: Study, earlier: tuple[TrialRecord, ...], job: Job, ended: Callable[[], bool]
) -> OptunaSearcher:
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
    if not agrees(found, earlier):
        put_aside(study.journal)
        if earlier:
            study.say(f"{variant.name}: the journal of its search did not fit the records; it is made anew from them.")
        found = open_study(study.journal, variant.name, job.mode)
        rebuild(found, earlier, searcher(found), job.metric)
    reconcile(found, earlier, job.metric)
    return searcher(found)
