"""What every stage of a run works with: what is settled, where it works, and the pictures with their one split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.at_work import AtWork
from orchestrator.artifacts.events import Events
from orchestrator.artifacts.records import read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import ReadingLog
from orchestrator.data.split.split import Split
from orchestrator.data.store.lazy_arrays import StoredPlanes
from orchestrator.data.store.store import Store
from orchestrator.evaluation.away import ShippedLog
from orchestrator.experiment.checks import DETECTION_CLASSES
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.goal import Goal
from orchestrator.experiment.placement import Placement
from orchestrator.experiment.preflight import Settled
from orchestrator.machine.alive import Alive
from orchestrator.machine.engine import Engine
from orchestrator.machine.mirror import Mirror
from orchestrator.machine.offered import Offered
from orchestrator.machine.progress import Reporter
from orchestrator.machine.shipping import Shipping
from orchestrator.machine.storage import Storage
from orchestrator.scoring.judge import Judge
from orchestrator.stages.forecast import Forecast
from orchestrator.stages.rules import Rules, rules_of
from orchestrator.stages.shipping_of import shipping_of
from trainables.interface import Samples
from trainables.small_files import FolderFiles


@dataclass(frozen=True)
class Context:
    """What every stage of one run shares."""

    settled: Settled
    folder: RunFolder
    engine: Engine
    reporter: Reporter
    mirror: Mirror
    offered: Offered
    """What there is to train on."""
    placements: Mapping[str, Placement]
    """By family: where its trainings run."""
    strict: bool
    """Whether a file that can't be used ends the run."""
    command: str
    """What this process was called to do, with a mark of its own."""
    at_work: Callable[[Sequence[AtWork]], object] = list
    """Called with the trainings that run, for who asks for the run's status."""
    events: Events = field(default_factory=Events)
    """Who hears what happens."""
    searched: RunFolder | None = None
    """The folder of the split whose winners are trained on this one, too; None: it has its own searches."""
    storage: Storage = "shared"
    """How files reach the machines that work."""
    shipping: Shipping | None = None
    """What does for workers what they can't, where they do not; made here."""

    def __post_init__(self) -> None:
        if self.storage == "shipped" and self.shipping is None:
            object.__setattr__(self, "shipping", shipping_of(self.experiment.data, self.folder))

    @property
    def experiment(self) -> Experiment:
        """With nothing left unset."""
        return self.settled.experiment

    @property
    def goal(self) -> Goal:
        """What the run seeks."""
        return self.settled.goal

    def now(self) -> Offered:
        """What there is to train on at this moment: on a cluster nodes come and go."""
        if not self.offered.elsewhere:
            return self.offered
        now = self._alive.now()
        return replace(self.offered, cpus=now.cpus, gpus=now.gpus, rooms=now.rooms)

    @cached_property
    def _alive(self) -> Alive:
        return Alive()

    @property
    def concurrent(self) -> int:
        """Trainings at a time, of the variant of which fewest run beside each other."""
        return min(self.placements[variant.family].at_once for variant in self.experiment.families)

    @property
    def split_number(self) -> int:
        """Of the split that is worked on, from 1."""
        return self.experiment.data.split.number or 1

    @property
    def title(self) -> str:
        """What stands before the name of a stage: which of several splits it works on."""
        split = self.experiment.data.split
        return f"split {split.number or 1} of {split.several}: " if split.several > 1 else ""

    @property
    def winners_in(self) -> RunFolder:
        """The folder whose search chose the configurations."""
        return self.searched or self.folder

    def of_splits(self) -> list["Context"]:
        """The same for each split of the run, in its order."""
        split = self.experiment.data.split
        inherited = self.folder.of_split(1) if self.experiment.budget.searches == "first" else None
        if split.number is not None:
            return [replace(self, searched=inherited) if self.folder.is_part else self]
        return [
            self
            if number == 1
            else replace(
                self,
                settled=replace(self.settled, experiment=self.experiment.of_split(number)),
                folder=self.folder.of_split(number),
                searched=inherited,
            )
            for number in split.numbers
        ]

    @cached_property
    def own_code(self) -> tuple[str, ...]:
        """What of the code is the user's, as it was when the run began."""
        return self.experiment.own_code

    @cached_property
    def forecast(self) -> Forecast:
        """How long a sweep takes, said once a run."""
        split = self.experiment.data.split
        last = split.several if split.number is None or self.folder.is_part else split.number
        later = [self.folder.of_split(number) for number in range((split.number or 1) + 1, last + 1)]
        records, others = read_records(self.folder.records), [read_records(one.records) for one in later]
        return Forecast(self.experiment, records, self.concurrent, self.reporter.say, others)

    @cached_property
    def judge(self) -> Judge:
        """How validation scores are graded."""
        cross_fit = self.goal.thresholded and self.rules.cross_fitted
        metric = self.experiment.threshold.metric
        return Judge(self.goal.task, self.goal.strategies, metric, self.goal.own, cross_fit)

    @cached_property
    def rules(self) -> Rules:
        """What the run keeps as it was begun."""
        return rules_of(self.experiment, read_records(self.folder.records))

    def cross_fitted(self, prepared: "Prepared") -> int:
        """By how many folds validation figures at a threshold are cross-fitted; 0: they are not."""
        return self.judge.folds(prepared.samples(next(iter(prepared.stores)), prepared.split.validation))

    def readings(self, prepared: "Prepared") -> ReadingLog:
        """Where this command writes down what reads the test part."""
        named = (self.folder.test_reads, prepared.split.fingerprint, self.command)
        return ReadingLog(*named) if self.shipping is None else ShippedLog(*named, shipping=self.shipping)

    def files(self, folder: Path) -> FolderFiles:
        """Files of a folder of the run, for this process and for workers that they are handed to."""
        return FolderFiles(folder) if self.shipping is None else self.shipping.files(folder)

    def handed(self, samples: Samples) -> Samples:
        """Samples of a store, for workers."""
        given: dict[str, Any] = {}
        if self.shipping is not None:
            planes: dict[str, Any] = {"pictures": samples.pictures, "depth": samples.depth, "masks": samples.masks}
            given = {name: one.shipped(self.shipping) for name, one in planes.items() if isinstance(one, StoredPlanes)}
        return replace(samples, **given)

    def renew(self) -> bool:
        """Start Ray anew, as `Engine.renew` does, with all that workers were handed."""
        renewed = self.engine.renew()
        if renewed and self.shipping is not None:
            self.shipping.start()
        return renewed


