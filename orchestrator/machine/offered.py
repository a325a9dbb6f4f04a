"""What there is to train on, as far as it is known: CPUs, GPUs, and what is free of their memory."""

from dataclasses import dataclass

GIBIBYTE = 2**30
ROOM = 2 * GIBIBYTE
"""Of a GPU's memory: with less than that free nothing is trained on it unasked. CUDA's own part, once a process, is
0.3 to 0.6 GiB."""


@dataclass(frozen=True)
class Card:
    """One GPU."""

    name: str
    memory: int
    """Bytes, in all."""
    free: int
    """Bytes that no process holds."""

    @property
    def told(self) -> str:
        """For a line of text."""
        return f"{self.name}, {self.free / GIBIBYTE:.1f} of {self.memory / GIBIBYTE:.1f} GiB free"


@dataclass(frozen=True)
class Offered:
    """What a run may use."""

    cpus: float
    gpus: float = 0.0
    cards: tuple[Card, ...] = ()
    """The GPUs of this machine that it may use, in any order; empty where there is none, or nothing tells of them."""
    trouble: str = ""
    """Why a GPU that is there can't be used; empty: nothing is known to be wrong."""
    elsewhere: bool = False
    """Whether it is all of a cluster's machines, and not this one."""
    machines: tuple[tuple[float, float], ...] = ()
    """(CPUs, GPUs) of each machine, where there are several: a training has room on a single one of them."""

    @property
    def each(self) -> tuple[tuple[float, float], ...]:
        """(CPUs, GPUs) of each machine, of one too."""
        return self.machines or ((self.cpus, self.gpus),)

    def room(self, cpus: float, gpus: float) -> int:
        """How many trainings that each reserve so much find room beside each other."""
        return sum(_room_on(machine, cpus, gpus) for machine in self.each)

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


def _room_on(machine: tuple[float, float], cpus: float, gpus: float) -> int:
    rooms = [int(has / each + 1e-9) for has, each in zip(machine, (cpus, gpus), strict=True) if each]
    return min(rooms, default=0)
