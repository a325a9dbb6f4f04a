"""One variant's search: Ray Tune runs the trials, Optuna suggests them, every ended trial becomes a record."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import optuna
from ray import tune
from ray.tune.error import TuneError

from orchestrator.artifacts.endings import RETRIES, TIME_USED_UP, first_line
from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.packing import have_room, packed
from orchestrator.experiment.placement import Placement
from orchestrator.experiment.search_methods import SCHEDULERS
from orchestrator.families import family_row
from orchestrator.machine.free_memory import free_memory
from orchestrator.machine.offered import AHEAD, GIBIBYTE, Offered
from orchestrator.machine.tasks import on_node
from orchestrator.search.default_trial import DEFAULT_TRIAL
from orchestrator.search.journal import open_study, put_aside
from orchestrator.search.ledger import Ledger
from orchestrator.search.searcher import OptunaSearcher, agrees, rebuild, reconcile
from orchestrator.search.study import Study
from trainables.training.trainable import run_trial
from trainables.training.trial import Job

AT_ONCE = 10_000
"""Trials that one Tuner runs: Tune keeps some 20 KiB of each in memory until it ends; each new one's workers start
anew."""
A_WAITING = 8
"""Trials that run on a cluster for each that waits for a worker."""


def run_study(study: Study, job: Job) -> float | None:
    """Run the trials that are left. Failures stay in their trial; each ends in a record.

    Returns the seconds that went by before the first epoch of any of them was over; None where none came so far.
    """
    ledger = Ledger(study, job)
    available = free_memory()
    while not _run(study, job, ledger, available):
        pass
    if not job.stopping() and ledger.unwritable is None:
        ledger.end_crowded()
    if ledger.unwritable is not None:
        raise ledger.unwritable
    return ledger.first_epoch


def _run(study: Study, job: Job, ledger: Ledger, available: int) -> bool:
    """Run Tune once over what is left, or a part of it; False where there is more to run. `available`: bytes of memory
    that were free when the search began."""
    variant, experiment = study.variant, study.experiment
    earlier = (*study.earlier, *ledger.records)
    alone = ledger.take_crowded()
    ledger.placement, trials = wave(study, alone, len(ledger.records), earlier)
    placement, job = ledger.placement, replace(job, memory=ledger.placement.memory)
    if placement.memory is not None and not alone:
        beside, most = int(1 / placement.gpus), placement.memory / GIBIBYTE
        study.say(f"{variant.name}: {beside} trainings share a GPU, each with up to {most:.1f} GiB, as measured.")

    def full(running: int) -> bool:
        if study.now is not None:
            return running >= (placement.at_once if alone else at_once(placement, study.now()))
        if study.offered is None or study.offered.elsewhere or study.placement.device != "cpu":
            return False
        return not have_room([ledger.held] * (running + 1) * study.placement.workers, available)

    ledger.searcher = open_searcher(study, earlier, job, ledger.no_more, full)
    for number in reversed(alone):
        ledger.searcher.again(number)
    given_back, epochs = ledger.given_back, experiment.epochs_of(variant)
    spared = (DEFAULT_TRIAL,) if experiment.objective.default_first else ()
    by_itself = placement.workers == 1
    resources = {"cpu": placement.cpus, "gpu": placement.gpus, **(on_node(placement.node) if placement.node else {})}
    if not by_itself:
        # Ray Train gives the workers their places; the trial itself waits, and has to ask for something: one byte.
        resources = {"memory": 1}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(run_trial, job=job), resources),
        tune_config=tune.TuneConfig(
            metric="objective",
            mode=job.mode,
            search_alg=ledger.searcher,
            scheduler=SCHEDULERS[experiment.scheduler].make(epochs, job.metric, job.mode, earlier, spared),
            num_samples=min(AT_ONCE, trials),
            # On a cluster, whose nodes come and go, the searcher says how many there are room for.
            max_concurrent_trials=placement.at_once if study.now is None else AT_ONCE,
            reuse_actors=by_itself,  # only with the trial do the workers of one that is pruned end
            trial_dirname_creator=attrgetter("trial_id"),  # by itself Tune builds paths of what was drawn
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(study.scratch),
            verbose=0,
            callbacks=[ledger],
            stop=Deadline(ledger.deadline, ledger.stranded),
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
            if ledger.stranded():
                ledger.crowd_open()
                return False
            ledger.end_open("timed-out", TIME_USED_UP)
            ran = len(study.earlier) + len(ledger.records) - len(earlier)
            # Tune ends short of what is to be run after AT_ONCE trials, and where a worker was lost or slow to be used
            # again. As long as something comes of it, it is asked again.
            stuck = not ran and ledger.given_back == given_back and not ledger.crowded
            return stuck or len(ledger.records) >= study.trials or ledger.fruitless or ledger.time_used_up
    finally:
        if not by_itself:
            from trainables.training.workers import free_all  # a second, that others are spared

            free_all()
        # After Ctrl-C what was running has no record: the journal still knows it, and a resume runs it first.
        shutil.rmtree(study.scratch, ignore_errors=True)
    return True


def wave(study: Study, alone: Sequence[int], ended: int, earlier: tuple[TrialRecord, ...]) -> tuple[Placement, int]:
    """Where the next trials run, and how many of them before this is asked again.

    `alone`: those that found no memory beside others, which come first. Where a GPU is shared by what was measured, one
    trial a GPU is measured before. `ended`: the trials that have, of those that the study had to run.
    """
    left, whole = study.trials - ended, study.placement
    if alone:
        largest = "" if study.now is None or whole.device == "cpu" else study.now().roomiest
        return replace(whole, at_once=1, node=largest), len(alone)
    shared = whole.device == "cuda" and whole.workers == 1
    if study.offered is None or study.experiment.resources.gpus != "auto" or not shared:
        return whole, left
    closer = packed(whole, study.offered, earlier, left)
    known = any(record.available_memory and record.gpus >= 1 for record in earlier)
    return closer, left if known else min(left, whole.at_once)


def at_once(placement: Placement, now: Offered) -> int:
    """How many trials are to be begun at a time on what a cluster has now: as many as find room, and some more for
    which its autoscaler may bring nodes, or which wait for a worker."""
    places = now.places(placement.cpus, placement.gpus) // placement.workers
    # Of workers that come free in one moment Tune keeps as many as trials wait, and ends the others.
    waiting = places // A_WAITING if placement.workers == 1 else 0
    room = places + (AHEAD if now.growing else waiting)
    return min(room, placement.most or room)


class Deadline(tune.Stopper):
    """Ends a search at a moment of the monotonic clock; Tune's own limit goes by the clock on the wall, which jumps."""

    def __init__(self, moment: float, sooner: Callable[[], bool]) -> None:
        """`sooner`: whether it ends before that."""
        self._moment, self._sooner = moment, sooner

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        """Whether the time is used up."""
        return time.monotonic() >= self._moment or self._sooner()


def open_searcher(
    study: Study,
    earlier: tuple[TrialRecord, ...],
    job: Job,
    ended: Callable[[], bool],
    full: Callable[[int], bool] = lambda running: False,
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
            training_seed=study.training_seed,
            sampler=experiment.sampler,
            strategies=experiment.threshold.strategies if experiment.threshold.search else (),
            ended=ended,
            default_first=experiment.objective.default_first,
            full=full,
            # Tunings of an ablation that differ in the threshold draw alike.
            shared=study.stage == "tuning",
        )

    found = open_study(study.journal, variant.name, job.mode)
    if not agrees(found, earlier):
        put_aside(study.journal)
        if earlier:
            study.say(f"{variant.name}: the journal of its search did not fit the records; it is made anew from them.")
        found = open_study(study.journal, variant.name, job.mode)
        rebuild(found, earlier, searcher(found), job.metric, job.limits)
    reconcile(found, earlier, job.metric, job.limits)
    return searcher(found)
