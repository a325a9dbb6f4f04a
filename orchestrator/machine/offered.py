"""What there is to train on, as far as it is known: CPUs, GPUs, and what is free of their memory."""

from collections.abc import Iterable
from dataclasses import dataclass

GIBIBYTE = 2**30
ROOM = 2 * GIBIBYTE
"""Of a GPU's memory: with less than that free nothing is trained on it unasked. CUDA's own part, once a process, is
0.3 to 0.6 GiB."""
AHEAD = 16
"""Trainings begun beyond what finds room where an autoscaler is at work: it brings nodes for what waits."""
LEAST = 1e-9
"""By which sums of shares may be beyond what there is."""


@dataclass(frozen=True)
class Card:
    """One GPU."""

    name: str
    memory: int
    """Bytes, in all."""
    free: int
    """Bytes that no process holds."""
    node: str = ""
    """The address of the machine that it is in; empty: this one."""

    @property
    def told(self) -> str:
        """For a line of text."""
        return f"{self.name}, {self.free / GIBIBYTE:.1f} of {self.memory / GIBIBYTE:.1f} GiB free"


@dataclass(frozen=True)
class Room:
    """What one machine of a cluster has in all."""

    cpus: float
    gpus: float = 0.0
    address: str = ""


@dataclass(frozen=True)
class Offered:
    """What a run may use."""

    cpus: float
    gpus: float = 0.0
    cards: tuple[Card, ...] = ()
    """The GPUs that it may use, in any order; empty where there is none, or nothing tells of them."""
    trouble: str = ""
    """Why a GPU that is there can't be used; empty: nothing is known to be wrong."""
    elsewhere: bool = False
    """Whether it is all of a cluster's machines, and not this one."""
    rooms: tuple[Room, ...] = ()
    """Of a cluster: what each machine has that is alive, for nothing is trained across two. Empty: one has it all."""
    growing: bool = False
    """Whether an autoscaler brings machines that are asked for."""

    @property
    def hindrance(self) -> str:
        """Why nothing is trained on a GPU here unless that is asked for; empty: where a family gains by one, it is."""
        if self.gpus == 0:
            return f"the GPU can't be used: {self.trouble}" if self.trouble else "there is no GPU"
        if self.cards and all(card.free < ROOM for card in self.cards):
            return f"other processes hold the GPU: {self.cards[0].told}"
        return ""

    @property
    def gpu_name(self) -> str:
        """What records call the GPU where no worker has said it."""
        return self.cards[0].name if self.cards else "a GPU"

    @property
    def most_cpus(self) -> float:
        """Of one machine."""
        return max((one.cpus for one in self.rooms), default=self.cpus)

    @property
    def roomiest(self) -> str:
        """The address of the machine with the largest GPU, of those that are alive; empty: none is larger, or known."""
        alive = {one.address for one in self.rooms}
        cards = sorted((card for card in self.cards if card.node in alive), key=lambda card: card.memory)
        return cards[-1].node if cards and cards[0].memory < cards[-1].memory else ""

    @property
    def smallest_free(self) -> int | None:
        """Bytes that are free of the GPU with the least, where they are unlike; None: they are alike, or not known."""
        sizes = {card.memory for card in self.cards}
        return min(card.free for card in self.cards) if len(sizes) > 1 else None

    def cpus_a_gpu(self, least: float) -> float:
        """How many a GPU has, of the machine with fewest of those that have `least`."""
        rooms = [one for one in self.rooms if one.gpus and one.cpus >= least] or [Room(self.cpus, self.gpus)]
        return min(one.cpus / one.gpus for one in rooms)

    def places(self, cpus: float, gpus: float) -> int:
        """How many trainings that reserve so much find a place at a time, each on one machine."""
        every = self.rooms or (Room(self.cpus, self.gpus),)
        return sum(_places(one, cpus, gpus) for one in every)

    def holds(self, trainings: Iterable[tuple[float, float]]) -> bool:
        """Whether trainings that reserve so many CPUs and GPUs find room beside each other: the largest are put first,
        each where least is left over."""
        left = [(one.cpus, one.gpus) for one in self.rooms or (Room(self.cpus, self.gpus),)]
        for cpus, gpus in sorted(trainings, key=lambda one: (one[1], one[0]), reverse=True):
            fitting = [one for one in left if cpus <= one[0] + LEAST and gpus <= one[1] + LEAST]
            if not fitting:
                return False
            tightest = min(fitting, key=lambda one: (one[1], one[0]))
            left.remove(tightest)
            left.append((tightest[0] - cpus, tightest[1] - gpus))
        return True


def _places(room: Room, cpus: float, gpus: float) -> int:
    by_cpus, by_gpus = (
        int(there / asked + LEAST) if asked else None for there, asked in ((room.cpus, cpus), (room.gpus, gpus))
    )
    return min(one for one in (by_cpus, by_gpus) if one is not None)
