"""Classifying a live series: a window slides over its values, is drawn as the training's plots were, and judged."""

import json
import sys
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from threading import Event
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.layouts.left_out import plural
from orchestrator.machine.progress import Reporter
from orchestrator.using.inputs import STANDARD_INPUT
from orchestrator.using.live.pace import MOST_WAITING, Pace
from orchestrator.using.live.value_reader import ValueReader
from orchestrator.using.live.value_source import Piece, ValueSource, of_descriptor, of_growing_file, of_values
from orchestrator.using.order import Asked, Judging, judging
from orchestrator.using.result_file import checked_out
from trainables.errors import InputError
from trainables.printing import printable

BATCH = 16
"""Windows that are scored at a time, where so many wait."""
WAIT = 0.2
"""Seconds after which a wish to stop is heard, where nothing comes."""
LAG = 2.0
"""Seconds that a line may come after its last value, before windows are skipped."""
REMEMBERED = 100_000
"""Latencies of which the median is told."""
LONGEST = 1_000_000
"""Values of a window."""


class Window(NamedTuple):
    """Some values that follow one another."""

    number: int
    first: int
    """Which value of the series it begins with, from 0."""
    values: NDArray[np.float64]
    piece: Piece
    """What its last value came with."""


class Windows:
    """A window of `size` values that moves on by `hop`."""

    def __init__(self, size: int, hop: int) -> None:
        self.size, self._hop = size, hop
        self._kept, self._start = np.empty(0), 0
        """The values from the beginning of the next window on, and which value that is."""
        self._number = 0
        self.values = 0
        """How many came."""

    def add(self, values: Sequence[float], piece: Piece) -> list[Window]:
        """Take in values; the windows that are full now."""
        self._kept = np.concatenate([self._kept, values])
        self.values += len(values)
        found: list[Window] = []
        at = self._number * self._hop - self._start
        while at + self.size <= len(self._kept):
            part = self._kept[at : at + self.size]
            found.append(Window(self._number, self._start + at, part, piece))
            self._number += 1
            at += self._hop
        passed = min(at, len(self._kept))
        self._kept, self._start = self._kept[passed:], self._start + passed
        return found


@dataclass(frozen=True)
class Streamed:
    """What became of a stream."""

    values: int
    windows: int
    """That were judged."""
    skipped: int
    counts: dict[str, int]
    """Windows by verdict; those without a result under `failed`."""
    latencies: NDArray[np.float64]
    """Seconds from a window's last value to its line, of the last windows of values that came live."""
    seconds: float
    """From the first window to the last."""
    out: Path | None

    def text(self) -> str:
        """For a person."""
        counted = ", ".join(f"{count} {printable(name)}" for name, count in sorted(self.counts.items())) or "none"
        rate = f", {self.windows / self.seconds:.1f} a second" if self.windows > 1 and self.seconds > 0 else ""
        lines = [f"{plural(self.windows, 'window')} of {plural(self.values, 'value')}{rate}: {counted}."]
        if self.skipped:
            lines.append(f"{plural(self.skipped, 'window')} skipped, as values came faster.")
        if len(self.latencies):
            middle, last = np.quantile(self.latencies, (0.5, 0.99)) * 1000
            lines.append(f"From a window's last value to its line: {middle:.1f} ms (median), {last:.1f} ms (99 %).")
        return "\n".join([*lines, *([f"Results: {self.out}"] if self.out else [])])


