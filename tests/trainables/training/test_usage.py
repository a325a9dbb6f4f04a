"""What a training takes of its machine."""

import importlib.util
import subprocess
import sys

import pytest
import torch

from trainables.training.usage import GpuEnergy

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
