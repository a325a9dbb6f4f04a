"""Watching a folder: each file is scored once it is complete, once, across restarts and kills."""

import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from orchestrator.data.layouts.left_out import listed_suffixes, plural
from orchestrator.data.layouts.walking import checked_root
from orchestrator.machine.progress import Reporter
from orchestrator.using.live.alarms import Alarms, command_of
from orchestrator.using.live.arrivals import Arrivals, Arrived
from orchestrator.using.live.watch_results import Line, WatchResults
from orchestrator.using.order import Asked, Judging, judging
from orchestrator.using.result_file import SUFFIXES, checked_out
from orchestrator.using.rows import Row
from trainables.errors import InputError
from trainables.printing import printable

if TYPE_CHECKING:  # torch costs seconds that a wrong path should not
    from orchestrator.scoring.drift_watch import DriftWatch
    from orchestrator.using.scorer import Scorer

BATCH = 32
"""Files that are scored at a time, where so many wait."""
WAIT = 0.5
"""Seconds after which a wish to stop is heard, where nothing comes."""
TRIES = 4
"""How often a file is tried that gives no result, while it is so young that it may be growing."""
YOUNG = 60.0
"""Seconds since a file was written, for which it is."""


@dataclass(frozen=True)
class Watched:
    """What became of a watch."""

    counts: dict[str, int]
    """Files that this watch scored, by verdict; those without a result under `failed`."""
    out: Path
    seconds: float

    def text(self) -> str:
        """For a person."""
        total = sum(self.counts.values())
        counted = ", ".join(f"{count} {printable(name)}" for name, count in sorted(self.counts.items())) or "none"
        return f"{plural(total, 'file')} in {self.seconds:.1f} s: {counted}.\nResults: {self.out}"


def watch(
    model: str | Path,
    folder: str | Path,
    out: str | Path,
    *,
    command: str | None = None,
    normal: str | None = None,
    exec_timeout: float = 60.0,
    settle: float = 1.0,
    poll: float | None = None,
    once: bool = False,
    seed: int | None = None,
    threshold: float | None = None,
    strategy: str | None = None,
    ensemble: bool = False,
    device: str = "auto",
    trust: str | Sequence[str] = (),
    on_row: Callable[[Line], object] | None = None,
    stop: Event | None = None,
    reporter: Reporter | None = None,
) -> Watched:
    """Score the files of a folder, and of all folders in it, as they are complete: a JSON line each, appended to `out`.

    `model`, `seed`, `threshold`, `strategy`, `ensemble`, `device`, `trust`: as in `predict`. A file is complete when it
    was not written to for `settle` seconds and nobody holds it open for writing, as far as the kernel tells; one that
    is moved into place is at once. Where the kernel tells nothing, as on network folders, the folder is looked over
    every `poll` seconds. What has a line in `out` is not scored again, but for files that changed since. `command` is
    run for each anomaly (of a classifier: for each class that is not `normal`), with the file's path in place of `{}`,
    or at its end, after the line is on the disk: at least once, again where a kill left open whether it ended. `once`:
    end when all that lies there is scored. `on_row` hears each line; `stop`, once set, ends the watch after the files
    at hand. InputError for what can't be used, and where `out` can't be written any more.
    """
    begun, reporter, stop = time.perf_counter(), reporter or Reporter(), stop or Event()
    how = judging(
        model, Asked(seed=seed, threshold=threshold, strategy=strategy, ensemble=ensemble, device=device, trust=trust)
    )
    layout = how.subject.layout
    root = Path(os.path.abspath(checked_root(Path(folder), f"{listed_suffixes(layout)} files")))  # noqa: PTH100
    for name, seconds, least in (("settle", settle, 0.0), ("poll", poll, 0.01), ("exec-timeout", exec_timeout, 0.01)):
        if seconds is not None and not least <= seconds < 1e9:
            raise InputError(f"--{name} {seconds:g}: it must be a number of seconds, {least:g} at least.")
    words = None if command is None else command_of(command)
    _check_normal(how, normal, command is not None)
    target = _target(Path(out))
    results = WatchResults(target, root, {"model": str(how.chosen.folder), **how.about()})
    try:
        reporter.say(how.chosen.why)
        alarms = None if words is None else Alarms(words, exec_timeout, target, reporter.say)
        normal_class = normal if how.threshold is None else how.subject.classes[0]
        work = _Watch(how, root, results, alarms, normal_class, on_row, reporter)
        work.run(Arrivals(root, layout, results.known, reporter.say, settle=settle, poll=poll, once=once), once, stop)
    finally:
        results.close()
    return Watched(dict(work.counts), target, time.perf_counter() - begun)


def _target(out: Path) -> Path:
    if SUFFIXES.get(out.suffix.lower(), "json") != "json":
        raise InputError(f"--out {out}: the results of a watch are JSON lines. Give a name such as results.jsonl.")
    return checked_out(out, overwrite=True)


def _check_normal(how: Judging, normal: str | None, command: bool) -> None:
    """InputError where it is not known which verdict is an anomaly, or said twice."""
    name, listed = printable(how.subject.name), ", ".join(map(printable, how.subject.classes))
    if how.threshold is not None:
        if normal is not None:
            raise InputError(f"{name} detects: anomalies are above its threshold. Leave --normal out.")
    elif normal is not None and normal not in how.subject.classes:
        raise InputError(f"--normal {printable(normal)!r} is no class of {name}. Its classes: {listed}.")
    elif command and normal is None:
        raise InputError(
            f"{name} classifies: say by --normal which class is no reason to run the command. One of: {listed}."
        )