def stream(
    model: str | Path,
    source: str | Path | Iterable[float | str] = STANDARD_INPUT,
    out: str | Path | None = None,
    *,
    window: int,
    hop: int | None = None,
    column: str | None = None,
    lag: float | None = None,
    seed: int | None = None,
    threshold: float | None = None,
    strategy: str | None = None,
    ensemble: bool = False,
    device: str = "auto",
    trust: str | Sequence[str] = (),
    overwrite: bool = False,
    on_line: Callable[[dict[str, Any]], object] | None = None,
    stop: Event | None = None,
    reporter: Reporter | None = None,
) -> Streamed:
    """Judge a window of `window` values of a live series each `hop` values (unset: as many as the window holds).

    `model`, `seed`, `threshold`, `strategy`, `ensemble`, `device`, `trust`: as in `predict`, of plots. `source`: `-`
    for lines on standard input, a CSV that grows (followed without end, also where another takes its place), or any
    iterable of numbers or lines. Lines hold one number, or the `column` (unset: the training's) of a CSV, whose header
    is understood; a line without a number is a gap. What a window is drawn and judged as is what `predict` makes of a
    CSV of its values. A line a window, to the file `out` and to `on_line`. Where lines would come more than `lag`
    seconds after their last value (unset: 2; inf: never), windows are skipped evenly, and each line says how many
    before it; what lies there already, in a file or an iterable, is never skipped. `stop`, once set, ends it.
    InputError for what can't be used.
    """
    reporter, stop = reporter or Reporter(), stop or Event()
    how = judging(
        model, Asked(seed=seed, threshold=threshold, strategy=strategy, ensemble=ensemble, device=device, trust=trust)
    )
    if not how.subject.layout.plots:
        raise InputError(
            f"{printable(how.subject.name)} was trained on pictures, not on plots of series. Give a model of series, "
            "or score pictures by predict or watch."
        )
    hop = window if hop is None else hop
    _check(window, hop, lag)
    target = None if out is None else checked_out(Path(out), overwrite, pipe=True)
    reporter.say(how.chosen.why)
    own = how.subject.kept[0].preprocessing["column"] if column is None else column
    reader = ValueReader(own, how.subject.kept[0].preprocessing.get("decimal", "auto"), reporter.say)
    pieces = _pieces(source, stop, reporter)
    with ExitStack() as open_files:
        file = None if target is None else open_files.enter_context(_opened(target))
        work = _Stream(how, Windows(window, hop), reader, LAG if lag is None else lag, reporter)

        def tell(line: dict[str, Any]) -> None:
            if file is not None:
                try:
                    file.write(json.dumps(line, allow_nan=False).encode("ascii") + b"\n")
                except OSError as error:
                    raise InputError(
                        f"{target} can't be written: {error.strerror}. Make room, or give another."
                    ) from None
            if on_line is not None:
                on_line(line)

        work.start()
        try:
            work.run(ValueSource(pieces, stop), tell, stop)
        finally:
            stop.set()  # for the thread that reads
    return work.ended(target)


def _opened(out: Path) -> IO[bytes]:
    """The file of lines, begun anew; each is written at once, so that none waits for a disk that is full."""
    try:
        return out.open("wb", buffering=0)
    except OSError as error:
        raise InputError(f"{out} can't be written: {error.strerror}. Give another --out.") from None


def _check(window: int, hop: int, lag: float | None) -> None:
    if not 2 <= window <= LONGEST:
        raise InputError(f"--window {window}: it must be from 2 to {LONGEST:,} values. Take a training series' length.")
    if hop < 1:
        raise InputError(f"--hop {hop}: the window must move on by 1 value at least.")
    if lag is not None and not lag > 0:
        raise InputError(f"--lag {lag:g}: it must be more than 0 seconds; inf skips nothing.")


def _pieces(source: str | Path | Iterable[float | str], stop: Event, reporter: Reporter) -> Iterator[Piece]:
    """What comes from the source. InputError where it is no file."""
    if isinstance(source, str | Path):
        if str(source) == STANDARD_INPUT:
            try:
                return of_descriptor(sys.stdin.fileno(), stop)
            except (OSError, ValueError, AttributeError):  # no stream of the system's
                return of_values(sys.stdin, stop)
        path = Path(source)
        if not path.is_file():
            raise InputError(f"There is no file {str(path)!r}. Check the path, or give - for standard input.")
        if path.suffix.lower() == ".gz":
            raise InputError(f"{path} is packed, and does not grow. Unpack it, or score it by predict.")
        return of_growing_file(path, stop, reporter.say)
    return of_values(source, stop)


