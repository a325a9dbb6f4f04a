"""Scoring new files with a kept model: few in this process, many by all CPUs; a broken-off scoring goes on."""

import errno
import json
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.models import ENSEMBLE
from orchestrator.data.layouts.left_out import plural
from orchestrator.machine.engine import Engine
from orchestrator.machine.progress import Reporter
from orchestrator.machine.resources import local_resources
from orchestrator.using.chosen_model import choose_model
from orchestrator.using.order import Asked, Order, settled
from orchestrator.using.result_file import ABOUT, Format, Journal, stamp_of
from orchestrator.using.rows import Row
from trainables.errors import InputError, storage_error
from trainables.files import is_file, write_whole
from trainables.own_code import OwnFiles

if TYPE_CHECKING:  # torch costs seconds that a wrong path should not
    from orchestrator.scoring.drift import Drift
    from orchestrator.using.loaded_model import LoadedModel

BATCHES = (1, 15, 64)
"""Files that are scored at a time: a first result at once, then ever more, the last from then on."""
LOOK = 3.0
"""Seconds of work after which it is known how long the rest takes in this process."""
NO_PLACE = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL)
"""What is said, beside what full and broken disks say, of a place where no results can be."""
WORTH_WORKERS = 40.0
"""Where that is longer, in seconds, all CPUs are worth the start of Ray and of a process each, some fifteen."""


@dataclass(frozen=True)
class Predicted:
    """What `predict` found."""

    model: Path
    counts: dict[str, int]
    """Files by verdict."""
    failed: int
    """Files without a result."""
    noted: int
    """Files with a result of which something was left out or taken for granted: the column `reason` says what."""
    drift: "Drift | None"
    """None where nothing could be compared: a model that an older version kept, or too few files."""
    out: Path | None
    remarks: tuple[str, ...]
    seconds: float
    rows: tuple[dict[str, Any], ...] = ()
    """What came out of each file, by column, where no file of results was asked for."""

    @property
    def files(self) -> int:
        """How many there were."""
        return sum(self.counts.values()) + self.failed

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "model": str(self.model),
            "files": self.files,
            "counts": self.counts,
            "failed": self.failed,
            "noted": self.noted,
            "out": None if self.out is None else str(self.out),
            "seconds": round(self.seconds, 3),
            "drift": None if self.drift is None else self.drift.as_dict(),
            "remarks": list(self.remarks),
        }

    def text(self) -> str:
        """For a person."""
        counted = [f"{count} {name}" for name, count in sorted(self.counts.items())]
        counted += [f"{self.failed} without a result"] if self.failed else []
        lines = [f"{plural(self.files, 'file')} in {self.seconds:.1f} s: {', '.join(counted)}."]
        if self.noted:
            lines.append(
                f"Of {plural(self.noted, 'file')} something was left out or taken for granted: the column `reason` "
                "says what."
            )
        drift = "" if self.drift is None else self.drift.text()
        return "\n".join([*lines, *([drift] if drift else []), *([f"Results: {self.out}"] if self.out else [])])


def best_model(
    run: str | Path,
    variant: str | None = None,
    seed: int | None = None,
    *,
    device: str = "cpu",
    trust: str | Sequence[str] = (),
) -> "LoadedModel":
    """The winner of a run, or of one of its variants, loaded: `best_model("runs/first").predict(paths)`.

    Of its seeds that which was best on validation, or `seed`. The rest is as in `load_model`. InputError where there is
    none, and for an ensemble, which `predict` takes.
    """
    from orchestrator.using.loaded_model import load_model

    chosen = choose_model(run if variant is None else f"{os.fspath(run)}:{variant}", seed)
    if (chosen.folder / ENSEMBLE).is_file():
        raise InputError(f"{chosen.folder} is an ensemble of several models. Give it to `predict`, which scores files.")
    return load_model(chosen.folder, device, trust=trust)


