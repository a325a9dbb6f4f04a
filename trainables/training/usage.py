"""What a training takes of its machine: memory, and energy where NVIDIA's management library tells it."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch


def on_gpu(device: str) -> bool:
    """Whether a training uses a GPU that is really there: Ray can be told of GPUs that are not, to try placement."""
    return device.startswith("cuda") and torch.cuda.is_available()


class PeakMemory:
    """The most memory since it was made: of this process, or with a GPU what torch allocated on it."""

    def __init__(self, device: str) -> None:
        self._cuda = on_gpu(device)
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        else:
            # Linux: forget the peak so far, which belongs to an earlier trial in the same process.
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

    def read(self) -> int:
        """Bytes."""
        if self._cuda:
            return int(torch.cuda.max_memory_allocated())
        try:
            status = Path("/proc/self/status").read_text(encoding="ascii")
            return int(status.split("VmHWM:")[1].split()[0]) * 1024
        except (OSError, IndexError):
            return int(psutil.Process().memory_info().rss)


def gpu_name(device: str) -> str:
    """The name of the GPU that a training uses; empty on a CPU."""
    return torch.cuda.get_device_name() if on_gpu(device) else ""


class GpuEnergy:
    """The joules that the GPU of a training has drawn since this was made, whatever else ran on it."""

    def __init__(self, device: str) -> None:
        self._handle, self._before = None, 0.0
        if on_gpu(device):
            # Without NVML, or on a GPU that has no such counter (before Volta), there is no figure.
            with suppress(Exception):
                self._handle = _nvml_handle()
                self._before = _joules(self._handle)

    def read(self) -> float | None:
        """Joules; None where NVML gives none."""
        if self._handle is None:
            return None
        with suppress(Exception):
            return _joules(self._handle) - self._before
        return None


def _nvml_handle() -> Any:
    """NVML's handle of the GPU that torch works on: NVML counts all devices, torch only the visible ones."""
    import pynvml

    pynvml.nvmlInit()
    identity = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
    return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{identity}")


def _joules(handle: Any) -> float:
    import pynvml

    return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
