"""How many trainings share a GPU, or the machine's memory, by what trainings of the same kind were measured to take."""

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.placement import Placement
from orchestrator.machine.offered import GIBIBYTE, Offered

MARGIN = 1.2
"""Of the largest memory that was measured: other configurations take more, and the allocator's blocks do not fit
exactly."""
CONTEXT = GIBIBYTE * 3 // 4
"""Bytes of a GPU that CUDA takes for each process beside what torch's allocator reserves."""
MOST = 16
"""Processes on one GPU: they take turns, so that more hinder each other."""


def packed(placement: Placement, offered: Offered, records: Iterable[TrialRecord], left: int) -> Placement:
    """The placement with as many trainings on each GPU as fit there; as it is, where nothing was measured.

    `records`: of the kind of training, in any order. What is free of a GPU is taken from those that had one alone.
    `left`: how many are to be trained. Each process may reserve no more than its share.
    """
    if placement.device != "cuda" or placement.gpus != 1 or placement.workers > 1 or not offered.gpus:
        return placement
    measured = [one for one in records if one.device == "cuda" and one.own_memory is not None]
    free = [one.available_memory for one in measured if one.gpus >= 1 and one.available_memory]
    if not free:
        return placement
    room = min(free) + CONTEXT  # what was free was told by a process that had its context already
    room = min(room, offered.smallest_free or room)  # no trial chooses which of unlike GPUs it gets
    needed = MARGIN * max(one.own_memory or 0 for one in measured) + CONTEXT
    cpus = int(offered.cpus_a_gpu(placement.cpus) / placement.cpus + 1e-9)
    beside = max(1, min(int(room / needed), cpus, MOST, -int(-left // offered.gpus)))
    if beside == 1:
        return placement
    share = int(10_000 / beside) / 10_000  # Ray's own precision
    every = int(offered.gpus) * beside
    at_once, memory = min(every, placement.most or every), int(room / beside) - CONTEXT
    return replace(placement, gpus=share, at_once=at_once, memory=memory)


def worker_memory(records: Iterable[TrialRecord]) -> int:
    """Bytes that a worker held at most which trained on CPUs, of the kind of the records; 0 where none was measured."""
    return max((one.peak_memory or 0 for one in records if one.device == "cpu"), default=0)


def have_room(workers: Iterable[int], available: int) -> bool:
    """Whether so many bytes of memory hold workers, by what each was measured to take."""
    return MARGIN * sum(workers) <= available
