"""Where the values of a live series come from: standard input, a file that grows, or any iterable; in a thread."""

import os
import select
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import NamedTuple

from trainables.errors import InputError

READ = 8_192
"""Bytes that are read at a time."""
TICK = 0.05
"""Seconds from one look at a growing file to the next."""
AHEAD = 1_000
"""Pieces that are read before the first of them is worked on; then the source has to wait."""
LONGEST = 2**20
"""Bytes of a line; a longer one is no number."""


class Piece(NamedTuple):
    """What came at one moment."""

    lines: list[str]
    arrived: float
    """The moment, by the monotonic clock."""
    clock: float
    """The time of day."""
    live: bool
    """Whether it came just then; else it lay there, and waits as long as need be."""
    fresh: bool = False
    """Whether a new file begins with it."""


def of_descriptor(descriptor: int, stop: Event) -> Iterator[Piece]:
    """The lines of a pipe, a terminal or a file, to its end. Only a file's have lain there before."""
    live = not stat.S_ISREG(os.fstat(descriptor).st_mode)
    lines = _Lines()
    while not stop.is_set():
        if not select.select([descriptor], [], [], 0.2)[0]:
            continue
        data = os.read(descriptor, READ)
        yield _piece(lines.add(data) if data else lines.end(), live)
        if not data:
            return


def of_growing_file(path: Path, stop: Event, say: Callable[[str], object]) -> Iterator[Piece]:
    """The lines of a file, then those that are appended, without end; a file that takes its place is gone on with."""
    live, fresh = False, False
    while not stop.is_set():
        with path.open("rb", buffering=0) as file:
            lines, gone = _Lines(), False
            while not stop.is_set():
                data = file.read(READ)
                if data or fresh:
                    yield _piece(lines.add(data), live, fresh)
                    fresh = False
                    continue
                live = True
                if gone:
                    yield _piece(lines.end(), live)
                    break
                if os.fstat(file.fileno()).st_size < file.tell():
                    say(f"{path} was cut off: going on at its beginning.")
                    file.seek(0)
                    lines, fresh = _Lines(), True
                gone = _replaced(path, file.fileno())
                if not gone:
                    time.sleep(TICK)
        if gone:
            _wait_for(path, stop, say)
            fresh = True


def of_values(values: Iterable[float | str], stop: Event) -> Iterator[Piece]:
    """Numbers, or lines, one by one: whoever makes them waits."""
    for value in values:
        if stop.is_set():
            return
        yield _piece([str(value).rstrip("\r\n")], live=False)


class ValueSource:
    """Pieces of a source, read ahead by a thread, so that the moment at which each came is known."""

    def __init__(self, pieces: Iterator[Piece], stop: Event) -> None:
        self._pieces, self._stop = pieces, stop
        self._queue: Queue[Piece | None] = Queue(AHEAD)
        self._error: BaseException | None = None
        Thread(target=self._read, daemon=True, name="values").start()

    def next(self, seconds: float) -> Piece | None:
        """The next piece, waited for so long; None where none came. EOFError at the end; InputError where the source
        fails."""
        try:
            piece = self._queue.get(timeout=seconds) if seconds > 0 else self._queue.get_nowait()
        except Empty:
            return None
        if piece is not None:
            return piece
        if isinstance(self._error, OSError):
            raise InputError(f"The values can't be read any more: {self._error.strerror}.") from self._error
        if self._error is not None:
            raise self._error
        raise EOFError

    def _read(self) -> None:
        try:
            for piece in self._pieces:
                self._put(piece)
        except BaseException as error:  # whatever an iterable raises is told where its values are waited for
            self._error = error
        self._put(None)

    def _put(self, piece: Piece | None) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(piece, timeout=0.2)
            except Full:
                continue
            return


class _Lines:
    """Bytes, put together to whole lines."""

    def __init__(self) -> None:
        self._rest = b""
        self._first = True

    def add(self, data: bytes) -> list[str]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST:
            raise InputError(f"A line is longer than {LONGEST} bytes. Is this a series?")
        return [self._text(line) for line in whole]

    def end(self) -> list[str]:
        """The last line, where nothing ends it."""
        rest, self._rest = self._rest, b""
        return [self._text(rest)] if rest else []

    def _text(self, line: bytes) -> str:
        text = line.decode("utf-8-sig" if self._first else "utf-8", errors="replace")
        self._first = False
        return text.rstrip("\r")


def _piece(lines: list[str], live: bool, fresh: bool = False) -> Piece:
    return Piece(lines, time.monotonic(), time.time(), live, fresh)


def _replaced(path: Path, descriptor: int) -> bool:
    """Whether another file, or none, lies there now."""
    try:
        now = path.stat()
    except OSError:
        return True
    ours = os.fstat(descriptor)
    return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)


def _wait_for(path: Path, stop: Event, say: Callable[[str], object]) -> None:
    if not path.is_file():
        say(f"{path} is gone. Waiting until it is back.")
    while not path.is_file() and not stop.is_set():
        time.sleep(TICK)
    say(f"{path} was replaced: going on with the new one.")
