"""What nodes have, what finds room on them, and what is said where nothing does."""

import pytest

from orchestrator.machine.alive import Alive, lacking
from orchestrator.machine.offered import Card, Offered, Room

GIB = 2**30
TWO = Offered(4, 1, elsewhere=True, rooms=(Room(2, 0, "a"), Room(2, 1, "b")))


@pytest.mark.parametrize(
    ("cpus", "gpus", "count"), [(1, 0, 4), (2, 0, 2), (3, 0, 0), (1, 1, 1), (1, 0.25, 2), (0.5, 0.25, 4), (0.5, 2, 0)]
)
def test_what_is_trained_finds_its_place_on_one_node(cpus: float, gpus: float, count: int) -> None:
    assert TWO.places(cpus, gpus) == count


def test_trainings_of_several_kinds_find_room_beside_each_other_by_node() -> None:
    assert TWO.holds([(1, 0), (1, 0), (2, 1)])
    assert TWO.holds([(2, 0), (1, 1), (1, 0)])
    assert not TWO.holds([(1, 1), (2, 0), (2, 0)])
    assert not TWO.holds([(3, 0)])
    assert Offered(4, 1).holds([(3, 0), (1, 1)])


def test_the_largest_gpu_is_that_of_a_node_that_is_alive() -> None:
    cards = (
        Card("A", 80 * GIB, 79 * GIB, "gone"),
        Card("B", 40 * GIB, 39 * GIB, "b"),
        Card("C", 8 * GIB, 7 * GIB, "a"),
    )
    known = Offered(4, 2, cards, elsewhere=True, rooms=TWO.rooms)
    assert (known.roomiest, known.smallest_free) == ("b", 7 * GIB)
    alike = Offered(4, 2, (cards[1], cards[1]), elsewhere=True, rooms=TWO.rooms)
    assert (alike.roomiest, alike.smallest_free) == ("", None)


def test_what_is_waited_for_is_told_with_who_may_bring_it() -> None:
    assert lacking(TWO, 2, 1) == ""
    told = lacking(TWO, 4, 1)
    assert told.startswith("waits for a node with 4 CPUs and 1 GPU: none that is alive has them, and no autoscaler")
    growing = Offered(0, elsewhere=True, rooms=(Room(0),), growing=True)
    assert "waits for a node with 1 CPU: none that is alive has them, and the autoscaler" in lacking(growing, 1, 0)


@pytest.mark.usefixtures("ray_session")
def test_the_nodes_that_are_alive_are_those_of_ray() -> None:
    now = Alive().now()
    assert (now.cpus, now.gpus, now.growing) == (2, 0, False)
    assert [(one.cpus, one.address) for one in now.rooms] == [(2, "127.0.0.1")]
