"""What a person sees while a run works: one calm line a stage, or nothing."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from trainables.printing import printable, printable_lines

PLAIN_INTERVAL = 30.0
"""Seconds between lines where the output is no terminal (a log file, a batch job)."""


class Line:
    """One stage's line: how much is done, a note, and the time left."""

    def __init__(self, title: str, total: int, unit: str, progress: Progress | None, console: Console | None) -> None:
        title = printable(title)
        self._title = title
        self._total = total
        self._unit = unit
        self._progress = progress
        self._console = console
        self._task: TaskID | None = None if progress is None else progress.add_task(title, total=total, note="")
        self._started = self._said = time.monotonic()
        self._first = 0
        self._done: int | None = None
        self._text = ""

    def update(self, done: int, note: str = "", total: int | None = None, seconds_left: float | None = None) -> None:
        """Show that `done` of the total are done; `total` and `seconds_left` where the caller knows better."""
        self._total = total or self._total
        if self._done is None:
            self._first = done
        self._done = done
        left = self._time_left(done, seconds_left)
        self._text = printable("  ".join(part for part in (note, left) if part))
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=self._total, note=self._text)
        elif self._console is not None and time.monotonic() - self._said >= PLAIN_INTERVAL:
            self._said = time.monotonic()
            self._console.print(f"{self._title}: {done}/{self._total} {self._unit}  {self._text}", markup=False)

    def end(self) -> None:
        """The line that stays."""
        if self._progress is None and self._console is not None and self._total:
            seconds = time.monotonic() - self._started
            note = self._text.split("  left ")[0]
            done = f"{self._done or 0}/{self._total} {self._unit} in {seconds:.0f} s"
            self._console.print(f"{self._title}: {done}  {note}".rstrip(), markup=False)

    def _time_left(self, done: int, seconds: float | None) -> str:
        new = done - self._first
        if done >= self._total or new <= 0:
            return ""
        if seconds is None:
            seconds = (time.monotonic() - self._started) / new * (self._total - done)
        return f"left {duration(seconds)}" if math.isfinite(seconds) else ""


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
    def line(self, title: str, total: int, unit: str) -> Iterator[Line]:
        """A live line for the time of a stage."""
        if self._console is None or not sys.stderr.isatty():
            line = Line(title, total, unit, None, self._console)
            yield line
            line.end()
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            line = Line(title, total, unit, progress, self._console)
            yield line
            line.end()


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3 min, 2 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
