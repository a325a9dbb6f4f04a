"""Optuna behind Ray Tune's Searcher, on a journal that outlives a crash."""

import hashlib
import math
import warnings
from collections.abc import Iterable
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
    ) -> None:
        super().__init__(metric="objective", mode="max")
        self.study = study
        self._suggest = suggest
        self._config = config
        self._fixed = fixed
        self._space = space
        self._seed = seed
        self._training_seed = training_seed

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """The next configuration: `number`, `config` and `seed`, as trainables.trainable.run_trial takes them."""
        self.study.sampler = sampler(self._seed, len(self.study.get_trials(deepcopy=False)))
        trial = self.study.ask()
        drawn = draw_config(self._suggest, trial, self._fixed, self._space)
        # As the family understands it here: a relative path means another file in a worker's folder.
        config = self._config(**drawn).model_dump(mode="json", include=set(drawn))
        return {"number": trial.number, "config": config, "seed": self._training_seed}

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
    """The study on a journal file, made if it is not there."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    direction: Literal["maximize", "minimize"] = "maximize" if mode == "max" else "minimize"
    return optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)


def reconcile(study: optuna.Study, records: Iterable[TrialRecord], metric: str) -> None:
    """After a crash: what has a record is told to the study; what was running is put back to be run first."""
    by_number = {record.trial: record for record in records}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.number in by_number:
            tell(study, by_number[trial.number], metric)
        else:
            study.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                study.enqueue_trial(trial.params)


def tell(study: optuna.Study, record: TrialRecord, metric: str) -> None:
    """Tell a study how a trial ended; a completed one without a finite value counts as failed."""
    value = record.metrics.get(metric, math.nan)
    state = STATE_OF[record.status]
    if state is TrialState.COMPLETE and not math.isfinite(value):
        state = TrialState.FAIL
    study.tell(record.trial, values=value if state is TrialState.COMPLETE else None, state=state, skip_if_finished=True)
