"""Optuna behind Ray Tune's Searcher, on a journal that outlives a crash."""

import hashlib
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.search import Searcher

from orchestrator.records import Status, TrialRecord
from search_spaces.overrides import Suggest, draw_config
from trainables.interface import FamilyConfig

STATE_OF: dict[Status, TrialState] = {
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "out-of-memory": TrialState.FAIL,
    "timed-out": TrialState.FAIL,
}

THRESHOLD = "threshold.strategy"
"""The parameter's name in a study: with a dot, as no family's key has one."""


class OptunaSearcher(Searcher):
    """Suggests configurations from one study. The study is told how a trial ended by `tell`."""

    def __init__(
        self,
        study: optuna.Study,
        suggest: Suggest,
        config: type[FamilyConfig],
        fixed: dict[str, Any],
        space: dict[str, Any],
        seed: int,
        training_seed: int,
        strategies: tuple[str, ...] = (),
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        """`strategies`: threshold strategies to draw from as a hyperparameter; none: none is drawn.

        `ended` says whether the search is over before all its trials have run.
        """
        super().__init__(metric="objective", mode="max")
        self.study = study
        self._suggest = suggest
        self._config = config
        self._fixed = fixed
        self._space = space
        self._seed = seed
        self._training_seed = training_seed
        self._strategies = strategies
        self._ended = ended
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._unfinished = [trial.number for trial in running]

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]
        """The next trial: `number`, `config`, `seed` and `strategy`, as trainables.trainable.run_trial takes them;
        or that there is none."""
        if self._ended():
            finished: str = Searcher.FINISHED
            return finished
        trial, drawn, strategy = self.ask()
        # As the family understands it here: a relative path means another file in a worker's folder.
        config = self._config(**drawn).model_dump(mode="json", include=set(drawn))
        return {"number": trial.number, "config": config, "seed": self._training_seed, "strategy": strategy}

    def ask(self) -> tuple[optuna.Trial, dict[str, Any], str | None]:
        """A trial, its configuration and, where strategies are searched, its threshold strategy."""
        trial = self._next()
        drawn = draw_config(self._suggest, trial, self._fixed, self._space)
        strategy = trial.suggest_categorical(THRESHOLD, self._strategies) if self._strategies else None
        return trial, drawn, strategy

    def _next(self) -> optuna.Trial:
        """A trial that a crash left running, under its old number and with what it had drawn; else a new one."""
        if self._unfinished:
            number = self._unfinished.pop(0)
            self.study.sampler = sampler(self._seed, number)
            return optuna.Trial(self.study, self.study.get_trials(deepcopy=False)[number]._trial_id)
        self.study.sampler = sampler(self._seed, len(self.study.get_trials(deepcopy=False)))
        return self.study.ask()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the study is told by `tell`, once the record is on the disk."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher for a restore from its own state, which is never done here."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the state."""


def sampler(seed: int, number: int) -> optuna.samplers.BaseSampler:
    """Optuna's TPE for one trial, seeded by study and trial number, so that a resume draws what it would have."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=int.from_bytes(digest[:4], "big"), constant_liar=True)


def open_study(journal: Path, name: str, mode: Literal["max", "min"]) -> optuna.Study:
    """The study on a journal file, made if it is not there. A journal that can't be read is put aside."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    _cut_unfinished_line(journal)
    try:
        return _open(journal, name, mode)
    except OSError:
        raise
    except Exception:  # Optuna raises what it meets in a spoiled journal: KeyError, JSONDecodeError, AssertionError
        put_aside(journal)
        return _open(journal, name, mode)


def _cut_unfinished_line(journal: Path) -> None:
    """Remove what a crash left of a last line: Optuna passes over it, but would write its next line right behind."""
    if not journal.exists():
        return
    content = journal.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        os.truncate(journal, end)


def put_aside(journal: Path) -> None:
    """Keep a journal that is not this run's under another name."""
    if journal.exists():
        journal.replace(journal.with_name(f"{journal.name}.broken-{time.time_ns()}"))


def _open(journal: Path, name: str, mode: Literal["max", "min"]) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(journal)))
    direction: Literal["maximize", "minimize"] = "maximize" if mode == "max" else "minimize"
    study = optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
    study.get_trials(deepcopy=False)
    return study


def agrees(study: optuna.Study, records: Iterable[TrialRecord]) -> bool:
    """Whether a study and these records tell of the same trials: each record's has the same values, each ended one has
    a record. A record may be ahead of the study, never behind: it is written first."""
    trials = study.get_trials(deepcopy=False)
    if any(trial.state is TrialState.WAITING for trial in trials):
        return False  # a rebuilding that was broken off
    by_number = {record.trial: record for record in records}
    ended = (trial.number for trial in trials if trial.state.is_finished())
    return by_number.keys() >= set(ended) and all(
        number < len(trials)
        and all(
            record.config.get(name, value) == value
            for name, value in trials[number].params.items()
            if name != THRESHOLD
        )
        for number, record in by_number.items()
    )


def rebuild(study: optuna.Study, records: Iterable[TrialRecord], asker: OptunaSearcher, metric: str) -> None:
    """Fill an empty study from the records: the same trials under the same numbers, told as they ended.

    A number without a record is left running, with what the sampler draws for it: it runs first.
    """
    by_number = {record.trial: record for record in records}
    for number in range(max(by_number, default=-1) + 1):
        record = by_number.get(number)
        if record is not None:
            strategy = {} if record.threshold is None else {THRESHOLD: record.threshold.strategy}
            study.enqueue_trial({**record.config, **strategy})
        asker.ask()
        if record is not None:
            tell(study, record, metric)


def reconcile(study: optuna.Study, records: Iterable[TrialRecord], metric: str) -> None:
    """After a crash: what has a record is told to the study. What was running without one, runs again first."""
    by_number = {record.trial: record for record in records}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.number in by_number:
            tell(study, by_number[trial.number], metric)


def tell(study: optuna.Study, record: TrialRecord, metric: str) -> None:
    """Tell a study how a trial ended; a completed one without a finite value counts as failed."""
    value = record.metrics.get(metric, math.nan)
    state = STATE_OF[record.status]
    if state is TrialState.COMPLETE and not math.isfinite(value):
        state = TrialState.FAIL
    study.tell(record.trial, values=value if state is TrialState.COMPLETE else None, state=state, skip_if_finished=True)
