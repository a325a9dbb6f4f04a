"""A trial that takes all memory: its row says so, whoever killed it, and the other trials go on."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from orchestrator.artifacts.endings import kernel_kills
from orchestrator.artifacts.records import TrialRecord, read_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

GIB = 2**30
BACKBONE = """
from torch import nn


class Greedy(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, stride=4)
        self.last = nn.Linear(4, 1000)

    def forward(self, pictures):
        if self.training and pictures.device.type != "meta":
            kept = []
            while True:
                kept.append(bytearray(b"x" * 2**24))
        return self.last(self.convolution(pictures).mean(dim=(2, 3)))


def greedy():
    return Greedy()
"""


@pytest.fixture
def limited() -> Iterator[Path]:
    """The file that takes the processes of a control group with 5 GiB of memory."""
    version_1 = Path("/sys/fs/cgroup/memory")
    root, limit = (version_1, "memory.limit_in_bytes") if version_1.is_dir() else (version_1.parent, "memory.max")
    group = root / f"test-{uuid.uuid4().hex}"
    try:
        group.mkdir()
        (group / limit).write_text(str(5 * GIB))
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"no control group with a limit of memory can be made here: {error}")
    yield group / "cgroup.procs"
    group.rmdir()


def swept(series_tree: Path, folder: Path, enter: Callable[[], object], **environment: str) -> list[TrialRecord]:
    """The records of a sweep of a greedy backbone and a sound family, in a process of its own."""
    backbone = folder / "greedy.py"
    backbone.write_text(BACKBONE, encoding="utf-8")
    greedy: dict[str, Any] = {
        "family": "plot_classifier",
        "name": "greedy",
        "fixed": {"backbone": f"{backbone}:greedy", "weights": "none", "batch_size": 16},
    }
    values = {
        "data": {"path": str(series_tree), "size": 32, "style": "plain"},
        "families": [greedy, "pca_logistic"],
        "budget": {"trials": 2, "epochs": 2, "concurrent": 1},
        "seeds": [0],
    }
    file = folder / "e.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "sweep", str(file), "--out", str(folder / "run"), "--quiet"],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        preexec_fn=enter,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    return list(read_records(folder / "run" / "records.jsonl"))


def check(records: list[TrialRecord]) -> None:
    search = [(one.variant, one.trial, one.status) for one in records if one.stage == "search"]
    assert search == [
        ("greedy", 0, "out-of-memory"),
        ("greedy", 1, "out-of-memory"),
        ("pca_logistic", 0, "completed"),
        ("pca_logistic", 1, "completed"),
    ]
    assert all("memory" in one.reason for one in records if one.variant == "greedy")
    assert [(one.variant, one.status) for one in records if one.stage == "evaluation"] == [
        ("pca_logistic", "completed")
    ]


def test_killed_by_the_kernel(series_tree: Path, tmp_path: Path, limited: Path) -> None:
    before = kernel_kills()
    check(swept(series_tree, tmp_path, lambda: limited.write_text(str(os.getpid()))))
    assert kernel_kills() > before


def test_killed_by_rays_memory_monitor(series_tree: Path, tmp_path: Path) -> None:
    memory = psutil.virtual_memory()
    share = (memory.total - memory.available + 5 * GIB) / memory.total
    if share > 0.9:
        pytest.skip("there is too little free memory here to take 5 GiB of it")
    monitor = {"RAY_memory_monitor_refresh_ms": "100", "RAY_memory_usage_threshold": f"{share:.3f}"}
    before = kernel_kills()
    check(swept(series_tree, tmp_path, lambda: None, **monitor))
    assert kernel_kills() == before