def predict(
    model: str | Path,
    inputs: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    seed: int | None = None,
    threshold: float | None = None,
    strategy: str | None = None,
    ensemble: bool = False,
    heat_maps: str | Path | None = None,
    parquet: bool = False,
    strict: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    trust: str | Sequence[str] = (),
    reporter: Reporter | None = None,
) -> Predicted:
    """Score files with a run's winner, a variant of it, an ensemble, or a kept model: a row a file.

    `model`: as `choose_model` takes it; `seed`: of which seed, else of the one that was best on validation; `ensemble`:
    all seeds of the variant together. `inputs`: files, folders, or `-` for paths on standard input, one a line. `out`:
    a file of results (.csv, .jsonl or .parquet), whole or not there; what was broken off goes on by the same call;
    without it the rows are in what is returned. `threshold`, or a `strategy` fitted to the kept validation scores,
    draws a detector's line elsewhere. `heat_maps`: a folder for heat map, mask and overlay of each file. `strict`: a
    file that gives no result is an InputError and not a row. `device`: auto, cpu or cuda. `trust`: own code that may
    run. InputError for what can't be used, before any file is scored.
    """
    form: Format | None = "parquet" if parquet else None
    asked = Asked(form, seed, threshold, strategy, ensemble, heat_maps, device, trust, strict, overwrite)
    return score_files(model, [inputs] if isinstance(inputs, str | Path) else list(inputs), out, asked, None, reporter)


def score_files(
    model: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path | None,
    asked: Asked,
    on_text: Callable[[str], object] | None,
    reporter: Reporter | None,
) -> Predicted:
    """`predict`, for the terminal too: without `out`, `on_text` hears the rows as text while they come."""
    begun, reporter = time.perf_counter(), reporter or Reporter()
    order = settled(model, inputs, out, asked, sys.stdin or ())  # closed: None
    for remark in (order.chosen.why, *order.inputs.remarks):
        reporter.say(remark)
    with _told(order):
        work = _Work(order, reporter, on_text)
        work.run()
    found = Predicted(
        model=order.chosen.folder,
        counts=dict(work.counts),
        failed=work.failed,
        noted=work.noted,
        drift=work.drift(),
        out=order.out,
        remarks=(*order.inputs.remarks, *work.remarks),
        seconds=time.perf_counter() - begun,
        rows=tuple(work.rows),
    )
    if order.out is not None:
        about = {**found.as_dict(), **order.about()}
        path = order.out.with_name(order.out.name + ABOUT)
        with _told(order):
            write_whole(path, json.dumps(about, indent=1, allow_nan=False) + "\n", wait=False)
    return found


