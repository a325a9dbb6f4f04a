"""What this machine offers, and what will not work on it."""

import os
import shutil
import time
from pathlib import Path

import psutil
import torchvision
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.artifacts.provenance import device_name, package_version, package_versions
from orchestrator.machine.cluster import cluster_address
from orchestrator.machine.cpu_quota import cpu_quota
from orchestrator.machine.engine import Engine, available
from orchestrator.machine.gpu_check import check_gpus
from orchestrator.machine.node_checks import LITTLE_DISK, LITTLE_MEMORY, LITTLE_SHARED, NEEDED, all_told
from orchestrator.machine.node_probe import Question
from orchestrator.machine.nodes import Node, ask
from orchestrator.machine.offered import GIBIBYTE, Offered
from orchestrator.machine.resources import local_resources
from trainables.errors import InputError
from trainables.parts.pretrained import checkpoint_folder, find_weights


class Machine(BaseModel):
    """One machine of a cluster, by what it says of itself."""

    model_config = ConfigDict(frozen=True)

    name: str
    address: str
    answered: bool
    cpus: float
    """As Ray counts them, and so are the GPUs."""
    gpus: float
    cards: tuple[str, ...] = ()
    python: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    memory_free: int | None = None
    """Bytes, and so are all that follow; None: not known."""
    shared_memory: int | None = None
    disk_free: int | None = None
    """Where its Ray keeps files."""
    clock_ahead: float = 0.0
    """Seconds that its clock is ahead of this machine's."""

    @classmethod
    def of(cls, node: Node) -> "Machine":
        """What `node` says."""
        seen = node.seen
        answered = seen is not None
        bare = cls(name=node.name, address=node.address, answered=answered, cpus=node.cpus, gpus=node.gpus)
        if seen is None:
            return bare
        said = {
            "cards": tuple(card.name for card in seen.gpus),
            "python": seen.python,
            "packages": dict(seen.versions),
            "memory_free": seen.memory,
            "shared_memory": None if seen.shared_memory is None else seen.shared_memory.size,
            "disk_free": None if seen.temporary is None else seen.temporary.free,
            "clock_ahead": round(node.ahead, 1) + 0.0,  # which makes of -0 a 0
        }
        return bare.model_copy(update=said)

    @property
    def told(self) -> str:
        """A line for a person."""
        has = f"{self.name} ({self.address}): {self.cpus:g} CPUs, {self.gpus:g} GPUs"
        if not self.answered:
            return f"{has}; no answer"
        cards = f" ({', '.join(self.cards)})" if self.cards else ""
        room = {"memory": self.memory_free, "/dev/shm": self.shared_memory, "disk": self.disk_free}
        parts = [f"{name} {_gib(size)}" for name, size in room.items() if size is not None]
        return f"{has}{cards}; {', '.join(parts)}; Python {self.python}; clock {self.clock_ahead:+.1f} s"


class Findings(BaseModel):
    """What was found."""

    model_config = ConfigDict(frozen=True)

    version: str
    packages: dict[str, str]
    processor: str
    cpus: int
    memory: int
    """Bytes, in all."""
    memory_free: int
    gpus: tuple[str, ...]
    """A line each of those that train: name, memory, how a step of training went."""
    trains_on: str
    """What `resources: auto` chooses here, and why."""
    disk_free: int
    """Bytes, where the command runs."""
    shared_memory: int | None
    """Bytes of /dev/shm, which Ray passes arrays through; None where there is none."""
    ray: str
    """How Ray started, or why it did not."""
    weights_folder: str
    weights: tuple[str, ...]
    """Backbones whose ImageNet weights are on this machine."""
    works: bool
    """False where no experiment can run."""
    cpu_quota: float | None = None
    """CPUs that control groups leave to this process; None: no limit."""
    cluster: tuple[Machine, ...] = ()
    """The machines of the cluster that RAY_ADDRESS names; empty where none is named, or it can't be joined."""
    problems: tuple[str, ...]
    """What will not work, or not well, and what to do."""


