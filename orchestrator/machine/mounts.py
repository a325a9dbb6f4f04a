"""Which file system a path lies on: of one that other machines write to, the kernel tells nothing."""

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/mounts")
BETWEEN_MACHINES = frozenset(
    (
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "drvfs", "gfs2", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
        "ocfs2", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
    )
)  # fmt: skip


def network_type(path: Path, mounts: Path = MOUNTS) -> str:
    """The type of the file system that a path lies on, where other machines, or a host, may write to it too; else
    empty."""
    kind = _type_of(os.path.realpath(path), mounts)
    return kind if kind in BETWEEN_MACHINES or kind.startswith("fuse.") else ""


def _type_of(path: str, mounts: Path) -> str:
    """As the table of mounts has it: of mounts one inside the other the innermost, of several on one place the last."""
    try:
        lines = os.fsdecode(mounts.read_bytes()).splitlines()
    except OSError:
        return ""
    longest, kind = "", ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        place = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[1])
        within = path == place or path.startswith(place.rstrip("/") + "/")
        if within and len(place) >= len(longest):
            longest, kind = place, fields[2]
    return kind
