"""Ctrl-C and SIGTERM: once ends after the running epochs are saved, twice ends at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from orchestrator.machine.progress import Reporter

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The run was asked to stop, by the signal of this number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Stop:
    """Takes the signals of this process while a run works. Workers learn of it by a file in the run's folder."""

    def __init__(self, mark: Path, reporter: Reporter) -> None:
        self.mark = mark
        self._reporter = reporter
        self._gentle = False
        self._asked: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.mark.unlink(missing_ok=True)  # of a run that was stopped before
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def gently(self) -> Iterator[None]:
        """Within, the first signal lets what runs come to the end of its epoch; Stopped is raised afterwards."""
        self._gentle = True
        try:
            yield
        finally:
            self._gentle = False
        if self._asked is not None:
            raise Stopped(self._asked)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if not self._gentle or self._asked is not None:
            raise Stopped(number)
        self._asked = number
        self.mark.touch()
        self._reporter.say("Stopping once the running epochs are saved. Once more stops at once.")
