"""Ray itself dies under a sweep: the run ends with a reason, leaves nothing running, and goes on afterwards."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from orchestrator.artifacts.records import read_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TRIALS = 60


@pytest.fixture
def file(cheap_experiment: Callable[..., Path]) -> Path:
    return cheap_experiment(trials=TRIALS)


def sweep(file: Path, out: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "orchestrator.cli", "sweep", str(file), "--out", str(out), "--resume", "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)
    records = out / "records.jsonl"
    while not records.exists() or records.read_bytes().count(b"\n") < 3:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    return process


def ended(process: subprocess.Popen[str], code: int) -> str:
    _, said = process.communicate(timeout=600)
    assert process.returncode == code, said
    return said


def goes_on(file: Path, out: Path) -> None:
    ended(sweep(file, out), 0)
    search = [one for one in read_records(out / "records.jsonl") if one.stage == "search"]
    assert sorted(one.trial for one in search) == list(range(TRIALS))
    assert {one.status for one in search} == {"completed"}


@pytest.mark.parametrize("server", ["gcs_server", "raylet"])
def test_a_server_of_the_local_ray(file: Path, tmp_path: Path, server: str) -> None:
    out = tmp_path / "run"
    process = sweep(file, out)
    children = psutil.Process(process.pid).children(recursive=True)
    next(child for child in children if child.name() == server).kill()
    said = ended(process, 1)
    assert f"Ray's {server} died" in said
    assert "--resume" in said
    assert not psutil.wait_procs(children, timeout=60)[1]
    goes_on(file, out)


def test_the_head_of_a_cluster(file: Path, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    out = tmp_path / "run"
    try:
        process = sweep(file, out, RAY_ADDRESS=cluster.address, ORCHESTRATOR_OPEN_CLUSTER="1")
        cluster.head_node.kill_gcs_server()
        said = ended(process, 1)
    finally:
        cluster.shutdown()
    assert "does not answer" in said
    assert "--resume" in said
    goes_on(file, out)
