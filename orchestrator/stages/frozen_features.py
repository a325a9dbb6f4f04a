"""What is frozen in a variant's models is computed before its search, by all workers, and kept for all that follow."""

from collections.abc import Mapping
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from pydantic import ValidationError

from orchestrator.artifacts.endings import why
from orchestrator.experiment.sections import Variant
from orchestrator.machine.tasks import answer_of, task
from orchestrator.machine.worker_pool import as_batches, by_workers
from orchestrator.stages.context import Context
from trainables.errors import storage_error
from trainables.interface import Frozen, Samples
from trainables.training.trial import Job

WORTH = 512
"""Pictures below which the first trials compute their features as fast as workers for it would start."""
PARTS = ("train", "validation")

Stretch = tuple[str, list[int]]
"""The name of a part, and rows of it."""


def compute_frozen_features(context: Context, variant: Variant, job: Job, seed: int) -> None:
    """Compute what the cache lacks for a variant's `fixed` and defaults, by Ray Data; a line shows how far that is.

    It is no more than a head start: what a trial of another configuration needs, or what could not be kept, the trials
    compute as they go.
    """
    if job.family.frozen is None or job.problem.cache is None or len(job.train) + len(job.validation) < WORTH:
        return
    try:
        config = job.family.config(**variant.fixed).model_dump()
    except ValidationError:  # it needs a key that only the search gives
        return
    try:
        _compute(context, variant, job, (config, seed))
    except Exception as error:  # whatever it is, each trial meets and tells it by itself
        context.reporter.say(
            f"{variant.name}: its frozen features were not computed ahead ({why(error)[1]}); each training computes "
            "those that lack."
        )


def _compute(context: Context, variant: Variant, job: Job, built: tuple[Mapping[str, Any], int]) -> None:
    placement = context.placements[variant.family]
    handed = ray.put(job)
    call = task(_lacking, cpus=placement.cpus, gpus=placement.gpus).remote(handed, *built)
    lacking: list[Stretch] = answer_of(call, job.epoch_seconds)
    if not lacking:
        return
    total = sum(len(rows) for _, rows in lacking)
    with context.reporter.line(f"{context.title}features {variant.name}", total, "pictures") as line:
        done = 0
        line.update(done)
        most = min(placement.at_once, len(lacking))
        if context.engine.remote:  # as many as its nodes have room for, which may join later
            most = min(placement.most or len(lacking), len(lacking))
        workers = partial(by_workers, FillFeatures, (handed, *built), lacking, cpus=placement.cpus, gpus=placement.gpus)
        for computed, trouble in workers(most=most, waits=line.waits):
            done += computed
            line.update(done)
            if trouble:
                context.reporter.say(
                    f"{variant.name}: its frozen features can't all be kept ({trouble}), so each training computes "
                    "those that lack, which takes longer. Make room, or see orchestrate cache ls."
                )
            if trouble or context.folder.stop.exists():
                return


def _lacking(job: Job, config: Mapping[str, Any], seed: int) -> list[Stretch]:
    """What the cache of the node lacks."""
    frozen = _frozen(job, config, seed)
    if frozen is None:
        return []
    stretches = chain.from_iterable(((name, rows) for rows in frozen.missing(_part(job, name))) for name in PARTS)
    return [(name, rows.tolist()) for name, rows in stretches]


class FillFeatures:
    """A worker that computes stretches of features."""

    def __init__(self, handed: "ray.ObjectRef[Job]", config: Mapping[str, Any], seed: int) -> None:
        self._job = ray.get(handed)
        self._frozen = _frozen(self._job, config, seed)

    def __call__(self, batch: pa.Table) -> pa.Table:
        return as_batches(self.fill, batch)

    def fill(self, stretch: Stretch) -> tuple[int, str]:
        """How many pictures were done; and why no more could be kept, or nothing."""
        name, rows = stretch
        assert self._frozen is not None
        try:
            self._frozen.fill(_part(self._job, name), np.array(rows))
        except OSError as error:
            if (disk := storage_error(error)) is None:
                raise
            return 0, disk.strerror or str(disk)
        return len(rows), ""


def _frozen(job: Job, config: Mapping[str, Any], seed: int) -> Frozen | None:
    assert job.family.frozen is not None
    return job.family.frozen(job.build(config, seed), job.train)


def _part(job: Job, name: str) -> Samples:
    return job.train if name == "train" else job.validation
