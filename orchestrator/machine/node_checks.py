"""What stands in a run's way on the machines of a cluster, by what they say of themselves; all of it at once."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from orchestrator.machine.node_probe import Disk, Known, Seen
from orchestrator.machine.nodes import Node, Nodes
from orchestrator.machine.offered import GIBIBYTE
from trainables.errors import InputError

MUST_BE_SAME = ("ray", "torch", "torchvision", "matplotlib", "pillow")
"""Packages whose versions decide what is trained, or which pixels are drawn; of others another version is a remark."""
NEEDED = (
    *MUST_BE_SAME,
    *("numpy", "numba", "optuna", "pandas", "psutil", "pyarrow", "pydantic", "pyyaml", "scikit-learn", "scipy"),
    "tifffile",
)
"""What a worker imports; families of one's own may need more, which nobody knows before."""
INSTALL = "Install there what constraints.txt holds, as on this machine, and start its Ray anew."
APART, DRIFT = 120.0, 5.0
"""Seconds between two clocks: with more than APART, heartbeats and times in records are wrong."""
LITTLE_DISK, LITTLE_MEMORY, LITTLE_SHARED = 5 * GIBIBYTE, 4 * GIBIBYTE, GIBIBYTE
NO_DISK, NO_MEMORY, NO_SHARED = GIBIBYTE // 4, GIBIBYTE // 2, GIBIBYTE // 64
"""Bytes free, below which nothing can work: code is unpacked, torch imported, arrays are passed."""
FULL = 0.05
"""Of a disk that is free, below which Ray writes nothing more to it."""
SHOWN = 8
"""Machines that a line names."""


class Told(NamedTuple):
    """One thing about one machine."""

    cause: str
    cure: str
    """What to do."""
    fatal: bool


def check_nodes(nodes: Nodes) -> list[str]:
    """Remarks to say aloud; InputError with all that keeps a run from working on the cluster as it is."""
    problems, remarks = all_told(nodes)
    if problems:
        raise InputError("\n".join(["The cluster can't run this as it is:", *(f"  - {line}" for line in problems)]))
    return remarks


def all_told(nodes: Nodes) -> tuple[list[str], list[str]]:
    """What keeps a run from working, and what it should know; a line each, with the machines that it is true of."""
    found = {node.label + node.id: list(_of(node, nodes.here)) for node in nodes.every}
    labels = {node.label + node.id: node.label for node in nodes.every}
    lines: tuple[list[str], list[str]] = ([], [])
    for told in dict.fromkeys(told for every in found.values() for told in every):
        names = [labels[key] for key, every in found.items() if told in every]
        lines[0 if told.fatal else 1].append(f"{_listed(names)}: {told.cause}. {told.cure}")
    return lines


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _of(node: Node, here: Seen) -> Iterator[Told]:
    """Of a machine without CPUs and GPUs (a head that only keeps the books) just what Ray itself needs there."""
    seen = node.seen
    if seen is None:
        cause = f"no worker can start ({node.failure})" if node.failure else "it does not answer"
        cure = "See whether it is reachable and what its Ray says (`ray status`), or take it out: `ray stop` there."
        yield Told(cause, cure, fatal=True)
        return
    yield from _versions(seen, here, node.works)
    yield from _clock(node)
    yield from _disk(seen.temporary, "Ray's files", "Make room, or start its Ray with another --temp-dir.")
    if node.works:
        yield from _weights(seen, here)
        yield from _room(node, seen)


def _versions(seen: Seen, here: Seen, works: bool) -> Iterator[Told]:
    minor = ".".join(here.python.split(".")[:2])
    if not seen.python.startswith(f"{minor}."):
        cure = f"Start its Ray with Python {minor}."
        yield Told(f"it has Python {seen.python}, and this machine {here.python}", cure, fatal=True)
    elif seen.python != here.python:
        yield Told(f"it has Python {seen.python}, and this machine {here.python}", "They may differ so far.", False)
    if seen.code != here.code:
        cause = f"it imports other code of this project than this machine, from {seen.code_folder}"
        cure = "What goes along with the run must come first: take that folder from its PYTHONPATH."
        yield Told(cause, cure, fatal=True)
    for name, ours in here.versions.items() if works else ():
        theirs = seen.versions.get(name)
        if theirs is None:
            yield Told(f"{name} is not installed there", INSTALL, fatal=True)
        elif theirs != ours:
            fatal = name in MUST_BE_SAME and theirs.split("+")[0] != ours.split("+")[0]
            cure = INSTALL if fatal else "Figures may differ a little from machine to machine."
            yield Told(f"{name} is {theirs}, and {ours} on this machine", cure, fatal)


