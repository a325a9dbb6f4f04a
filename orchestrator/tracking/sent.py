"""What one tracker was sent of a run, so that nothing is sent twice: a line a record, in the run's folder."""

import fcntl
import json
from contextlib import suppress
from typing import Self

from orchestrator.artifacts.events import Training
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from trainables.errors import InputError
from trainables.files import append_line, text_sha256


class Sent:
    """The list of one tracker and place; one process at a time may have it open."""

    def __init__(self, folder: RunFolder, name: str, destination: str) -> None:
        """InputError where another process sends there."""
        stem = f"{name}-{text_sha256(destination)[:8]}"
        self._path = folder.tracking / f"{stem}.jsonl"
        folder.tracking.mkdir(exist_ok=True)
        self._lock = (folder.tracking / f"{stem}.lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InputError(
                f"Another process sends {folder.whole} to {name}. Wait for it; what it leaves out, a later "
                "`orchestrate track` sends."
            ) from None
        except OSError:  # a file system without locks
            pass
        self._known: set[str] = set()
        lines = self._path.read_text(encoding="ascii", errors="replace") if self._path.exists() else ""
        for line in lines.splitlines():
            with suppress(ValueError, KeyError, TypeError):  # of what a crash cut off: it is sent again
                self._known.add(str(json.loads(line)["sent"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._lock.close()

    def __contains__(self, what: str) -> bool:
        return what in self._known

    def note(self, what: str) -> None:
        """It was sent."""
        self._known.add(what)
        append_line(self._path, json.dumps({"sent": what}))


def known_as(training: Training, record: TrialRecord) -> str:
    """What a record is called in such lists: a training that was repeated has several."""
    return f"{training.name} {record.stage} {record.provenance.finished}"
