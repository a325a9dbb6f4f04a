"""One tracker beside the run: a thread and a bounded queue, so that what is slow or dead there costs nothing here."""

import queue
import shlex
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from orchestrator.artifacts.events import EpochEnded, Event, Outcome, RecordWritten
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.tracking.delivery import Delivery
from orchestrator.tracking.trackers import option
from trainables.credentials import masked

MOST_WAITING = 10_000
"""Events that wait; of more, epochs are left to their records, and records to the end."""
AGAIN = 60.0
"""Seconds after which a tracker that failed is tried once more."""
LOOK = 0.2
"""Seconds between two looks whether the run has ended."""


class Sender:
    """Takes the run's events, and brings them to a tracker in their order. What fails is said once."""

    def __init__(self, delivery: Delivery, folder: RunFolder, say: Callable[[str], object]) -> None:
        self.name = delivery.name
        self._delivery = delivery
        self._say = say
        asked = option(delivery.name, shlex.quote(delivery.destination))
        self._later = f"orchestrate track {shlex.quote(str(folder.whole))} {asked}"
        self._events: queue.Queue[Event] = queue.Queue(MOST_WAITING)
        self._over, self._enough = threading.Event(), threading.Event()
        self._outcome: Outcome = "failed"
        self._down_until = 0.0
        self._said = False
        self._thread = threading.Thread(target=self._work, name=f"tracking {delivery.name}", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take an event, without waiting."""
        if isinstance(event, (EpochEnded, RecordWritten)):
            with suppress(queue.Full):  # its record, or the end, brings it
                self._events.put_nowait(event)

    def end(self, outcome: Outcome) -> None:
        """The run has ended: what is missing, and its files, are sent now."""
        self._outcome = outcome
        self._over.set()

    def done(self, seconds: float) -> bool:
        """Whether all is over within so long."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def join(self, seconds: float, told: float) -> None:
        """Wait so long at most; say what was not sent after the time that all had."""
        self._thread.join(seconds)
        late = self._thread.is_alive()
        self._enough.set()
        try:
            missing = self._delivery.missing()
        except Exception:  # the disk failed, which is said elsewhere
            return
        if missing or late:
            why = f"it was waited for {told:.0f} s" if late else "it is down"
            count = f"{missing} trainings" if missing else "some files"
            self._say(f"{self.name}: {count} are not sent ({why}). Send them: {self._later}")

    def _work(self) -> None:
        while not self._over.is_set():
            try:
                event = self._events.get(timeout=LOOK)
            except queue.Empty:
                continue
            self._try(lambda event=event: self._delivery.hear(event))  # type: ignore[misc]
        # What still waits in the queue is in the records, too.
        self._try(self._finish)

    def _finish(self) -> None:
        self._delivery.catch_up(self._enough.is_set)
        if not self._enough.is_set():
            self._delivery.finish(self._outcome)

    def _try(self, send: Callable[[], object]) -> None:
        if time.monotonic() < self._down_until:
            return
        try:
            send()
        except Exception as error:
            self._down_until = time.monotonic() + AGAIN
            if not self._said:
                self._said = True
                lines = masked(str(error)).strip().splitlines() or [""]
                self._say(
                    f"The tracker {self.name} is down ({type(error).__name__}: {lines[0][:500]}). The run goes on "
                    f"without it; it is tried again, and later by: {self._later}"
                )
