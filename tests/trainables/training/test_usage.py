"""What a training takes of its machine."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainables.training import usage as module
from trainables.training.usage import GpuEnergy, SharedEnergy

OWN_PROCESS = """
import numpy as np
from trainables.training.usage import PeakMemory

ballast = np.ones(2**27, dtype=np.uint8)
del ballast
peak = PeakMemory("cpu")
before = peak.read()
ballast = np.ones(2**26, dtype=np.uint8)
assert peak.read() >= before + 0.9 * ballast.nbytes, "what is held"
del ballast
assert peak.read() >= before + 0.9 * 2**26, "what was held"
assert peak.read() <= before + 1.5 * 2**26, "what went before it"
"""


def test_the_peak_is_of_what_came_after_it_was_made() -> None:
    # In this process, memory of earlier tests may be freed at the same moment.
    found = subprocess.run([sys.executable, "-c", OWN_PROCESS], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


USED_AGAIN = """
import threading
from pathlib import Path

import torch
from trainables.training.usage import PeakMemory

MIB = 2**20
owns, begun = [], []


class Cycle:
    def __init__(self, size):
        self.tensors, self.me = [torch.ones(size // 4) for _ in range(64 * MIB // size)], self


def training(size):
    memory = PeakMemory("cpu")
    begun.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    held = Cycle(size)
    owns.append(memory.own())
    held = Cycle(size) if size % 2 else None


for number in range(8):
    # Below malloc's bound for maps of their own, so that they lie in the heap of their thread.
    thread = threading.Thread(target=training, args=(64_000 + 256 * number,))
    thread.start()
    thread.join()
assert all(60 * MIB < own < 80 * MIB for own in owns[1:]), owns
assert begun[-1] - begun[1] < 24 * MIB, begun
"""


def test_a_training_is_told_by_what_it_took_itself_in_a_process_that_is_used_again() -> None:
    found = subprocess.run([sys.executable, "-c", USED_AGAIN], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


MAPPED = """
import sys
import numpy as np
from trainables.training.usage import PeakMemory

memory = PeakMemory("cpu")
pictures = np.memmap(sys.argv[1], dtype=np.uint8, mode="r")
pictures.sum()
assert memory.read() > 2**26
assert memory.own() < 2**24, memory.own()
"""


def test_mapped_pictures_that_all_share_are_no_training_s_own(tmp_path: Path) -> None:
    path = tmp_path / "pictures"
    path.write_bytes(bytes(2**26))
    found = subprocess.run([sys.executable, "-c", MAPPED, str(path)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_a_processor_has_no_figure_of_energy() -> None:
    assert GpuEnergy("cpu").read() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.skipif(importlib.util.find_spec("pynvml") is None, reason="nvidia-ml-py is not installed")
def test_work_on_a_gpu_draws_energy() -> None:
    energy = GpuEnergy("cuda")
    matrix = torch.rand(4096, 4096, device="cuda")
    for _ in range(200):
        matrix = matrix @ matrix / 4096
    torch.cuda.synchronize()
    assert (energy.read() or 0) > 0


def test_what_several_draw_is_shared_out_between_those_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([6.0, 6.0, 6.0, 10.0, 10.0, 15.0])
    monkeypatch.setattr(module.GpuEnergy, "read", lambda meter: next(drawn))
    shared = SharedEnergy("cpu", 3)
    first, second, third = (shared.of(place) for place in range(3))
    assert [one.read() for one in (first, second, third)] == [2.0, 2.0, 2.0]
    shared.at_work = {0, 2}
    assert [one.read() for one in (first, third)] == [4.0, 4.0]
    shared.at_work = {2}
    assert third.read() == 9.0
    shared.at_work = set()
    drawn = iter([15.0] * 3)
    assert sum(one.read() or 0.0 for one in (first, second, third)) == 15.0, "all that was drawn"


def test_without_a_meter_no_share_is_known() -> None:
    assert SharedEnergy("cpu", 2).of(1).read() is None
