"""The limits that a shell or a scheduler sets on a process, told before Ray starts: it ends at them without a word."""

import os
import resource
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from trainables.errors import InputError

MEBIBYTE, GIBIBYTE = 2**20, 2**30
KIBIBYTE = 1024
SHARED = Path("/dev/shm")

THREADS, THREADS_A_CPU = 200, 40
"""What Ray begins, of processes and threads."""


@dataclass(frozen=True)
class Limit:
    """One limit on this process, and what Ray needs of it: below, it hangs or ends as it starts. Measured."""

    number: int
    name: str
    option: str
    """How a shell sets it."""
    unit: int
    """What the shell counts it in."""
    least: int
    a_cpu: int = 0
    """So much more for each CPU, for each has its worker."""
    store: bool = False
    """Whether it must hold Ray's store of objects too, one file that is mapped whole at the start."""

    def needed(self, cpus: int) -> int:
        """What a Ray of so many CPUs needs."""
        return self.least + self.a_cpu * cpus + (_object_store() if self.store else 0)

    @property
    def now(self) -> int | None:
        """What is allowed; None: without end."""
        soft = resource.getrlimit(self.number)[0]
        return None if soft == resource.RLIM_INFINITY else soft

    @property
    def tight(self) -> bool:
        """Whether what is allowed may be too little, though it is not less than what is needed at the least."""
        return self.store and self.now is not None and self.now < 4 * self.needed(os.cpu_count() or 1)

    def shown(self, amount: int) -> int:
        """An amount as the shell counts it."""
        return -(-amount // self.unit)

    def told(self, amount: int) -> str:
        """An amount as a person says it."""
        if self.unit == 1:
            return str(amount)
        return f"{amount / GIBIBYTE:.1f} GiB" if amount >= GIBIBYTE else f"{amount / MEBIBYTE:.3g} MiB"


LIMITS = (
    Limit(resource.RLIMIT_NOFILE, "open files", "ulimit -n", 1, 192, 16),
    Limit(resource.RLIMIT_AS, "address space", "ulimit -v", KIBIBYTE, 8 * GIBIBYTE, store=True),
    Limit(resource.RLIMIT_FSIZE, "a file's size", "ulimit -f", KIBIBYTE, 256 * MEBIBYTE, store=True),
)


def _object_store() -> int:
    """Bytes of the store, as Ray chooses them: 30 % of the memory that is free, if shared memory has the room."""
    shared = shutil.disk_usage(SHARED).total if SHARED.is_dir() else 0
    return int(min(0.3 * psutil.virtual_memory().available, max(0.95 * shared, 10**10), 2 * 10**11))


def check_limits(cpus: int) -> None:
    """InputError where a limit on this process is too low for a Ray of so many CPUs.

    Of open files it takes as many as it may without asking, as Ray would.
    """
    for limit in LIMITS:
        needed, now = limit.needed(cpus), limit.now
        if now is None or now >= needed:
            continue
        if limit.number == resource.RLIMIT_NOFILE:
            hard = resource.getrlimit(limit.number)[1]
            now = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
            resource.setrlimit(limit.number, (now, hard))
        if now < needed:
            raise InputError(
                f"The limit on {limit.name} is {limit.told(now)}, and Ray needs {limit.told(needed)} on {_cpus(cpus)}: "
                f"it would end without a word. Raise it ({limit.option} {limit.shown(needed)}, or `unlimited`), or ask "
                "the scheduler for more."
            )
    _check_threads(cpus)


def _check_threads(cpus: int) -> None:
    allowed = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if allowed == resource.RLIM_INFINITY or os.geteuid() == 0:  # root is not held to it
        return
    needed, mine, used = THREADS + THREADS_A_CPU * cpus, os.getuid(), 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.uids().real == mine:
                used += process.num_threads()
    if allowed - used < needed:
        raise InputError(
            f"The limit on this user's processes and threads is {allowed}, of which {used} are in use, and Ray needs "
            f"some {needed} on {_cpus(cpus)}. Raise it (ulimit -u {used + needed}, or `unlimited`), or end what "
            "else runs."
        )


def limits_text() -> str:
    """The limits that are set on this process, for an error whose cause may be one of them; empty: none is."""
    told = [f"{limit.name} {limit.told(limit.now)}" for limit in LIMITS if limit.now is not None and limit.tight]
    return f"Limits are set on this process, which may be why: {', '.join(told)}." if told else ""


def _cpus(count: int) -> str:
    return "1 CPU" if count == 1 else f"{count} CPUs"
