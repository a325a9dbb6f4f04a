"""How closely trainings are packed, by what was measured."""

from typing import Any

import pytest
from builders.provenance import PROVENANCE

from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.packing import CONTEXT, MARGIN, have_room, packed, worker_memory
from orchestrator.experiment.placement import Placement
from orchestrator.machine.offered import Card, Offered, Room

GIB = 2**30
WHOLE, NODE = Placement("cuda", 1, 1, 1), Offered(16, 1)


def trial(own: float | None, free: float | None = 79, gpus: float = 1, **changes: Any) -> TrialRecord:
    values: dict[str, Any] = {
        "stage": "search", "family": "vae", "variant": "vae", "trial": 0, "seed": 0, "split": "validation",
        "config": {}, "status": "completed", "seconds": 1.0, "provenance": PROVENANCE, "device": "cuda", "gpus": gpus,
        "own_memory": None if own is None else int(own * GIB),
        "available_memory": None if free is None else int(free * GIB),
    }  # fmt: skip
    return TrialRecord(**values | changes)


@pytest.mark.parametrize(
    ("records", "offered", "left", "beside"),
    [
        ([trial(10)], NODE, 20, 6),  # 79.75 / 12.75
        ([trial(10), trial(2, gpus=0.1, free=3)], NODE, 20, 6),  # what was free is told by who was alone
        ([trial(1), trial(10, gpus=0.1, free=3)], NODE, 20, 6),  # the largest counts
        ([trial(0)], NODE, 40, 16),  # no more processes than that
        ([trial(0)], Offered(8, 1), 40, 8),  # nor than CPUs
        ([trial(0)], Offered(8, 2), 40, 4),
        ([trial(0)], Offered(40, 2, elsewhere=True, rooms=(Room(32, 1), Room(6, 1), Room(2, 0))), 40, 6),
        ([trial(0)], NODE, 3, 3),
        ([trial(10)], Offered(32, 2, (Card("A", 80 * GIB, 79 * GIB), Card("B", 40 * GIB, 39 * GIB))), 40, 3),
        ([trial(0)], Offered(16, 2), 3, 2),
        ([trial(10, free=30)], NODE, 20, 2),  # others hold the rest
        ([trial(60)], NODE, 20, 1),
        ([trial(10), trial(10, free=20)], NODE, 20, 1),
        ([], NODE, 20, 1),
        ([trial(None)], NODE, 20, 1),
        ([trial(1, gpus=0.5)], NODE, 20, 1),
        ([trial(1, device="cpu", gpus=0)], NODE, 20, 1),
        ([trial(1)], NODE, 1, 1),
    ],
)
def test_as_many_share_a_gpu_as_their_like_left_room_for(
    records: list[TrialRecord], offered: Offered, left: int, beside: int
) -> None:
    one = packed(WHOLE, offered, records, left)
    assert int(1 / one.gpus) == beside
    assert (one.memory is None) == (beside == 1)
    if one.memory is not None:
        free = min(each.available_memory or 0 for each in records if each.gpus == 1)
        most = max(each.own_memory or 0 for each in records)
        assert one.at_once == beside * offered.gpus
        assert beside * one.gpus <= 1
        assert beside * (one.memory + CONTEXT) <= free + CONTEXT
        assert one.memory >= MARGIN * most


def test_the_experiment_s_most_trainings_at_a_time_hold_for_packed_ones() -> None:
    assert packed(Placement("cuda", 1, 1, 1, most=2), NODE, [trial(1)], 20).at_once == 2


@pytest.mark.parametrize("placement", [Placement("cpu", 1, 0, 16), Placement("cuda", 1, 0.5, 2)])
def test_nothing_else_is_packed(placement: Placement) -> None:
    assert packed(placement, NODE, [trial(1)], 20) == placement


def test_workers_on_cpus_have_room_by_what_they_held() -> None:
    held = worker_memory([trial(0, device="cpu", gpus=0, peak_memory=GIB), trial(9, peak_memory=9 * GIB)])
    assert held == GIB
    assert have_room([held] * 2, int(2.5 * GIB))
    assert not have_room([held] * 2, int(2.3 * GIB))
    assert worker_memory([]) == 0
    assert have_room([0, 0], 0)
