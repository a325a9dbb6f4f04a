"""How many CPUs quotas leave: read from the kernel's files as several kinds of machines have them, and from this one's
kernel where a group can be made."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.machine.cpu_quota import cpu_quota, usable_cpus

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 24 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
MEMORY = "34 24 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
GROUP = Path("/sys/fs/cgroup/cpu/anomaly-orchestrator-test")


def machine(root: Path, mounts: str, own: str, files: dict[str, str]) -> Path:
    """A tree of the kernel's files."""
    for name, content in {"proc/self/mountinfo": mounts, "proc/self/cgroup": own, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n", encoding="ascii")
    return root


@pytest.mark.parametrize(
    ("mounts", "own", "files", "expected"),
    [
        # a container of version 2 sees itself as the root
        (V2, "0::/", {"sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        (V2, "0::/", {"sys/fs/cgroup/cpu.max": "max 100000"}, None),
        # Slurm and systemd limit groups further in, each level of which counts
        (V2, "0::/system.slice/job_7/step_0", {"sys/fs/cgroup/system.slice/job_7/cpu.max": "200000 100000"}, 2.0),
        (
            V2,
            "0::/a/b",
            {"sys/fs/cgroup/a/cpu.max": "300000 100000", "sys/fs/cgroup/a/b/cpu.max": "400000 100000"},
            3.0,
        ),
        # a container without a namespace of its own: its path is the host's, and what is mounted is its own
        (V2.replace(" / /sys", " /docker/1 /sys"), "0::/docker/1", {"sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5),
        (V2, "0::/../..", {"sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5),
        # version 1, whose controllers are mounted one by one, and both side by side
        (
            f"{MEMORY}\n{V1}\n{V2.replace('/sys/fs/cgroup ', '/sys/fs/cgroup/unified ')}",
            "5:memory:/x\n4:cpu,cpuacct:/x\n0::/x",
            {
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "250000",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        # what can't be understood is no limit
        (V2, "0::/", {"sys/fs/cgroup/cpu.max": "many"}, None),
        (V2, "", {}, None),
        ("nonsense\n - \n1 2 3 4 - cgroup2", "0::/", {}, None),
    ],
)
def test_quotas_of_every_level_count(
    tmp_path: Path, mounts: str, own: str, files: dict[str, str], expected: float | None
) -> None:
    root = machine(tmp_path, mounts, own, files)
    assert cpu_quota(root) == expected
    allowed = len(os.sched_getaffinity(0))
    assert usable_cpus(root) == (allowed if expected is None else max(1, min(allowed, int(expected))))


def test_a_machine_without_such_files_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.fixture
def group() -> Iterator[Path]:
    """A real group of 1.5 CPUs with an empty one inside."""
    inner = GROUP / "inner"
    try:
        inner.mkdir(parents=True)
        (GROUP / "cpu.cfs_period_us").write_text("100000", encoding="ascii")
        (GROUP / "cpu.cfs_quota_us").write_text("150000", encoding="ascii")
    except OSError as error:
        pytest.skip(f"no group can be made here: {error}")
    yield inner
    for folder in (inner, GROUP):
        with suppress(OSError):
            folder.rmdir()


def test_a_process_in_a_group_knows_what_the_kernel_leaves_it(group: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "pathlib.Path(sys.argv[1], 'cgroup.procs').write_text(str(os.getpid()))\n"
        "from orchestrator.machine.cpu_quota import cpu_quota\n"
        "from orchestrator.machine.resources import local_resources\n"
        "print(cpu_quota(), local_resources().cpus)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(group)], capture_output=True, text=True, timeout=120)
    assert ended.stdout.split() == ["1.5", "1.0"], ended.stderr