@contextmanager
def _told(order: Order) -> Iterator[None]:
    """Within, what a disk says that results can't be written to is an InputError that says how to go on."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        cause = storage_error(error, *NO_PLACE)
        if cause is None:
            raise
        there = order.out is not None and is_file(order.journal)
        kept = f" What is scored is kept in {order.journal}: the same command goes on." if there else ""
        raise InputError(
            f"{cause.filename or order.out or 'Standard output'}: {cause.strerror}. Make room, or give another place."
            f"{kept}"
        ) from error


class _Work:
    """One scoring on its way."""

    def __init__(self, order: Order, reporter: Reporter, on_text: Callable[[str], object] | None) -> None:
        self.order, self.reporter, self._on_text = order, reporter, on_text
        self.rows: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.remarks: list[str] = []
        self.noted = self.failed = 0
        self._columns: list[dict[str, NDArray[np.float64]]] = []
        self._header = True
        paths = order.inputs.paths
        self.journal = None if order.out is None else Journal(order.journal, order.identity(), paths)

    def run(self) -> None:
        """Score what is missing, and write the results where all of them are there."""
        order, journal = self.order, self.journal
        waiting = list(order.inputs.paths) if journal is None else journal.missing()
        if journal is not None and journal.done:
            self.reporter.say(f"Going on: {plural(journal.done, 'file')} of an earlier start, unchanged since, stand.")
        try:
            with self.reporter.line("predict", len(order.inputs.paths), "files") as line:
                self._line, self._done = line, len(order.inputs.paths) - len(waiting)
                line.update(self._done)
                self._score(waiting)
            if journal is not None and order.out is not None:
                order.table.write(order.out, self._seen(journal.rows()), order.form)
                journal.remove()
        finally:
            if journal is not None:
                journal.close()

    def drift(self) -> "Drift | None":
        """How the pictures with a result lie to validation's."""
        if self.order.subject.reference is None or not self._columns:
            return None
        from orchestrator.scoring.drift import drift_of

        names = self._columns[0].keys()
        return drift_of(
            self.order.subject.reference, {name: np.concatenate([one[name] for one in self._columns]) for name in names}
        )

    def _score(self, waiting: Sequence[str]) -> None:
        if not waiting:
            return
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            scorer = self.order.load()
        self.remarks += [str(one.message) for one in said if one.category is UserWarning]
        for remark in self.remarks:
            self.reporter.say(remark)
        begun, done = time.perf_counter(), 0
        for size in _sizes(len(waiting)):
            part = waiting[done : done + size]
            stamps = [stamp_of(path) for path in part]
            self._add(part, stamps, scorer.rows(part))
            done += len(part)
            took = time.perf_counter() - begun
            if took >= LOOK and done > 1 and self._worth_workers((len(waiting) - done) * took / done):
                self._by_workers(waiting[done:])
                break

    def _worth_workers(self, seconds: float) -> bool:
        return seconds > WORTH_WORKERS and local_resources().cpus > 1

    def _by_workers(self, waiting: Sequence[str]) -> None:
        """The rest by all CPUs, through Ray Data."""
        from orchestrator.machine.worker_pool import by_workers
        from orchestrator.using.predict_worker import PredictBatch

        order, engine = self.order, Engine()
        offered = local_resources()
        workers = max(1, int(offered.cpus))
        arguments = (
            order.subject,
            order.device,
            order.trust,
            order.threshold,
            order.heat_maps,
            str(Path.cwd()),
            OwnFiles(),
        )
        size = BATCHES[-1]
        jobs = [list(waiting[start : start + size]) for start in range(0, len(waiting), size)]
        share = offered.gpus / workers if order.device.startswith("cuda") else 0
        try:
            engine.start()
            most = len(jobs) if engine.remote else workers
            waits = self._line.waits
            for names, stamps, rows in by_workers(PredictBatch, arguments, jobs, most=most, gpus=share, waits=waits):
                self._add(names, stamps, rows)
        finally:
            engine.stop()

    def _add(self, names: Sequence[str], stamps: Sequence[str], rows: Sequence[Row]) -> None:
        for row in rows:
            if self.order.strict and row["status"] == "failed":
                raise InputError(
                    f"{row['path']!r} gives no result: {row['reason']}. Mend it or leave it out, or leave --strict out."
                )
        if self.journal is None and self._on_text is not None:
            for piece in self.order.table.text(self._seen(rows), self.order.form, header=self._header):
                self._on_text(piece)
            self._header = False
        elif self.journal is None:
            self.rows += [self.order.table.plain(row) for row in self._seen(rows)]
        else:
            self.journal.add(names, stamps, rows)
        self._done += len(rows)
        self._line.update(self._done)

    def _seen(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same, counted, and remembered for the comparison with validation."""
        from orchestrator.using.scorer import drift_columns

        part: list[Row] = []
        for row in rows:
            if row["status"] == "ok":
                self.counts[row["verdict"]] += 1
                self.noted += bool(row["reason"])
            else:
                self.failed += 1
            part.append(row)
            if len(part) == BATCHES[-1]:
                self._columns += [columns] if (columns := drift_columns(part)) else []
                part = []
            yield row
        self._columns += [columns] if (columns := drift_columns(part)) else []


def _sizes(count: int) -> Iterator[int]:
    """How many files at a time, for so many."""
    for size in BATCHES[:-1]:
        yield size
        count -= size
    while count > 0:
        yield BATCHES[-1]
        count -= BATCHES[-1]
