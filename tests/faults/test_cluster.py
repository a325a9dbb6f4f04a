"""A sweep on a cluster of three nodes whose workers and nodes are killed: nothing lost, nothing repeated."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from orchestrator.artifacts.records import TrialRecord, read_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

KILLS = int(os.environ.get("ORCHESTRATOR_TEST_KILLS", "50"))
EXPERIMENT: dict[str, Any] = {
    "families": [
        {
            "family": "plot_classifier",
            "fixed": {"backbone": "shufflenet_v2_x0_5", "weights": "none", "batch_size": 4},
        },
        "pca_logistic",
    ],
    "seeds": [0, 1],
}


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without CPUs, and two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    quiet = {"include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **quiet})
    for _ in range(2):
        made.add_node(num_cpus=1, **quiet)
    yield made
    made.shutdown()


def sweep(file: Path, out: Path, address: str, kill: Callable[[], bool], kills: int) -> int:
    """Run a sweep to its end on the cluster at `address`, with kills at random moments; how many there were."""
    program = [sys.executable, "-m", "orchestrator.cli", "sweep", str(file), "--out", str(out), "--resume", "--quiet"]
    environment = os.environ | {"RAY_ADDRESS": address, "ORCHESTRATOR_OPEN_CLUSTER": "1"}
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=environment)
    records = out / "records.jsonl"
    moments, done = random.Random(1), 0
    while process.poll() is None:
        if done < kills and records.exists():
            before = records.stat().st_size
            time.sleep(moments.uniform(0, 3))
            done += kill()
            # The next one waits until something came of it: three deaths of one trial would give that trial up.
            deadline = time.monotonic() + 120
            while process.poll() is None and records.stat().st_size == before and time.monotonic() < deadline:
                time.sleep(0.05)
        time.sleep(0.05)
    _, said = process.communicate()
    assert process.returncode == 0, said
    return done


def kill_worker(cluster: Any) -> bool:
    """Kill one process that trains; False where none does."""
    raylets = [node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()]
    working = []
    for raylet in raylets:
        with suppress(psutil.Error):
            for child in psutil.Process(raylet).children(recursive=True):
                with suppress(psutil.Error):
                    title = " ".join(child.cmdline())
                    if title.startswith("ray::ImplicitFunc") or "evaluate_cell" in title:
                        working.append(child)
    if not working:
        return False
    random.Random(time.time_ns()).choice(working).kill()
    return True


def kill_node(cluster: Any) -> bool:
    """Take one of the two working nodes away at once, and bring another."""
    nodes = [node for node in cluster.worker_nodes if node.any_processes_alive()]
    cluster.remove_node(random.Random(time.time_ns()).choice(sorted(nodes, key=id)), allow_graceful=False)
    cluster.add_node(num_cpus=1, include_dashboard=False)
    return True


def what_counts(record: TrialRecord) -> dict[str, Any]:
    """All of a record but times, memory, and where it was made."""
    told = record.model_dump(
        mode="json",
        exclude={
            "seconds",
            "seconds_a_picture",
            "speed",
            "peak_memory",
            "own_memory",
            "available_memory",
            "provenance",
            "reading",
        },
    )
    return {**told, "reason": told["reason"].split(" after ")[0]}


@pytest.mark.parametrize(("kill", "share"), [(kill_worker, 1.0), (kill_node, 0.4)])
def test_what_dies_on_a_cluster_spoils_nothing(
    series_tree: Path, tmp_path: Path, cluster: Any, kill: Callable[[Any], bool], share: float
) -> None:
    kills = max(1, round(KILLS * share))
    values = {
        "data": {"path": str(series_tree), "size": 32, "style": "plain"},
        "budget": {"trials": kills * 5 // 4 + 6, "epochs": 9, "concurrent": 1, "patience": None},
        **EXPERIMENT,
    }
    file = tmp_path / "e.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    sweep(file, tmp_path / "whole", cluster.address, lambda: False, 0)
    done = sweep(file, tmp_path / "killed", cluster.address, lambda: kill(cluster), kills)
    assert done == kills, "the sweep was over before all kills had been"
    first, second = (list(read_records(tmp_path / name / "records.jsonl")) for name in ("whole", "killed"))
    keys = Counter((one.stage, one.variant, one.trial, one.seed) for one in second)
    assert max(keys.values()) == 1, "nothing repeated"
    in_order = [sorted((what_counts(one) for one in found), key=str) for found in (first, second)]
    assert in_order[0] == in_order[1], "nothing lost, nothing else"
    print(f"{done} deaths, {len(second)} records: 0 lost, 0 repeated, all equal")
