"""The journal of one search: an Optuna study on a file that outlives a crash."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from trainables.interface import Mode


class Journal(JournalFileBackend):
    """Optuna's journal file, written by one process at a time (the run's lock sees to that), and not waited for.

    Optuna's own waits for the disk at each line, six times a trial. Nothing hangs on the last lines: the records are
    the truth, and what a loss of power took is drawn again.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append a line each; where there is no room, none."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        before = self._path.stat().st_size
        try:
            with self._path.open("ab") as file:
                file.write(lines.encode("utf-8"))
        except OSError:
            with suppress(OSError):
                os.truncate(self._path, before)
            raise


def open_study(journal: Path, name: str, mode: Mode) -> optuna.Study:
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


def _open(journal: Path, name: str, mode: Mode) -> optuna.Study:
    storage = JournalStorage(Journal(journal))
    direction: Literal["maximize", "minimize"] = "maximize" if mode == "max" else "minimize"
    study = optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
    study.get_trials(deepcopy=False)
    return study