class _Stream:
    """One stream on its way."""

    def __init__(self, how: Judging, windows: Windows, reader: ValueReader, lag: float, reporter: Reporter) -> None:
        self._how, self._windows, self._reader, self._reporter = how, windows, reader, reporter
        self._pace, self._lag = Pace(lag), lag
        self._waiting: deque[Window] = deque()
        self._counts: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=REMEMBERED)
        self._last, self._skipped, self._told = -1, 0, False
        self._began: float | None = None
        self._ended = 0.0

    def start(self) -> None:
        """The model, and what draws, ready."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            self._scorer = self._how.load()
        for one in said:
            if one.category is UserWarning:
                self._reporter.say(str(one.message))
        self._scorer.start()

    def run(self, source: ValueSource, tell: Callable[[dict[str, Any]], object], stop: Event) -> None:
        """Until the values end, or it is stopped."""
        more = True
        while not stop.is_set() and (more or self._waiting):
            more = more and self._take_in(source)
            if self._waiting:
                self._score(tell)

    def ended(self, out: Path | None) -> Streamed:
        """How it went."""
        count = sum(self._counts.values())
        if not count:
            self._reporter.say(
                f"{plural(self._windows.values, 'value')} came, and a window takes {self._windows.size}."
            )
        took = 0.0 if self._began is None else self._ended - self._began
        latencies = np.array(self._latencies)
        return Streamed(self._windows.values, count, self._skipped, dict(self._counts), latencies, took, out)

    def _take_in(self, source: ValueSource) -> bool:
        """All that came, or the next that comes; whether more may come."""
        while len(self._waiting) < MOST_WAITING:
            try:
                piece = source.next(0 if self._waiting else WAIT)
            except EOFError:
                return False
            if piece is None:
                return True
            if piece.fresh:
                self._reader.restart()
            for one in self._windows.add(self._reader.read(piece.lines), piece):
                if self._began is None:
                    self._began = time.monotonic()
                if piece.live:
                    self._pace.came(1, piece.arrived)
                if piece.live and not self._pace.takes(one.number):
                    self._skipped += 1
                else:
                    self._waiting.append(one)
            if not piece.live and self._waiting:
                return True  # the rest waits where it lies
        return True

    def _score(self, tell: Callable[[dict[str, Any]], object]) -> None:
        part = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        began = time.monotonic()
        rows = self._scorer.rows_of_series([one.values for one in part])
        self._pace.scored(len(part), time.monotonic() - began)
        for one, row in zip(part, rows, strict=True):
            plain = self._how.table.plain(row)
            self._counts[row["verdict"] if row["status"] == "ok" else "failed"] += 1
            came = datetime.fromtimestamp(one.piece.clock, UTC).isoformat(timespec="milliseconds")
            line = {"first": one.first, "last": one.first + len(one.values) - 1, "time": came}
            line |= {key: value for key, value in plain.items() if key not in ("path", "seconds")}
            latency = time.monotonic() - one.piece.arrived if one.piece.live else None
            line["skipped"] = one.number - self._last - 1
            line["latency_ms"] = None if latency is None else round(latency * 1000, 3)
            self._last = one.number
            tell(line)
            if latency is not None:
                self._latencies.append(latency)
        self._ended = time.monotonic()
        self._keep_up()

    def _keep_up(self) -> None:
        """Skip what would come too late, evenly."""
        while self._pace.adapt(sum(one.piece.live for one in self._waiting)):
            kept = [one for one in self._waiting if not one.piece.live or self._pace.takes(one.number)]
            self._skipped += len(self._waiting) - len(kept)
            self._waiting = deque(kept)
            if not self._told:
                self._told = True
                self._reporter.say(
                    f"Values come faster than windows can be judged ({1 / (self._pace.seconds or inf):.0f} a second): "
                    f"some are skipped, evenly, so that lines stay within {self._lag:g} s. A larger --hop skips "
                    "none, nor does --lag inf, which lets the input wait."
                )
