"""How many CPUs this process may keep busy: by its affinity, and by the quotas of control groups, which containers and
schedulers set. joblib and Ray look at the outermost group alone; Slurm's and systemd's are further in."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def usable_cpus(root: Path = ROOT) -> int:
    """Whole CPUs, at least one; of a quota no more than it feeds without a pause. `root`: as in `cpu_quota`."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = cpu_quota(root)
    return allowed if quota is None else max(1, min(allowed, int(quota + 1e-9)))


def cpu_quota(root: Path = ROOT) -> float | None:
    """CPU seconds a second that the groups of this process are given, the least of all of them; None: no limit.

    `root`: where the kernel's files lie.
    """
    quotas = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of this process's groups that have a say on CPUs, in both versions, each up to where it is mounted.

    In a container a group's path may be one that is not seen there: what is mounted is then the container's own.
    """
    try:
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        own = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    groups = [tuple(line.split(":", 2)) for line in own if line.count(":") >= 2]
    for line in mounts:
        place, _, kind = line.partition(" - ")
        fields, (version, *rest) = place.split(), kind.split() or [""]
        if len(fields) < 5 or version not in ("cgroup", "cgroup2"):
            continue
        if version == "cgroup" and "cpu" not in (rest[-1] if rest else "").split(","):
            continue
        mounted = root / fields[4].lstrip("/")
        for _, controllers, path in groups:
            if (version == "cgroup2" and not controllers) or (version == "cgroup" and "cpu" in controllers.split(",")):
                inner = _within(path, fields[3])
                yield from (mounted / part for part in (inner, *inner.parents))


def _within(path: str, mounted: str) -> PurePosixPath:
    """A group's path below the group that is mounted; that one itself where it does not lie there."""
    group = PurePosixPath(path)
    if ".." not in group.parts and group.is_relative_to(mounted):
        return group.relative_to(mounted)
    return PurePosixPath()


def _quota(folder: Path) -> float | None:
    """Of one group: None where it has none of its own."""
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    return None
