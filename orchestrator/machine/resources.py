"""What this machine has to work with, as far as this process may use it."""

import os
import sys
import warnings
from pathlib import Path

from orchestrator.machine.cpu_quota import usable_cpus
from orchestrator.machine.nvml import read_driver, usable
from orchestrator.machine.offered import Offered

VISIBLE = "CUDA_VISIBLE_DEVICES"
NODES = ("nvidia[0-9]*", "kfd", "dxg")
"""In /dev, where Linux has a GPU: NVIDIA's, AMD's, and that of Windows below it."""


def gpu_nodes() -> list[str]:
    """The files in /dev by which programs reach GPUs."""
    return sorted(path.name for pattern in NODES for path in Path("/dev").glob(pattern))


def local_resources() -> Offered:
    """CPUs and GPUs that this process may use, without starting Ray."""
    cpus = float(usable_cpus())
    if sys.platform == "linux" and not gpu_nodes():
        return Offered(cpus)
    import torch  # seconds, so only where there may be a GPU

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        works = torch.cuda.is_available()  # asks CUDA itself: NVML counts what a driver may be too old for
    if not works:
        words = [" ".join(str(one.message).split()) for one in said]
        return Offered(cpus, trouble=words[0] if words else "CUDA finds no device that it can use")
    driver = read_driver()
    cards = () if driver is None else usable(driver, os.environ.get(VISIBLE))
    return Offered(cpus, float(torch.cuda.device_count()), cards)
