"""A run and who hears of it: a caller's own `on_event`, and the trackers that its experiment names."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from orchestrator.artifacts.endings import first_line
from orchestrator.artifacts.events import Events, Listener, Outcome, RunBegan, RunEnded
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.sections import Tracking
from orchestrator.machine.progress import Reporter
from orchestrator.tracking.delivery import Delivery
from orchestrator.tracking.sender import Sender
from orchestrator.tracking.sent import Sent
from orchestrator.tracking.trackers import destinations
from trainables.errors import InputError

WAIT: dict[Outcome, float] = {"finished": 60.0, "stopped": 10.0, "failed": 10.0}
"""Seconds that trackers have in all, at most, after the run's own work, by how it ended."""
QUIET = 2.0
"""Seconds after which it is said what is waited for."""


@contextmanager
def watched(
    asked: Tracking, folder: RunFolder, command: str, reporter: Reporter, on_event: Listener | None
) -> Iterator[Events]:
    """The events of a run that works within; trackers are waited for at its end, a bounded time."""
    with ExitStack() as opened:
        senders = _senders(asked, folder, reporter, opened)
        events = Events([*([] if on_event is None else [on_event]), *senders], reporter.say)
        events.tell(RunBegan(folder, command))
        outcome: Outcome = "finished"
        reason = ""
        try:
            yield events
        except KeyboardInterrupt:
            outcome = "stopped"
            raise
        except BaseException as error:
            outcome, reason = "failed", first_line(str(error))
            raise
        finally:
            events.tell(RunEnded(folder, outcome, reason))
            _wait(senders, outcome, reporter)


def _senders(asked: Tracking, folder: RunFolder, reporter: Reporter, opened: ExitStack) -> list[Sender]:
    senders = []
    for name, destination in destinations(asked).items():
        try:
            sent = opened.enter_context(Sent(folder, name, destination))
        except (InputError, OSError) as error:
            reporter.say(f"{name} is told nothing of this run while it works: {error}")
            continue
        senders.append(Sender(Delivery(name, destination, folder, sent), folder, reporter.say))
    return senders


def _wait(senders: list[Sender], outcome: Outcome, reporter: Reporter) -> None:
    until = time.monotonic() + WAIT[outcome]
    for sender in senders:
        sender.end(outcome)
    for sender in senders:
        if not sender.done(QUIET):
            reporter.say(f"{sender.name}: the rest is sent, for {WAIT[outcome]:.0f} s at most …")
        sender.join(max(0.0, until - time.monotonic()), WAIT[outcome])
