"""Hosts that are cut off the network while a run works on them: what ran there is run elsewhere; who joins works."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from builders.series import write_series
from faults.played_hosts import Hosts, playable

from orchestrator.artifacts.records import TrialRecord, read_records

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not playable(), reason="hosts are played by root alone, with ip, nsenter and unshare"),
]

AT_WORK = {"render": "_Worker", "search": "ImplicitFunc", "evaluate": "evaluate_cell"}
"""By stage: what the title of a worker's process holds while it works on it."""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """Three hosts, of which the first is the head of a cluster, without CPUs, and the second a node of it."""
    with Hosts(3, tmp_path / "home") as made:
        made.head()
        made.node(2)
        yield made


def run(
    hosts: Hosts, folder: Path, *options: str, series: int = 14, trials: int = 6, epochs: int = 12, driver: int = 1
) -> tuple["Run", Path]:
    """A sweep begun on the host `driver`, over so many series a class; and its folder."""
    data = folder / "data"
    if not data.exists():
        write_series(data, series)
    values: dict[str, Any] = {
        "data": {"path": str(data), "size": 32, "style": "plain"},
        "budget": {"trials": trials, "epochs": epochs, "patience": None},
        "families": [
            {
                "family": "plot_classifier",
                "fixed": {"backbone": "shufflenet_v2_x0_5", "weights": "none", "batch_size": 4},
            }
        ],
        "seeds": [0, 1, 2],
        "sampler": "random",
        "scheduler": "none",
    }
    file, out = folder / "e.yaml", folder / "run"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return Run(hosts, driver, "sweep", str(file), "--out", str(out), *options), out


class Run:
    """The command on a host, and what it has said."""

    def __init__(self, hosts: Hosts, number: int, *arguments: str) -> None:
        self.process = hosts.on(number, sys.executable, "-m", "orchestrator.cli", *arguments, RAY_ADDRESS=hosts.address)
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)

    def ends(self, seconds: float = 900) -> int:
        """Its exit code."""
        code = self.process.wait(seconds)
        self._reader.join(30)
        return code


def works(hosts: Hosts, number: int, what: str, run: Run, seconds: float = 600) -> None:
    """Wait until a worker on a host is at such work."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and run.process.poll() is None:
        for process in hosts.processes(number):
            with suppress(psutil.Error):
                if what in " ".join(process.cmdline()):
                    return
        time.sleep(0.1)
    raise AssertionError(f"no worker of host {number} was at {what}: {''.join(run.said)}")


def counted(out: Path, trials: int = 6) -> list[TrialRecord]:
    """The records of a run in which nothing is lost and nothing twice."""
    records = list(read_records(out / "records.jsonl"))
    keys = Counter((one.stage, one.variant, one.trial, one.seed) for one in records)
    assert max(keys.values()) == 1, "nothing repeated"
    assert Counter(one.stage for one in records) == {"search": trials, "evaluation": 3}, "nothing lost"
    assert {one.status for one in records} == {"completed"}
    return records


@pytest.mark.parametrize("seconds", [20, None])
@pytest.mark.parametrize("stage", ["render", "search", "evaluate"])
def test_what_ran_on_a_host_that_is_cut_off_is_run_elsewhere(
    tmp_path: Path, hosts: Hosts, stage: str, seconds: float | None
) -> None:
    hosts.node(3)
    run_of, out = run(hosts, tmp_path, series=1_500 if stage == "render" else 14, epochs=2 if stage == "render" else 12)
    works(hosts, 3, AT_WORK[stage], run_of)
    time.sleep(2)
    hosts.cut(3)
    began = time.monotonic()
    if seconds is not None:
        time.sleep(seconds)
        hosts.join(3)
    code = run_of.ends()
    assert code == 0, "".join(run_of.said)
    counted(out)
    pictures = 3 * len(list((tmp_path / "data" / "wave").iterdir()))
    assert f"render: {pictures}/{pictures} pictures" in "".join(run_of.said)
    print(f"{stage}, cut for {seconds or 'good'}: the end {time.monotonic() - began:.0f} s after the cut")


def test_a_node_that_joins_is_used_by_the_search_that_runs(tmp_path: Path, hosts: Hosts) -> None:
    run_of, out = run(hosts, tmp_path, trials=12)
    works(hosts, 2, AT_WORK["search"], run_of)
    hosts.node(3)
    works(hosts, 3, AT_WORK["search"], run_of)
    works(hosts, 3, AT_WORK["evaluate"], run_of)
    assert run_of.ends() == 0, "".join(run_of.said)
    counted(out, trials=12)


def test_a_run_whose_last_node_is_lost_says_so_and_goes_on_with_the_next(tmp_path: Path, hosts: Hosts) -> None:
    run_of, out = run(hosts, tmp_path)
    works(hosts, 2, AT_WORK["search"], run_of)
    hosts.kill(2)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not any("waits for a node with 1 CPU" in one for one in run_of.said):
        time.sleep(0.5)
    assert any("waits for a node with 1 CPU" in one for one in run_of.said), "".join(run_of.said)
    hosts.node(3)
    assert run_of.ends() == 0, "".join(run_of.said)
    counted(out)


@pytest.mark.parametrize("driver", [1, 3])
@pytest.mark.parametrize("end", [Hosts.kill_ray, Hosts.cut])
def test_a_head_that_dies_ends_the_run_which_goes_on_with_another(
    tmp_path: Path, hosts: Hosts, end: Callable[[Hosts, int], None], driver: int
) -> None:
    if driver == 1 and end is Hosts.cut:
        pytest.skip("the head's own cable is no matter to a driver beside it")
    hosts.node(3, cpus=0)
    run_of, out = run(hosts, tmp_path, driver=driver)
    works(hosts, 2, AT_WORK["search"], run_of)
    end(hosts, 1)
    began = time.monotonic()
    assert run_of.ends(240) != 0, "".join(run_of.said)
    said = "".join(run_of.said)
    assert "--resume" in said, said
    assert "Traceback" not in said, said
    print(f"the head lost, driver on host {driver}: the end {time.monotonic() - began:.0f} s after it\n{said[-600:]}")
    for number in (1, 2, 3):
        hosts.kill(number)
    hosts.join(1)
    hosts.head()
    hosts.node(2)
    assert run(hosts, tmp_path, "--resume")[0].ends() == 0
    counted(out)
