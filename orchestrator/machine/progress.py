"""What a person sees while a run works: one calm line a stage, or nothing."""

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from orchestrator.artifacts.at_work import AtWork, at_most
from trainables.printing import printable, printable_lines

PLAIN_INTERVAL = 30.0
"""Seconds between lines where the output is no terminal (a log file, a batch job)."""
WAITING_INTERVAL = 60.0
"""The same while it is waited for what only someone else can bring."""
RECENT = 20
"""The last units that the time left is reckoned by: a scheduler cuts later trials shorter than the first ones."""


MORE_THAN, AT_MOST = "more than ", "at most "
MOST_SHOWN = 2
"""Trainings that a line names; of more it says how many."""


class Line:
    """One stage's line: how much is done, a note, and the time left."""

    def __init__(
        self,
        title: str,
        total: int,
        unit: str,
        progress: Progress | None,
        console: Console | None,
        *,
        at_once: int = 1,
        seconds: float | None = None,
    ) -> None:
        """`at_once`: how many units run beside each other; `seconds`: after which the stage ends, done or not."""
        title = printable(title)
        self._title = title
        self._total = total
        self._unit = unit
        self._progress = progress
        self._console = console
        self._at_once = at_once
        self._started = self._said = time.monotonic()
        self._last_moment = math.inf if seconds is None else self._started + seconds
        self._done: int | None = None
        self._note = ""
        self._ends: float | None = None
        """The moment at which the stage is expected to end."""
        self._bound = ""
        """Where it can't end before, and may end much later, or the other way round: what stands before the time."""
        self._running = ""
        """What trains at this moment."""
        self._waits = ""
        """What is waited for where nothing can go on."""
        self._ended: deque[tuple[float, int]] = deque(maxlen=max(RECENT, 4 * at_once))
        """When so many were done, of late."""
        self._task: TaskID | None = None
        if progress is not None:
            self._task = progress.add_task(title, total=total, note="", line=self)

    def update(
        self,
        done: int,
        note: str = "",
        total: int | None = None,
        seconds_left: float | None = None,
        at_least: bool = False,
    ) -> None:
        """Show that `done` of the total are done; `total` and `seconds_left` (or more: `at_least`) where that is
        known better."""
        now = time.monotonic()
        self._total = max(total or self._total, done)
        if self._done is None:
            self._ended.append((self._started, done))
        elif done > self._done:
            self._ended.append((now, done))
        self._done, self._note = done, printable(note)
        self._ends, self._bound = self._expected_end(done, seconds_left, now), MORE_THAN * at_least
        self._show(now)

    def expect(self, seconds_left: float, at_least: bool = False) -> None:
        """What is left, seen anew while nothing ended: shown where the line is alive."""
        self._ends, self._bound = min(time.monotonic() + seconds_left, self._last_moment), MORE_THAN * at_least

    def running(self, trainings: Sequence[AtWork]) -> None:
        """Show what trains, epoch by epoch; and, where nothing has ended that tells what is left, what is at most."""
        self._running = at_work_text(trainings)
        now = time.monotonic()
        if self._ends is None or self._bound == AT_MOST:
            waiting = self._total - (self._done or 0) - len(trainings)
            left = at_most(trainings, max(0, waiting), self._at_once)
            if left is not None:
                self._ends, self._bound = min(now + left, self._last_moment), AT_MOST
        self._show(now)

    def waits(self, what: str) -> None:
        """Show what is waited for, at once and from then on as long as it is; empty: nothing any more."""
        if what == self._waits:
            return
        now, self._waits = time.monotonic(), what
        if what:
            self._said = now - WAITING_INTERVAL
        self._show(now)

    def _show(self, now: float) -> None:
        note = self._waits or "  ".join(part for part in (self._note, self._running) if part)
        done = self._done or 0
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=self._total, note=note)
        elif self._console is not None and now - self._said >= (WAITING_INTERVAL if self._waits else PLAIN_INTERVAL):
            self._said = now
            text = "  ".join(part for part in (note, "" if self._waits else self.time_left) if part)
            self._console.print(
                f"{self._title}: {done}/{self._total} {self._unit}  {text}", markup=False, soft_wrap=True
            )

    def end(self) -> None:
        """The line that stays."""
        self._ends = None
        if self._progress is None and self._console is not None and self._total:
            seconds = time.monotonic() - self._started
            done = f"{self._done or 0}/{self._total} {self._unit} in {seconds:.0f} s"
            self._console.print(f"{self._title}: {done}  {self._note}".rstrip(), markup=False, soft_wrap=True)

    @property
    def time_left(self) -> str:
        """What is left at this moment, of what was expected when the last unit ended; empty where nothing is known."""
        left = 0.0 if self._ends is None else self._ends - time.monotonic()
        return f"left {self._bound}{duration(left)}" if left > 0 else ""

    def _expected_end(self, done: int, seconds: float | None, now: float) -> float | None:
        since, before = self._ended[0]
        if done >= self._total or done <= before:
            return None
        if seconds is None:
            # Those that run are half done, all but the one that ended just now; so they were as the count began, or,
            # at the stage's own beginning, not begun.
            begun = self._ended[0][0] == self._started
            rate = (done - before + (begun and (self._at_once - 1) / 2)) / max(now - since, 1e-9)
            left = self._total - done
            seconds = (left - (min(self._at_once, left) - 1) / 2) / rate
        return min(now + seconds, self._last_moment) if math.isfinite(seconds) else None


class _TimeLeft(ProgressColumn):
    """What is left, counted down between two updates."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        return Text(task.fields["line"].time_left)


class _Screen:
    """Standard error, whose reader may go away (a log's pipe, a terminal): that must not end a run."""

    def write(self, text: str) -> None:
        self._try(sys.stderr.write, text)

    def flush(self) -> None:
        self._try(sys.stderr.flush)

    def _try(self, work: Callable[..., object], *arguments: str) -> None:
        try:
            work(*arguments)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stderr.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


class Reporter:
    """Says what happens on standard error, so that results on standard output stay clean."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = None if quiet else Console(file=cast(IO[str], _Screen()), highlight=False)

    def say(self, text: str) -> None:
        """One line of plain text."""
        if self._console is not None:
            self._console.print(printable_lines(text), markup=False, soft_wrap=True)

    @contextmanager
    def line(
        self, title: str, total: int, unit: str, *, at_once: int = 1, seconds: float | None = None
    ) -> Iterator[Line]:
        """A live line for the time of a stage, of whose units `at_once` run together; it ends after `seconds`."""
        if self._console is None or not sys.stderr.isatty():
            line = Line(title, total, unit, None, self._console, at_once=at_once, seconds=seconds)
            yield line
            line.end()
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            _TimeLeft(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            line = Line(title, total, unit, progress, self._console, at_once=at_once, seconds=seconds)
            yield line
            line.end()


def at_work_text(trainings: Sequence[AtWork], most: int = MOST_SHOWN) -> str:
    """How far trainings are, the first of them each: `trial 3: epoch 12/30, 2.1 s each, best 0.9312`."""
    said = []
    for one in trainings[:most]:
        if one.each is None:
            said.append(f"{one.kind} {one.number}: first epoch, {duration(one.had)} so far")
            continue
        pace = f"{one.each:.1f} s" if one.each < 60 else duration(one.each)
        best = "" if one.best is None else f", best {one.best:.4f}"
        said.append(f"{one.kind} {one.number}: epoch {one.epoch}/{one.epochs}, {pace} each{best}")
    more = len(trainings) - len(said)
    return "; ".join([*said, *([f"{more} more"] if more else [])])


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3 min, 2 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
