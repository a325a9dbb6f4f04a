"""Cells on a worker that sees no run: it works in a folder of its own, and sends home what is kept."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from orchestrator.artifacts.models import NOTE, WEIGHTS
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import ReadingLog
from orchestrator.machine.home import AtHome
from orchestrator.machine.shipping import Shipping
from trainables.small_files import SmallFiles

LOG = "log"
"""The kind of `ReadingLog` at home."""
ARRIVING = "arriving"
"""The folder, in that of a run's states, of what cells have sent: one a reading of the test part, moved to the models
when all of it is there."""


@dataclass(frozen=True)
class ShippedLog(ReadingLog):
    """A run's log of readings; a worker has it by Home."""

    shipping: Shipping = field(kw_only=True, repr=False, compare=False)

    def __reduce__(self) -> Any:
        return HomeLog, (self.shipping.home, LOG, (self.path, self.split, self.command))


@dataclass(frozen=True)
class HomeLog(AtHome):
    """The log of readings at home."""

    def add(self, variant: str, seed: int, weights: str, moment: str) -> str:
        """As `ReadingLog.add`, but that a call which was cut off and is repeated writes its line once."""
        line: str = self.call("add_once", variant, seed, weights, moment)
        return line


@dataclass(frozen=True)
class RunAtHome:
    """What a run has at home for its cells."""

    models: SmallFiles
    states: SmallFiles


@dataclass(frozen=True)
class Keeping:
    """Where a cell's model is kept, and whose weights it may have."""

    run: RunFolder
    source: TrialRecord | None = None
    """Of a completed cell of the run that has the same weights: they are taken over where they are whole."""
    home: RunAtHome | None = None
    """Where the worker does not see the run; None: it does."""

    @contextmanager
    def folder(self) -> Iterator[RunFolder]:
        """The run's own, or one for this worker alone, with what the source has left."""
        if self.home is None:
            yield self.run
            return
        with tempfile.TemporaryDirectory(prefix="orchestrator-cell-") as scratch:
            run = RunFolder(scratch)
            if self.source is not None:
                self._fetch(self.home, run, self.source)
            yield run

    def _fetch(self, home: RunAtHome, run: RunFolder, source: TrialRecord) -> None:
        """What is not there is missed by who takes it over."""
        folder = run.model(source.variant, source.seed)
        folder.mkdir(parents=True)
        for name in (NOTE, WEIGHTS, *source.files):
            with suppress(FileNotFoundError):
                (folder / name).write_bytes(home.models.read(f"{source.variant}/{source.seed}/{name}"))

    def sent(self, run: RunFolder, record: TrialRecord) -> TrialRecord:
        """The record, once all that its cell has left in `run` is at home; OSError where there is no room."""
        if self.home is not None:
            folder = run.model(record.variant, record.seed)
            for path in sorted(one for one in folder.rglob("*") if one.is_file()):
                name = f"{ARRIVING}/{record.reading}/{path.relative_to(folder)}"
                # Heat maps of thousands of pictures are not worth a wait for the disk each.
                self.home.states.write(name, [path.read_bytes()], wait=path.name in (WEIGHTS, *record.files))
        return record


def arrived(run: RunFolder, record: TrialRecord) -> None:
    """Put what a cell has sent in the place of its model."""
    folder = run.states / ARRIVING / record.reading
    if record.reading and folder.is_dir():
        model = run.model(record.variant, record.seed)
        model.parent.mkdir(parents=True, exist_ok=True)
        if model.exists():
            shutil.rmtree(model)
        shutil.move(folder, model)


def forget_arrivals(run: RunFolder) -> None:
    """Remove what cells have sent that came to no record."""
    shutil.rmtree(run.states / ARRIVING, ignore_errors=True)
