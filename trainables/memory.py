"""What of this machine's memory is free for this process."""

from pathlib import Path

import psutil

CGROUPS = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.stat", "inactive_file"),
    (
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "sys/fs/cgroup/memory/memory.usage_in_bytes",
        "sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file",
    ),
)
"""Of a container's limit, in both versions: the limit, what is used, and what of that the kernel gives back when asked
(the name of its row, as `docker stats` and Kubernetes reckon)."""


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that can be had without swapping: of the machine, or of the container's limit where that is less.

    `root`: where the kernel's files lie.
    """
    free = int(psutil.virtual_memory().available)
    for limit, used, statistics, row in CGROUPS:
        try:
            most = (root / limit).read_text(encoding="ascii").strip()
            if most == "max":
                continue
            rows = dict(line.split(maxsplit=1) for line in (root / statistics).read_text("ascii").splitlines())
            held = int((root / used).read_text(encoding="ascii")) - int(rows.get(row, "0"))
            free = min(free, max(0, int(most) - held))
        except (OSError, ValueError):
            continue
    return free
