"""What this machine has to work with, as far as this process may use it."""

import os
import sys
from pathlib import Path


def local_resources() -> dict[str, float]:
    """CPUs and GPUs that this process may use, without starting Ray."""
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    devices = [path for pattern in ("nvidia[0-9]*", "kfd", "dxg") for path in Path("/dev").glob(pattern)]
    if sys.platform == "linux" and not devices:
        return {"cpus": float(cpus), "gpus": 0.0}
    import torch  # seconds, so only where there may be a GPU

    return {"cpus": float(cpus), "gpus": float(torch.cuda.device_count())}
