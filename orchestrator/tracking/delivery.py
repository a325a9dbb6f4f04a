"""What is to be sent of a run, and in which order: whatever a tracker missed, a record brings."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from orchestrator.artifacts.events import EpochEnded, Event, Outcome, RecordWritten, Training
from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.tracking.sent import Sent, known_as
from orchestrator.tracking.tracker import Tracker, ended_at, kept_files
from orchestrator.tracking.trackers import open_tracker
from orchestrator.using.chosen_model import choose_model
from trainables.errors import InputError
from trainables.files import file_sha256


class Delivery:
    """Brings the events of a run to one tracker, and its records, each once. Raises what the tracker raises."""

    def __init__(self, name: str, destination: str, folder: RunFolder, sent: Sent) -> None:
        self.name, self.destination = name, destination
        self._folder = folder
        self._sent = sent
        self._begun: Tracker | None = None
        self._epochs: dict[Training, int] = {}
        """The last epoch that was sent of each open training."""

    def hear(self, event: Event) -> None:
        """Send what happened, as far as it is an epoch or an end."""
        if isinstance(event, EpochEnded):
            training, epoch = event.training, event.epoch
            if self._last(training, time.time()) == epoch - 1:  # else some are missing, and the record brings them
                with_epoch = self._tracker.epoch
                self._sending(training, lambda: with_epoch(training, epoch, event.metrics, time.time()))
                self._epochs[training] = epoch
        elif isinstance(event, RecordWritten):
            self._record(event.training, event.record)

    def catch_up(self, enough: Callable[[], bool] = bool) -> int:
        """Send the records of the run that were not, until `enough`; how many there were."""
        count = 0
        for training, record in self._waiting():
            if enough():
                break
            self._record(training, record)
            count += 1
        return count

    def missing(self) -> int:
        """How many records are not sent."""
        return sum(1 for _ in self._waiting())

    def finish(self, outcome: Outcome) -> None:
        """Send the files of a run that has its report, unless they are there as they are now, and how the run ended."""
        page = self._folder.whole / "report" / "index.html"
        if outcome == "finished" and page.exists():
            mark = f"report {file_sha256(page)}"
            if mark not in self._sent:
                whole = RunFolder(self._folder.whole)
                model = None
                with suppress(InputError):  # none is evaluated, or none keeps to the limits
                    model = choose_model(whole.root).folder
                self._tracker.files(kept_files(whole, model))
                self._sent.note(mark)
        if self._begun is not None:
            self._begun.close(outcome)

    @property
    def _tracker(self) -> Tracker:
        if self._begun is None:
            tracker = open_tracker(self.name, self.destination, self._folder)
            tracker.begin()
            self._begun = tracker
        return self._begun

    def _waiting(self) -> Iterator[tuple[Training, TrialRecord]]:
        for split, path in _parts(self._folder):
            for record in read_records(path.records):
                training = Training.of(split, record)
                if known_as(training, record) not in self._sent:
                    yield training, record

    def _record(self, training: Training, record: TrialRecord) -> None:
        called = known_as(training, record)
        if called in self._sent:
            return
        tracker, ended, count = self._tracker, ended_at(record), len(record.history)
        began = ended - record.seconds
        last = self._last(training, began)

        def send() -> None:
            for row in record.history:
                epoch = int(row["epoch"])
                if epoch > last:
                    rest = {name: value for name, value in row.items() if name != "epoch"}
                    tracker.epoch(training, epoch, rest, began + record.seconds * epoch / count)
            tracker.end(training, record)

        self._sending(training, send)
        self._epochs.pop(training, None)
        self._sent.note(called)

    def _last(self, training: Training, began: float) -> int:
        """The last epoch that the tracker has of a training, which is opened where it is not."""
        if training not in self._epochs:
            self._epochs[training] = self._tracker.open(training, began)
        return self._epochs[training]

    def _sending(self, training: Training, send: Callable[[], object]) -> None:
        """Send; where that fails, how much of it arrived is asked for anew next time."""
        try:
            send()
        except BaseException:
            self._epochs.pop(training, None)
            raise


def _parts(folder: RunFolder) -> list[tuple[int, RunFolder]]:
    """The run's splits with their numbers."""
    whole = RunFolder(folder.whole)
    paths = [path for path in (whole.root / "splits").glob("*") if path.name.isdecimal()]
    return [(1, whole), *((number, whole.of_split(number)) for number in sorted(int(path.name) for path in paths))]
