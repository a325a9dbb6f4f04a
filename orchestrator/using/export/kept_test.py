"""The test pictures of a kept model and the scores that its evaluation kept of them."""

import os
import uuid
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.models import KeptModel
from orchestrator.artifacts.provenance import now
from orchestrator.artifacts.run_folder import RunFolder, run_at
from orchestrator.artifacts.test_reads import EXPORT, ReadingLog
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.data.split.split import Split
from orchestrator.data.store.lazy_arrays import StoredPictures
from orchestrator.data.store.store import Store, open_store, read_recipe
from orchestrator.experiment.of_a_run import experiment_of
from orchestrator.scoring.ensembles import combined
from orchestrator.using.subject import SCORES, Subject
from trainables.errors import InputError
from trainables.interface import Task


class Gone(Exception):
    """The test part of a model can't be read; the message says why, and ends without a stop."""


@dataclass(frozen=True)
class KeptTest:
    """What a frozen model was evaluated on, and what it said."""

    pictures: StoredPictures
    scores: NDArray[np.float64]
    data: str
    """The fingerprint of the data."""
    split: str
    """The fingerprint of the split."""


def open_kept_test(subject: Subject) -> KeptTest:
    """The test part of the model in RUN/models/<variant>/<seed>, or of several that answer together, after a line in
    the run's log of readings.

    Raises Gone where pictures or scores are not there, or the reading can't be written down.
    """
    run = run_at(subject.folders[0].resolve().parents[2])
    try:
        kept = [np.load(folder / SCORES, allow_pickle=False) for folder in subject.folders]
        names = [os.fsdecode(name) for name in kept[0]["paths"].tolist()]
        every = [one["scores"] for one in kept]
        if any(not np.array_equal(one["paths"], kept[0]["paths"]) for one in kept):
            raise Gone("the models were evaluated on several test parts")
        task: Task = "classification" if subject.threshold is None else "detection"
        scores = combined(every, subject.shares, task) if subject.shares else every[0]
        split = Split.load(run.split)
        store = _store_of(run, split, subject.kept[0])
        rows = {path: row for row, path in enumerate(store.paths)}
        chosen = np.array([rows[name] for name in names], dtype=np.int64)
    except KeyError as error:
        raise Gone(f"the run's pictures lack {error}") from None
    except (OSError, ValueError, InputError) as error:
        raise Gone(str(error).rstrip(".")) from None
    log = ReadingLog(run.test_reads, split.fingerprint, f"{EXPORT} {uuid.uuid4().hex[:12]}")
    try:
        log.add(subject.name, subject.seed, subject.weights, now())
    except OSError as error:
        raise Gone(f"that the test part is read can't be written to {run.test_reads} ({error.strerror})") from None
    return KeptTest(store.pictures.select(chosen), scores, split.data, split.fingerprint)


def _store_of(run: RunFolder, split: Split, kept: KeptModel) -> Store:
    """The run's pictures as the model saw them. Runs no code of one's own."""
    root = experiment_of(run).data.store or run.stores
    how = kept.preprocessing
    wanted = (how["layout"], kept.shape[:2], how["style"] if LAYOUTS[how["layout"]].plots else None)
    for place in sorted(root.iterdir()) if root.is_dir() else []:
        recipe = read_recipe(place)
        if recipe is None or (recipe.layout, recipe.size, recipe.style) != wanted:
            continue
        store = open_store(place)
        if store.fingerprint == split.data:
            return store
    height, width = kept.shape[:2]
    raise Gone(f"the run's pictures of {height}x{width} are no longer in {root}")
