"""Clusters whose machines are not alike, for real: folders that one does not see, one that is silent, a head that dies
as it is joined. All end soon, before any work, with what to do."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from orchestrator.artifacts.clusters import read_joined

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ALONE = "mount --make-rprivate / && mount -t tmpfs none '{folder}' && exec {python} -m ray.scripts.scripts start {more}"
START = "--address={address} --num-cpus=1 --block"


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head of one CPU, which is slow to give a silent machine up."""
    from ray.cluster_utils import Cluster

    slow = {"health_check_failure_threshold": 1000}
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": slow}
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


@pytest.fixture
def sweep(cluster: Any, series_tree: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A command line on the cluster, on data and a run that lie in `tmp_path`: more of its words -> how it ended."""
    (tmp_path / "shared").mkdir()
    subprocess.run(["cp", "-r", series_tree, tmp_path / "shared" / "data"], check=True)
    values = {
        "data": {"path": str(tmp_path / "shared" / "data"), "size": 32, "style": "plain"},
        "families": ["pca_logistic"],
        "budget": {"trials": 1, "epochs": 1},
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")

    def call(*more: str, out: str = "run") -> subprocess.CompletedProcess[str]:
        words = ["sweep", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "shared" / out), "--until", "render", *more]
        return subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", *words], capture_output=True, text=True, timeout=300,
            env=os.environ | {"RAY_ADDRESS": cluster.address, "ORCHESTRATOR_OPEN_CLUSTER": "1"},
        )  # fmt: skip

    return call


@contextmanager
def apart(cluster: Any, folder: Path) -> Iterator[None]:
    """A second machine of the cluster, which sees `folder` empty and of its own."""
    more = START.format(address=cluster.address)
    shell = ALONE.format(folder=folder, python=sys.executable, more=more)
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", shell], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    import ray

    try:
        ray.init(cluster.address, logging_level="error", log_to_driver=False)
        deadline = time.monotonic() + 90
        while sum(node["Alive"] for node in ray.nodes()) < 2:
            if process.poll() is not None and process.stderr is not None:
                pytest.skip(f"no machine can be played here: {process.stderr.read().strip()[-300:]}")
            assert time.monotonic() < deadline, "the second machine did not come"
            time.sleep(0.5)
        ray.shutdown()
        yield
    finally:
        ray.shutdown()
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        for each in children:
            with suppress(psutil.Error):
                each.kill()
        process.kill()
        process.wait()


def test_what_a_machine_does_not_see_is_told_or_shipped(
    cluster: Any, sweep: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    with apart(cluster, tmp_path / "shared"):
        asked = sweep("--set", "resources.storage=shared")
        assert asked.returncode == 2, asked.stderr
        assert f"does not see the run's folder {tmp_path / 'shared' / 'run'}" in asked.stderr
        assert "does not see the data" in asked.stderr
        assert not list((tmp_path / "shared" / "run").glob("*.part")), "the driver's own marks are gone"
        sweep(out="other")
        (joined,) = read_joined(tmp_path / "shared" / "other" / "clusters.jsonl")
        assert joined.storage == "shipped"
        assert sum(bool(machine.unseen) for machine in joined.machines) == 1


def test_what_all_machines_see_is_shared_and_a_trial_must_fit_one_of_them(
    cluster: Any, sweep: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    cluster.add_node(num_cpus=1, include_dashboard=False)
    large = sweep("--set", "resources.cpus=2")
    assert large.returncode == 2
    assert "no single machine of the cluster has that" in large.stderr
    (joined,) = read_joined(tmp_path / "shared" / "run" / "clusters.jsonl")
    assert (joined.storage, len(joined.machines)) == ("shared", 2)


def doctor(cluster: Any, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "doctor", *more], capture_output=True, text=True, timeout=300,
        env=os.environ | {"RAY_ADDRESS": cluster.address, "ORCHESTRATOR_OPEN_CLUSTER": "1"},
    )  # fmt: skip


def test_a_machine_that_is_silent_is_named(
    cluster: Any, sweep: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    silent = cluster.add_node(num_cpus=1, include_dashboard=False)
    found = json.loads(doctor(cluster, "--json").stdout)
    assert [machine["answered"] for machine in found["cluster"]] == [True, True]
    assert found["works"]
    raylet = silent.all_processes["raylet"][0].process.pid
    os.kill(raylet, signal.SIGSTOP)
    try:
        ended, told = sweep(), doctor(cluster)
    finally:
        os.kill(raylet, signal.SIGCONT)
    assert ended.returncode == 2
    assert "it does not answer" in ended.stderr
    assert ended.stderr.count("it does not answer") == 1
    assert told.returncode == 1
    assert "no answer" in told.stdout


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_a_head_that_dies_as_it_is_joined_is_told(cluster: Any, how: str) -> None:
    head = cluster.head_node.all_processes["gcs_server"][0].process.pid
    code = (
        "import os, signal, sys\nfrom orchestrator.machine.engine import Engine\n"
        "from trainables.errors import InputError\n"
        "engine = Engine(1)\nengine.check()\nos.kill(int(sys.argv[1]), getattr(signal, sys.argv[2]))\n"
        "try:\n    engine.start()\nexcept InputError as error:\n    sys.exit(f'Error: {error}')"
    )
    environment = os.environ | {"RAY_ADDRESS": cluster.address, "ORCHESTRATOR_OPEN_CLUSTER": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", code, str(head), how], capture_output=True, text=True, timeout=200, env=environment
    )
    with suppress(ProcessLookupError):
        os.kill(head, signal.SIGCONT)
    assert ended.returncode in (1, 2)
    assert f"The cluster at {cluster.address} answered" in ended.stderr
