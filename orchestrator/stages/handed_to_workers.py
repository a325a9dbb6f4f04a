"""What the workers of a run are handed: a search's or a cell's job, which leads nowhere near the test part."""

from dataclasses import asdict
from typing import Literal

from orchestrator.artifacts.provenance import code_version, device_name, provenance
from orchestrator.artifacts.records import Provenance
from orchestrator.data.store.store import Store
from orchestrator.evaluation.cells import Cell
from orchestrator.experiment.checks import CHANNELS
from orchestrator.experiment.settings import Setting
from orchestrator.families import family_row
from orchestrator.stages.context import Context, Prepared
from orchestrator.stages.precision import precision_of
from trainables.cache import own_cache
from trainables.files import json_sha256
from trainables.interface import Problem
from trainables.own_code import OwnFiles
from trainables.small_files import NamedFile
from trainables.training.trial import Job, Workers

BATCH = 32
"""Of the trainings that are thought of where nothing has been drawn yet."""


def cell_of(
    context: Context,
    prepared: Prepared,
    setting: Setting,
    *,
    variant: str,
    seed: int,
    stage: Literal["evaluation", "ablation"] = "evaluation",
) -> Cell:
    """A setting with a seed, on this run's data."""
    return Cell(
        setting=setting,
        variant=variant,
        seed=seed,
        patience=context.experiment.budget.patience,
        data=prepared.data,
        split=prepared.split.fingerprint,
        code=context.experiment.own_drawing_and_judging,
        workers=context.experiment.resources.workers,
        stage=stage,
    )


def job_of(context: Context, prepared: Prepared, family: str, size: tuple[int, int], epochs: int) -> Job:
    """What trainings are handed: the train and validation parts at a size, and nothing of the test part."""
    experiment, goal = context.experiment, context.goal
    split, store = prepared.split, prepared.stores[size]
    train, placement = prepared.samples(size, split.train), context.placements[family]
    return Job(
        family=family_row(family).family,
        problem=Problem(
            classes=train.classes,
            shape=(*size, CHANNELS),
            epochs=epochs,
            device=placement.device,
            depth=store.depth is not None,
            cache=own_cache(),
            data=pictures_of(prepared, store),
            precision=precision_of(context, placement.device, size, epochs * -(-len(train) // BATCH)),
        ),
        train=context.handed(train),
        validation=context.handed(prepared.samples(size, split.validation, masks=goal.pixel)),
        grade=context.judge,
        metric=goal.metric,
        mode=goal.mode,
        patience=experiment.budget.patience,
        threads=max(1, int(placement.cpus)),
        states=context.files(context.folder.states),
        code=code_version(context.own_code),
        own_files=OwnFiles(),
        epoch_seconds=None if experiment.budget.epoch_minutes is None else experiment.budget.epoch_minutes * 60,
        stop=NamedFile(context.files(context.folder.stop.parent), context.folder.stop.name),
        limits=goal.limits,
        workers=Workers(placement.workers, placement.cpus, placement.gpus) if placement.workers > 1 else None,
    )


def pictures_of(prepared: Prepared, store: Store) -> str:
    """A fingerprint of the pictures that trainings see: the files, their division, and all that drew or decoded them.

    The cache is one for all runs of a user, of which two may draw the same files in other ways.
    """
    return json_sha256([prepared.data, prepared.split.fingerprint, asdict(store.recipe)])


def origin(context: Context, prepared: Prepared, family: str) -> Provenance:
    """The provenance of a family's record that ends now. A worker with a GPU knows better what that is."""
    split = prepared.split.fingerprint
    device = context.offered.gpu_name if context.placements[family].device == "cuda" else device_name("cpu")
    return provenance(context.experiment.fingerprint, prepared.data, split, device, context.own_code)