def doctor() -> Findings:
    """What this machine offers and what will not work on it. Starts and stops Ray once, which takes seconds; or joins
    the cluster that RAY_ADDRESS names, and asks each of its machines."""
    resources = local_resources()
    memory = psutil.virtual_memory()
    gpus = check_gpus()
    disk = shutil.disk_usage(Path.cwd()).free
    shared = shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else None
    weights = [name for name in torchvision.models.list_models(module=torchvision.models) if find_weights(name, "auto")]
    problems, works, machines = [], True, tuple[Machine, ...]()
    address = cluster_address()
    try:
        started = time.perf_counter()
        with Engine(cpus=int(resources.cpus)) as engine:
            seconds = time.perf_counter() - started
            offered = available()
            if engine.remote:
                nodes = ask(Question(packages=NEEDED))
                machines = tuple(Machine.of(node) for node in nodes.every)
                wrong, remarks = all_told(nodes)
                problems += [f"The cluster: {line}" for line in (*wrong, *remarks)]
                works = not wrong
        begins = "starts" if address is None else f"joins the cluster at {address}"
        ray = f"{begins} in {seconds:.1f} s with {offered.cpus:g} CPUs and {offered.gpus:g} GPUs"
    except Exception as error:  # whatever keeps Ray from starting is what the doctor is for
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        works, ray = False, f"does not start: {kind}{error}"
        problems.append(f"Ray {ray}")
    problems += gpus.problems
    if not weights:
        problems.append(
            f"No ImageNet weights in {checkpoint_folder()}: `weights: auto` starts from random initialisation. "
            "Put torchvision's files there, or name a file: weights: path/to/file.pth."
        )
    if disk < LITTLE_DISK:
        problems.append(f"Only {_gib(disk)} free on the disk: pictures, models and Ray's spill need room.")
    if memory.available < LITTLE_MEMORY:
        problems.append(f"Only {_gib(memory.available)} of memory free: lower budget.concurrent.")
    if shared is not None and shared < LITTLE_SHARED:
        problems.append(
            f"/dev/shm has only {_gib(shared)}: Ray then works through the disk, slowly (docker: --shm-size)."
        )
    if not os.access(Path.cwd(), os.W_OK):
        problems.append(f"{Path.cwd()} can't be written: give --out a folder where you may write.")
    return Findings(
        version=package_version(),
        packages=package_versions(),
        processor=device_name("cpu"),
        cpus=int(resources.cpus),
        memory=memory.total,
        memory_free=memory.available,
        gpus=gpus.cards,
        trains_on=_chosen(resources, bool(gpus.cards)),
        disk_free=disk,
        shared_memory=shared,
        ray=ray,
        weights_folder=str(checkpoint_folder()),
        weights=tuple(sorted(weights)),
        works=works,
        problems=tuple(problems),
        cpu_quota=cpu_quota(),
        cluster=machines,
    )


def findings_text(findings: Findings) -> str:
    """The findings for a person."""
    packages = ", ".join(f"{name} {release}" for name, release in findings.packages.items())
    shared = "none" if findings.shared_memory is None else _gib(findings.shared_memory)
    quota = "" if findings.cpu_quota is None else f" (a cgroup's quota is {findings.cpu_quota:g})"
    rows = {
        "version": findings.version,
        "packages": packages,
        "processor": f"{findings.processor}, {findings.cpus} CPUs{quota}",
        "memory": f"{_gib(findings.memory)}, {_gib(findings.memory_free)} free; shared memory {shared}",
        "GPUs": "; ".join(findings.gpus) or "none",
        "trains on": findings.trains_on,
        "disk": f"{_gib(findings.disk_free)} free here",
        "Ray": findings.ray,
        "weights": ", ".join(findings.weights) or f"none in {findings.weights_folder}",
    }
    lines = [f"{name + ':':<11}{value}" for name, value in rows.items()]
    lines += [f"{'node:':<11}{machine.told}" for machine in findings.cluster]
    if findings.problems:
        lines += ["", "What will not work, or not well:"] + [f"  - {problem}" for problem in findings.problems]
    else:
        lines += ["", "Nothing stands in the way."]
    return "\n".join(lines)


def _chosen(there: Offered, trained: bool) -> str:
    """`trained`: whether a step of training went well on a GPU."""
    if there.hindrance or not trained:
        return f"CPUs: {there.hindrance or 'a step of training failed on the GPU: set resources.gpus=0'}"
    shared = f", or one training on up to {there.gpus:g} (resources.workers)" if there.gpus > 1 else ""
    return f"the GPU{shared}; families that gain nothing by one (pca, pca_logistic) on CPUs"


def _gib(size: float) -> str:
    return f"{size / GIBIBYTE:.1f} GiB"