def _clock(node: Node) -> Iterator[Told]:
    off = abs(node.ahead)
    if off > DRIFT:
        way = "ahead of" if node.ahead > 0 else "behind"
        amount = f"{off / 60:.0f} minutes" if off > APART else f"{off:.0f} s"
        cause = f"its clock is {amount} {way} this machine's"
        yield Told(cause, "Have both follow one time server (NTP).", fatal=off > APART)


def _weights(seen: Seen, here: Seen) -> Iterator[Told]:
    """`auto` and named weights that are not the same everywhere: what a trial gave would follow from where it ran."""
    for ours, theirs in zip(here.weights, seen.weights, strict=True):
        if ours == theirs:
            continue
        if ours is None and theirs is not None:
            cause, cure = f"it has the weights {theirs.name}, and this machine has not", "Put them here, too"
        elif ours is not None and theirs is None:
            cause, cure = f"it has not the weights {ours.name}", "Put this machine's there, to the same path"
        else:
            there = "" if theirs is None else theirs.name
            cause, cure = f"its weights {there} are another file than here", "Put this machine's there"
        yield Told(cause, f"{cure}, or set weights: none.", fatal=True)


def _room(node: Node, seen: Seen) -> Iterator[Told]:
    if seen.memory is not None and seen.memory < LITTLE_MEMORY:
        cause = f"only {_gib(seen.memory)} of memory is free"
        yield Told(cause, "End what else runs there, or lower budget.concurrent.", seen.memory < NO_MEMORY)
    if seen.shared_memory is None:
        yield Told("it has no /dev/shm", "Ray works through the disk there, slowly.", fatal=False)
    elif seen.shared_memory.free < NO_SHARED:
        cause = f"{_gib(seen.shared_memory.free)} of its /dev/shm is free, which Ray passes arrays through"
        yield Told(cause, "Remove what lies there, or make it larger (docker: --shm-size).", fatal=True)
    elif seen.shared_memory.size < LITTLE_SHARED:
        cause = f"its /dev/shm has only {_gib(seen.shared_memory.size)}"
        yield Told(cause, "Ray works through the disk there, slowly (docker: --shm-size).", fatal=False)
    if seen.cache is None:
        cure = "Set ORCHESTRATOR_CACHE where its Ray is started: trainings compute what they could share."
        yield Told("its cache can't be written", cure, fatal=False)
    if node.cpus > seen.cpus:
        cause = f"Ray counts {node.cpus:g} CPUs, and its kernel leaves {seen.cpus} to it (affinity, cgroup)"
        yield Told(cause, f"Start its Ray with --num-cpus={seen.cpus}.", fatal=False)


def _disk(disk: Disk | None, what: str, cure: str) -> Iterator[Told]:
    if disk is None:
        return
    full = disk.free < FULL * disk.size
    if disk.free < LITTLE_DISK or full:
        cause = f"only {_gib(disk.free)} is free in {disk.folder}, for {what}"
        said = f"{cure} Ray spills nothing to a disk that is 95 % full." if full else cure
        yield Told(cause, said, fatal=disk.free < NO_DISK)


def _gib(size: float) -> str:
    return f"{size / GIBIBYTE:.1f} GiB" if size >= GIBIBYTE / 10 else f"{size / 2**20:.0f} MiB"


def unseen(node: Node, here: Seen, places: Iterable[tuple[str, str]]) -> list[str]:
    """What a machine does not see as the driver does, a clause each; `places`: (marker, what its folder is called) of
    each folder that the run writes to."""
    seen = node.seen
    if seen is None:
        return []
    told = []
    for marker, name in places:
        sight = seen.markers.get(marker, "absent")
        words = {
            "absent": f"does not see {name}",
            "other": f"sees another folder as {name}",
            "closed": f"can't read and write {name}",
        }
        told += [words[sight]] if sight != "same" else []
    return told + _data_unseen(seen, here)


def _data_unseen(seen: Seen, here: Seen) -> list[str]:
    pairs = [(path, ours, seen.files.get(path)) for path, ours in here.files.items()]
    wrong = [(path, theirs) for path, ours, theirs in pairs if theirs != ours]
    if not wrong:
        return []
    if len(wrong) == len(pairs) and all(theirs is None for _, theirs in wrong):
        return [f"does not see the data ({wrong[0][0]} is not there)"]
    return [f"{_trouble(wrong[0][1])} as {wrong[0][0]}, which is of the data"]


def _trouble(theirs: Known | None) -> str:
    if theirs is None:
        return "sees no file"
    return "can't read what it sees" if theirs.size < 0 else "sees another file"