class _Watch:
    """One watch on its way."""

    def __init__(
        self,
        how: Judging,
        root: Path,
        results: WatchResults,
        alarms: Alarms | None,
        normal: str | None,
        on_row: Callable[[Line], object] | None,
        reporter: Reporter,
    ) -> None:
        self._how, self._root, self._results, self._alarms = how, root, results, alarms
        self._normal, self._on_row, self._reporter = normal, on_row, reporter
        self._tries: dict[str, int] = {}
        self.counts: Counter[str] = Counter()

    def run(self, arrivals: Arrivals, once: bool, stop: Event) -> None:
        """Until it is stopped, or all is scored."""
        ended = False
        self._arrivals = arrivals
        try:
            self._run_what_is_left()
            self._scorer = self._load(ready=not once)
            self._drift = self._drift_watch()
            part = arrivals.take(BATCH, 0)
            waiting, done = plural(len(arrivals), "file"), plural(self._results.counts.total(), "line")
            self._reporter.say(f"Watching {self._root}, {arrivals.way}: {waiting} to score, {done} of earlier starts.")
            while not stop.is_set() and not ended:
                if part:
                    self._look_for_drift(self._score(part))
                part = arrivals.take(BATCH, WAIT)
                ended = once and not part and arrivals.idle
        finally:
            arrivals.stop()
            if self._alarms is not None:
                self._alarms.finish(wait=ended)

    def _load(self, ready: bool) -> "Scorer":
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            scorer = self._how.load()
        for one in said:
            if one.category is UserWarning:
                self._reporter.say(str(one.message))
        if ready:
            scorer.start()
        return scorer

    def _run_what_is_left(self) -> None:
        """Have the command run for lines of earlier starts, of which nobody knows whether it ended."""
        if self._alarms is not None and self._results.alarms:
            run = self._alarms.run_before()
            left = [line for key, line in self._results.alarms.items() if key not in run]
            if left:
                self._reporter.say(f"The command has not ended for {plural(len(left), 'line')} of earlier starts: now.")
            for line in left:
                self._alarms.put(line["path"], line)
        self._results.alarms.clear()

    def _score(self, arrived: Sequence[Arrived]) -> list[Row]:
        """Score files, write the lines of those that stand, and have the command run."""
        paths = [os.path.join(self._root, one.path) for one in arrived]  # noqa: PTH118 - names of any bytes
        rows = self._scorer.rows(paths)
        for number, row in enumerate(rows):
            if row["status"] == "failed" and len(rows) > 1:  # alone, it may fit into memory
                rows[number] = self._scorer.rows([paths[number]])[0]
        standing = [number for number, one in enumerate(arrived) if self._stands(one, rows[number])]
        lines = {number: self._line(arrived[number], rows[number]) for number in standing}
        if lines:
            self._results.add(list(lines.values()))
        for number, line in lines.items():
            self._arrivals.done(arrived[number].path)
            self._tell(paths[number], line)
        return [rows[number] for number in standing]

    def _stands(self, one: Arrived, row: Row) -> bool:
        """Whether a row is of the file as it was when it was complete; else the file is tried again, if it is there."""
        tries = self._tries.pop(one.path, 1)
        now = self._arrivals.stamp(one.path)
        if now is None:
            self._arrivals.done(one.path)
            return False
        if now != one.stamp:
            self._arrivals.again(one.path)
            return False
        age = abs(time.time() - now.mtime_ns / 1e9)
        if row["status"] == "failed" and tries < TRIES and age < YOUNG:
            self._tries[one.path] = tries + 1
            self._arrivals.again(one.path, 2.0 ** (tries - 1))
            return False
        return True

    def _line(self, one: Arrived, row: Row) -> Line:
        line = {
            **self._how.table.plain(row),
            **{"size": one.stamp.size, "mtime_ns": one.stamp.mtime_ns},
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        return line if self._alarms is None else {**line, "alarm": self._is_anomaly(line)}

    def _is_anomaly(self, line: Line) -> bool:
        return self._normal is not None and line["status"] == "ok" and line["verdict"] != self._normal

    def _tell(self, path: str, line: Line) -> None:
        """Of one line that is on the disk."""
        self.counts[line["verdict"] if line["status"] == "ok" else "failed"] += 1
        if line["status"] == "failed":
            self._reporter.say(f"{printable(line['path'])} gives no result: {printable(line['reason'])}.")
        elif self._is_anomaly(line):
            self._reporter.say(f"{printable(line['path'])}: {printable(line['verdict'])}")
        if self._on_row is not None:
            self._on_row(line)
        if self._alarms is not None and line["alarm"]:
            self._alarms.put(path, line)

    def _drift_watch(self) -> "DriftWatch | None":
        from orchestrator.scoring.drift_watch import DriftWatch

        reference, counts = self._how.subject.reference, self._results.counts
        return None if reference is None else DriftWatch(reference, counts.total() - counts["failed"])

    def _look_for_drift(self, rows: Sequence[Row]) -> None:
        """Say where files begin to be unlike validation's, and where that ends."""
        from orchestrator.using.scorer import drift_columns

        said = "" if self._drift is None else self._drift.add(drift_columns(rows))
        if self._drift is None or not said:
            return
        self._reporter.say(said)
        found = self._drift.drift if self._drift.differs else None
        self._results.note({"drift": None if found is None else found.as_dict()})
