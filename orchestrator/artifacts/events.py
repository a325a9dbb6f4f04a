"""What happens in a run, as it happens: the events that trackers, and a caller's own `on_event`, hear in the driver."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.artifacts.records import Stage, TrialRecord
from orchestrator.artifacts.run_folder import RunFolder

StageName = Literal["render", "search", "evaluate", "ablate", "report"]
Outcome = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class Training:
    """Which training an event is of: one trial of a search, or one seed of what is evaluated."""

    split: int
    """The number of the split, from 1; 1 too where there is one alone."""
    stage: Stage
    variant: str
    kind: Literal["trial", "seed"]
    number: int
    """Of the trial in its study, or the seed."""
    cell: str = ""
    """Of a seed: the hash of all that decides the result but the seed."""

    @classmethod
    def of(cls, split: int, record: TrialRecord) -> "Training":
        """The one that a record tells of."""
        if record.stage in ("search", "tuning"):
            return cls(split, record.stage, record.variant, "trial", record.trial)
        return cls(split, record.stage, record.variant, "seed", record.seed, record.cell)

    @property
    def name(self) -> str:
        """As people call it, and as a path, which leads out of no folder whatever a stranger's record calls a variant:
        `pca/trial-3`, `split-2/pca/seed-0-1f2e3d4c`."""
        several = f"split-{self.split}/" if self.split > 1 else ""
        cell = f"-{_as_part(self.cell[:8])}" if self.cell else ""
        return f"{several}{_as_part(self.variant)}/{self.kind}-{self.number}{cell}"


@dataclass(frozen=True)
class RunBegan:
    """The run's folder is held, and nothing is done yet."""

    folder: RunFolder
    command: str
    """sweep, evaluate or ablate."""


@dataclass(frozen=True)
class StageBegan:
    """A stage of the run, or of one of its splits, begins."""

    stage: StageName
    split: int


@dataclass(frozen=True)
class StageEnded:
    """A stage has come to its end."""

    stage: StageName
    split: int
    seconds: float


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of a training has ended: each is told once a process, in the order of epochs.

    Those of trials come as they end; of seeds with some seconds' delay; of what went on after a resume all come again.
    """

    training: Training
    epoch: int
    """From 1."""
    metrics: dict[str, float]
    """Losses and validation metrics by name."""


@dataclass(frozen=True)
class RecordWritten:
    """A trial or a seed has ended, well or not, and its record is on the disk."""

    training: Training
    record: TrialRecord


@dataclass(frozen=True)
class RunEnded:
    """Nothing more happens in this process."""

    folder: RunFolder
    outcome: Outcome
    reason: str
    """Of what failed; else empty."""


Event = RunBegan | StageBegan | StageEnded | EpochEnded | RecordWritten | RunEnded
Listener = Callable[[Event], object]


def _as_part(name: str) -> str:
    """A name as one part of a path."""
    return re.sub(r"^\.|[^A-Za-z0-9._~-]", "_", name)


class Events:
    """Tells listeners what happens. What one of them raises costs a word, once, and nothing else."""

    def __init__(self, listeners: Sequence[Listener] = (), say: Callable[[str], object] = str) -> None:
        self._listeners = tuple(listeners)
        self._say = say
        self._failed: set[int] = set()
        self._epochs: dict[Training, int] = {}
        """The last epoch that was told of each training at work."""

    def tell(self, event: Event) -> None:
        """Have every listener hear it."""
        for place, listener in enumerate(self._listeners):
            try:
                listener(event)
            except Exception as error:
                if place not in self._failed:
                    self._failed.add(place)
                    self._say(
                        f"on_event raised {type(error).__name__} ({error}) at {type(event).__name__}. The run goes on, "
                        "and goes on calling it; further errors of it are not said."
                    )

    def epochs(self, training: Training, history: Sequence[dict[str, float]]) -> None:
        """Tell those rows of a training's history that were not told before."""
        if not self._listeners:
            return
        for row in history:
            epoch = int(row["epoch"])
            if epoch > self._epochs.get(training, 0):
                self._epochs[training] = epoch
                self.tell(EpochEnded(training, epoch, {name: row[name] for name in row if name != "epoch"}))

    def record(self, split: int, record: TrialRecord) -> None:
        """Tell of a record that was written, and before it of its epochs that were not told."""
        training = Training.of(split, record)
        self.epochs(training, record.history)
        self._epochs.pop(training, None)
        self.tell(RecordWritten(training, record))
