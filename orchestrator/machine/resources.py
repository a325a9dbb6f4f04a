"""What this machine has to work with, as far as this process may use it."""

import os
import sys
from pathlib import Path


def gpu_hint(there: int) -> str:
    """What an experiment must set to use the GPUs that there are."""
    one = "the GPU" if there == 1 else f"the {there} GPUs"
    return f"By itself an experiment trains on CPUs; it uses {one} with resources.gpus: 1 (or --set resources.gpus=1)."


def idle_gpus(there: float, wanted: float) -> str | None:
    """What to say where there are GPUs and a trial reserves none; None where all is as it should be."""
    if there <= 0 or wanted > 0:
        return None
    one = there == 1
    return (
        f"{'A GPU stands' if one else f'{there:g} GPUs stand'} idle: resources.gpus is 0, so all is trained on CPUs. "
        f"Use {'it' if one else 'them'} with --set resources.gpus=1 (one a trial; 0.5 lets two share one)."
    )


def local_resources() -> dict[str, float]:
    """CPUs and GPUs that this process may use, without starting Ray."""
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    devices = [path for pattern in ("nvidia[0-9]*", "kfd", "dxg") for path in Path("/dev").glob(pattern)]
    if sys.platform == "linux" and not devices:
        return {"cpus": float(cpus), "gpus": 0.0}
    import torch  # seconds, so only where there may be a GPU

    return {"cpus": float(cpus), "gpus": float(torch.cuda.device_count())}
