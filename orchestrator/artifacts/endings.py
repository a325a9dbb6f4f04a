"""How a trial or a cell ended: its status, why in a line, and what is then tried again."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

Status = Literal["completed", "pruned", "failed", "out-of-memory", "timed-out"]
ENDED_WELL: tuple[Status, ...] = ("completed", "pruned")
FAILED: tuple[Status, ...] = ("failed", "out-of-memory")
RUN_AGAIN: tuple[Status, ...] = ("timed-out",)
"""What a resume runs once more."""

RETRIES = 2
"""How often what lost its worker or node is tried again; it goes on from its last state."""
FRUITLESS = 5
"""A study whose first trials all failed, so many of them, stops itself."""
TIME_USED_UP = "the search's time was used up"
NO_MEMORY = "the machine ran out of memory, and its worker was killed for it"
COUNTERS = Path("/proc/vmstat")


def why(error: BaseException | str | None, kills: int | None = None) -> tuple[Status, str]:
    """The status and a one-line reason for what ended a trial or a cell.

    `kills`: what `kernel_kills` gave when it began, where its worker may have died of a kill by the kernel.
    """
    text = str(error or "no reason was given")
    reason = first_line(text)
    if kills is not None and "died" in reason and kernel_kills() > kills:
        return "out-of-memory", NO_MEMORY
    memory = ("outofmemory", "out of memory", "memoryerror")
    if any(word in f"{type(error).__name__} {text}".lower() for word in memory):
        return "out-of-memory", reason
    return "failed", reason


def first_line(text: str) -> str:
    """The last line of a traceback, or the first of a message: what a table has room for."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "no reason was given"
    return (lines[-1] if any(line.startswith("Traceback") or "ray::" in line for line in lines) else lines[0])[:500]


def all_failed(statuses: Iterable[Status]) -> bool:
    """Whether a study's first trials, FRUITLESS or more of them, all failed."""
    tried = 0
    for status in statuses:
        if status not in FAILED:
            return False
        tried += 1
    return tried >= FRUITLESS


def kernel_kills() -> int:
    """How many processes of this machine the kernel has killed for want of memory since it started; 0 where it
    does not say."""
    try:
        lines = COUNTERS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    counts = dict(line.split(maxsplit=1) for line in lines)
    return int(counts.get("oom_kill", "0"))
