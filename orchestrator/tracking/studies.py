"""All studies of a run in one storage in memory, brought up to date again and again; its journals are only read."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from orchestrator.artifacts.run_folder import RunFolder


class ReadJournal(BaseJournalBackend):
    """A journal's lines, which nothing can be added to. A last line without its end is left for the next time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Those from this number on."""
        whole, _, _ = self._path.read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in whole.split(b"\n")[log_number_from:]] if whole else []

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Never called by what only reads."""
        raise PermissionError(f"{self._path} is only read")


class RunStudies:
    """The run's studies, copied: what is done to the copy, in the dashboard say, changes nothing of the run."""

    def __init__(self, folder: RunFolder) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._folder = folder
        self.storage = InMemoryStorage()
        self.unreadable: set[Path] = set()
        self._journals: dict[Path, JournalStorage] = {}
        self._copies: dict[Path, int] = {}
        self._lock = threading.Lock()

    def update(self) -> None:
        """Copy what is new."""
        with self._lock:
            for path, name in _journals(self._folder):
                try:
                    self._copy(path, name)
                except Exception:  # Optuna raises what it meets in a spoiled journal
                    self.unreadable.add(path)

    def _copy(self, path: Path, name: str) -> None:
        if path not in self._journals:
            self._journals[path] = JournalStorage(ReadJournal(path))
        journal = self._journals[path]
        for found in journal.get_all_studies():
            trials = journal.get_all_trials(found._study_id, deepcopy=False)
            if path not in self._copies:
                self._copies[path] = self.storage.create_new_study(_directions(found), name)
            copied = self.storage.get_all_trials(self._copies[path], deepcopy=False)
            for trial in trials[: len(copied)]:
                self._renew(copied[trial.number], trial)
            for trial in trials[len(copied) :]:
                self.storage.create_new_trial(self._copies[path], template_trial=trial)

    def _renew(self, copy: FrozenTrial, trial: FrozenTrial) -> None:
        if copy.state.is_finished():
            return
        number = copy._trial_id
        for name, value in trial.params.items():
            if name not in copy.params:
                space = trial.distributions[name]
                self.storage.set_trial_param(number, name, space.to_internal_repr(value), space)
        for epoch, value in trial.intermediate_values.items():
            if epoch not in copy.intermediate_values:
                self.storage.set_trial_intermediate_value(number, epoch, value)
        if trial.state != copy.state:
            self.storage.set_trial_state_values(number, trial.state, trial.values)


def _directions(study: Any) -> list[StudyDirection]:
    return list(study._directions)


def _journals(folder: RunFolder) -> list[tuple[Path, str]]:
    """The journals of a run and of its splits, with the names that their studies have beside each other."""
    found = [(path, path.stem) for path in sorted((folder.root / "studies").glob("*.journal"))]
    for path in sorted(folder.root.glob("splits/*/studies/*.journal")):
        found.append((path, f"split {path.parent.parent.name}: {path.stem}"))
    return found
