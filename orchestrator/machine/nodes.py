"""The machines of a cluster: each is asked what it is by a worker there, all at once and with one end."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.artifacts.endings import first_line
from orchestrator.machine.node_probe import Question, Seen, look
from orchestrator.machine.offered import Card

LEAST = 30.0
"""Seconds that every machine has to answer."""
TIMES = 3.0
"""It has so many times as long as the quickest one took, where that is more: machines may all be busy."""
LONGEST = 90.0
"""Seconds to wait where none answers."""


@dataclass(frozen=True)
class Node:
    """One machine, as Ray lists it, and what it says of itself."""

    id: str
    name: str
    address: str
    cpus: float
    """As Ray counts them, and so are the GPUs; 0 of both: nothing of a run works there."""
    gpus: float
    seen: Seen | None = None
    """None: it gave no answer."""
    failure: str = ""
    """Why not; empty where it answered, or was not heard of in time."""
    ahead: float = 0.0
    """Seconds that its clock is ahead of the driver's."""

    @property
    def works(self) -> bool:
        """Whether anything of a run can work there."""
        return self.cpus > 0 or self.gpus > 0

    @property
    def label(self) -> str:
        """For a line of text."""
        return self.name if self.name in ("", self.address) else f"{self.name} ({self.address})"


@dataclass(frozen=True)
class Nodes:
    """All machines of a cluster at one moment."""

    every: tuple[Node, ...]
    here: Seen
    """What the driver's own process says of itself: the measure for all."""

    @property
    def working(self) -> tuple[Node, ...]:
        """Those where a run can work."""
        return tuple(node for node in self.every if node.works)

    @property
    def cards(self) -> tuple[Card, ...]:
        """Their GPUs, as `Offered` has them."""
        there = ((node, card) for node in self.working if node.seen is not None for card in node.seen.gpus)
        return tuple(Card(card.name, card.memory, card.free, node.address) for node, card in there)


def alive_nodes() -> list[Node]:
    """The machines that the joined cluster counts as alive, by name."""
    import ray

    found = []
    for one in ray.nodes():  # type: ignore[no-untyped-call]
        if one["Alive"]:
            has, address = one["Resources"], str(one["NodeManagerAddress"])
            name = str(one["NodeManagerHostname"])
            found.append(Node(one["NodeID"], name, address, has.get("CPU", 0.0), has.get("GPU", 0.0)))
    return sorted(found, key=lambda node: (node.name, node.address, node.id))


def ask(question: Question, nodes: Iterable[Node] | None = None) -> Nodes:
    """What the machines of the joined cluster say, all of them unless some are given; one that does not answer in time
    is among them, without an answer.

    Each is asked by an actor of its own: what its process imports, with one thread, no training shall inherit. The
    call ends at its time whatever becomes of a machine.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    every = alive_nodes() if nodes is None else list(nodes)
    probe: Any = ray.remote(_Probe)
    waiting, actors = {}, []
    for node in every:
        there = NodeAffinitySchedulingStrategy(node.id, soft=False)
        actor = probe.options(num_cpus=0, max_restarts=0, scheduling_strategy=there).remote()
        actors.append(actor)  # an actor that nobody holds is ended
        waiting[actor.look.remote(question)] = node
    here = look(question)
    answered = _answers(waiting)
    silent = any(node.id not in answered or answered[node.id].seen is None for node in every)
    alive = {node.id for node in (alive_nodes() if silent else every)}
    # What has left meanwhile is no machine of the cluster any more.
    told = (answered.get(node.id, node) for node in every)
    return Nodes(tuple(node for node in told if node.seen is not None or node.id in alive), here)


def _answers(waiting: Mapping[Any, Node]) -> dict[str, Node]:
    """By the machine's id: what came in time."""
    import ray

    began, deadline = time.monotonic(), LONGEST
    left, answered = dict(waiting), dict[str, Node]()
    while left and (rest := began + deadline - time.monotonic()) > 0:
        ready, _ = ray.wait(list(left), num_returns=1, timeout=rest)
        for one in ready:
            came, node = time.time(), left.pop(one)
            answered[node.id] = _answer(node, one, came)
            if answered[node.id].seen is not None:
                deadline = min(deadline, max(LEAST, TIMES * (time.monotonic() - began)))
    return answered


def _answer(node: Node, told: Any, came: float) -> Node:
    import ray
    from ray.exceptions import RayError

    try:
        seen: Seen = ray.get(told)
    except RayError as error:
        cause = getattr(error, "cause", None) or error
        return replace(node, failure=first_line(str(cause)) or type(cause).__name__)
    return replace(node, seen=seen, ahead=seen.clock - came)


class _Probe:
    """On the machine that is asked."""

    def look(self, question: Question) -> Seen:
        from ray._private import worker

        node = worker._global_node
        return look(question, "" if node is None else str(node.get_temp_dir_path()))
