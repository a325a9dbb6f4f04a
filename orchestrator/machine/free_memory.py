"""What of this machine's memory new trainings can have."""

import psutil

from trainables.memory import available_memory

IDLE = "ray::IDLE"
"""What Ray calls a worker that waits for work: the next training takes it over, or it ends."""


def free_memory() -> int:
    """Bytes: what is available, and what idle workers of Ray hold for themselves."""
    held = 0
    for process in psutil.process_iter(["name", "memory_info"]):
        memory = process.info["memory_info"]
        if (process.info["name"] or "").startswith(IDLE) and memory is not None:
            held += memory.rss - getattr(memory, "shared", 0)
    return available_memory() + held