@dataclass(frozen=True)
class Prepared:
    """The pictures at every size that a variant sees, and the one split of them all."""

    stores: dict[tuple[int, int], Store]
    split: Split
    normal: str | None = None
    """Detection: the class that is normal."""

    @property
    def data(self) -> str:
        """The fingerprint of the data, which is the same at every size."""
        return next(iter(self.stores.values())).fingerprint

    def samples(self, size: tuple[int, int], rows: NDArray[np.int64], masks: bool = False) -> Samples:
        """The samples of some rows at one size; with the masks of defects only where asked for."""
        store = self.stores[size]
        labels, classes, kinds = store.labels[rows], store.classes, ()
        if self.normal is not None:
            kinds = tuple(store.classes[label] for label in labels)
            labels = (labels != store.classes.index(self.normal)).astype(np.int64)
            classes = DETECTION_CLASSES
        return Samples(
            pictures=store.pictures.select(rows),
            labels=labels,
            classes=classes,
            paths=tuple(store.paths[row] for row in rows),
            depth=None if store.depth is None else store.depth.select(rows),
            masks=None if store.masks is None or not masks else store.masks.select(rows),
            masked=None if store.masks is None or not masks else store.masked[rows],
            kinds=kinds,
            groups=tuple(self.split.groups[row] for row in rows),
        )
