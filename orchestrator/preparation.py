"""What every stage of a run works with: its pictures at every size that is needed, and the one split of them all."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from orchestrator.checks import DETECTION_CLASSES
from orchestrator.data.splits import Split, make_split
from orchestrator.data.store import Store
from orchestrator.engine import Engine
from orchestrator.experiment import Experiment
from orchestrator.goal import Goal
from orchestrator.mirror import Mirror
from orchestrator.progress import Reporter
from orchestrator.records import TrialRecord, append_record
from orchestrator.render import fill_with_line, skipped_lines
from orchestrator.run_folder import RunFolder
from orchestrator.scoring.judge import Judge
from trainables.errors import InputError
from trainables.interface import Samples


@dataclass(frozen=True)
class Context:
    """What every stage of one run shares."""

    experiment: Experiment
    folder: RunFolder
    engine: Engine
    reporter: Reporter
    mirror: Mirror
    goal: Goal
    device: str
    concurrent: int
    strict: bool
    said: tuple[str, ...] = ()
    """What the listing of the data's files has to remark, for the report."""

    @cached_property
    def judge(self) -> Judge:
        """How validation scores are graded."""
        return Judge(self.goal.task, self.goal.strategies, self.experiment.threshold.metric)

    def keep(self, record: TrialRecord) -> None:
        """Append a record to the run's. Raises OSError where that can't be done, or the run's folder has gone."""
        self.folder.experiment.stat()  # a file of records begun anew would pass for the whole run's
        append_record(self.folder.records, record)


@dataclass(frozen=True)
class Prepared:
    """The pictures at every size that a variant sees, and the one split of them all."""

    stores: dict[tuple[int, int], Store]
    split: Split
    normal: str | None = None
    """Detection: the class that is normal."""

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


def prepare(context: Context) -> Prepared:
    """Render what is not rendered yet, and make or take up the split."""
    data = context.experiment.data
    root = data.store or context.folder.stores
    stores: dict[tuple[int, int], Store] = {}
    sizes = dict.fromkeys(context.experiment.size_of(variant) for variant in context.experiment.families)
    for size in sizes:
        name = f"{data.style if data.layout == 'series' else data.layout}-{size[0]}x{size[1]}"
        filled = fill_with_line(
            context.reporter,
            context.engine,
            data.path,
            root / name,
            title="render" if len(sizes) == 1 else f"render {size[0]}x{size[1]}",
            layout=data.layout,
            style=data.style,
            size=size,
            column=data.column,
            strict=context.strict,
        )
        stores[size] = filled.store
        if len(stores) == 1:
            for line in skipped_lines(filled):
                context.reporter.say(line)
    store = next(iter(stores.values()))
    split = make_split(store, data.split, context.goal.normal)
    if context.folder.split.exists() and Split.load(context.folder.split).fingerprint != split.fingerprint:
        raise InputError(
            f"The data in {data.path} are not those that {context.folder.root} was started with: files were added, "
            "removed or changed. Put them back, or give another --out."
        )
    # Of masks too, which may vanish at one size and not at another.
    of_stores = dict.fromkeys(remark for each in stores.values() for remark in each.remarks)
    own = (*of_stores, *split.remarks)
    split = replace(split, remarks=(*context.said, *own))
    split.save(context.folder.split)
    for remark in own:
        context.reporter.say(remark)
    return Prepared(stores, split, context.goal.normal)
