"""What the kernel did for want of memory."""

from pathlib import Path

COUNTERS = Path("/proc/vmstat")


def kernel_kills() -> int:
    """How many processes of this machine the kernel has killed for want of memory since it started; 0 where it
    does not say."""
    try:
        lines = COUNTERS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    counts = dict(line.split(maxsplit=1) for line in lines)
    return int(counts.get("oom_kill", "0"))
