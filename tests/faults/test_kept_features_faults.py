"""Frozen features that real processes compute at a time, one of which is killed; and a disk that is full."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from trainables.files import DRAFT

COUNT, PART = 64, 4
PROCESS = f"""
import json, sys, time
from pathlib import Path
import numpy as np
import torch
from trainables import cache as cache_module
from trainables.cache import Cache
from trainables.interface import Problem, Samples
from trainables.parts import kept_features as module
from trainables.parts.kept_features import KeptFeatures

folder, log, delay = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
module.PART_PICTURES, module.LOOK, cache_module.RESERVE = {PART}, 0.05, 0


class Network:
    def features(self, samples, rows):
        with log.open("a") as file:
            file.write("".join(f"{{row}}\\n" for row in rows))
        time.sleep(delay)
        return [torch.from_numpy(samples.pictures[rows]).float().flatten(1)]

    def feature_key(self):
        return {{"name": "a"}}


array = np.random.default_rng(0).integers(0, 256, ({COUNT}, 32, 32, 3), dtype=np.uint8)
paths = tuple(map(str, range({COUNT})))
samples = Samples(array, np.zeros({COUNT}, dtype=np.int64), ("normal", "anomaly"), paths)
kept = KeptFeatures(Network(), Problem(samples.classes, (32, 32, 3), 1, cache=Cache(folder)))
with kept.opened(samples):
    (found,) = kept(samples, np.arange({COUNT}))
right = np.array_equal(found.numpy(), array.reshape({COUNT}, -1).astype(np.float32))
print(json.dumps({{"right": right, "trouble": kept.trouble}}))
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def begun(folder: Path, log: Path, delay: float = 0.05) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PROCESS, str(folder), str(log), str(delay)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> dict[str, object]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    told: dict[str, object] = json.loads(out)
    return told


def computed(*logs: Path) -> Counter[int]:
    return Counter(int(line) for log in logs if log.exists() for line in log.read_text().splitlines())


def test_processes_that_want_one_key_compute_each_picture_once(tmp_path: Path) -> None:
    logs = [tmp_path / f"{number}.txt" for number in range(3)]
    processes = [begun(tmp_path / "cache", log, delay=0.3) for log in logs]
    assert [ended(one) for one in processes] == [{"right": True, "trouble": ""}] * 3
    assert computed(*logs) == dict.fromkeys(range(COUNT), 1)


@pytest.mark.parametrize("moment", [0.2, 1.0])
def test_a_process_that_is_killed_costs_the_others_one_part(tmp_path: Path, moment: float) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    killed = begun(tmp_path / "cache", first, delay=0.3)
    while not first.exists():
        assert killed.poll() is None
        time.sleep(0.01)
    other = begun(tmp_path / "cache", second)
    time.sleep(moment)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert ended(other) == {"right": True, "trouble": ""}
    twice = [row for row, times in computed(first, second).items() if times > 1]
    assert len(twice) <= PART
    assert set(computed(first, second)) == set(range(COUNT))


def test_a_full_disk_costs_time_and_is_told(tmp_path: Path, small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("256k")  # a third of what the features take
    for number in range(2):
        log = tmp_path / f"{number}.txt"
        told = ended(begun(disk / "cache", log, delay=0.0))
        assert told["right"]
        assert told["trouble"], "it is said"
    assert set(computed(tmp_path / "0.txt")) == set(range(COUNT))
    drafts = [path for path in disk.rglob(".*") if path.name.endswith(DRAFT)]  # without the dot: what is kept
    assert not drafts, "nothing half written is left"
