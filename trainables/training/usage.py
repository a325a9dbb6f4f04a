"""What a training takes of its machine: memory, and energy where NVIDIA's management library tells it."""

import atexit
import ctypes
import gc
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import torch

from trainables.memory import available_memory


def on_gpu(device: str) -> bool:
    """Whether a training uses a GPU that is really there: Ray can be told of GPUs that are not, to try placement."""
    return device.startswith("cuda") and torch.cuda.is_available()


WORTH_TRIMMING = 32 * 2**20
"""Bytes freed by a training that are worth the ten milliseconds in which the allocator gives them back."""
_trainings = count()
_kept = 0
"""What this process held when it had last given memory back."""


def give_back() -> None:
    """Free what earlier trainings of this process left, before one that is measured begins.

    A model may hold itself by a cycle, and then lives on until Python looks for such. What it frees, glibc keeps: Tune
    runs each trial in a thread of its own, and each thread has its own heap, so that a worker which is used again grew
    from trial to trial (24 small ones: from 919 MiB after the first to 1,210; with this it begins each at 850 to 911).
    Modules are left out of the look: they are most of all objects, and the first training imports more.
    """
    global _kept
    begun = next(_trainings)
    if begun:
        gc.collect()
    if begun < 2:
        gc.freeze()
        atexit.register(gc.unfreeze)  # libraries count at the end what nobody has freed
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    if sys.platform == "linux" and begun and _resident()["VmRSS"] - _kept > WORTH_TRIMMING:
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        _kept = _resident()["VmRSS"]


def _resident() -> dict[str, int]:
    """Bytes by their name in /proc/self/status; of another system than Linux all as one, the peak being unknown."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        pairs = (line.split(":", 1) for line in lines if line.startswith(("VmHWM", "VmRSS", "Rss")))
        return {name: int(value.split()[0]) * 1024 for name, value in pairs}
    except (OSError, ValueError, IndexError):
        held = int(psutil.Process().memory_info().rss)
        return {"VmHWM": held, "VmRSS": held, "RssAnon": held, "RssFile": 0, "RssShmem": 0}


def forget_peak(device: str) -> None:
    """Let what is the most memory so far be that of now, on Linux and on GPUs."""
    if on_gpu(device):
        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


class PeakMemory:
    """The most memory since it was made: of this process, or with a GPU what torch allocated on it."""

    def __init__(self, device: str) -> None:
        """To be made before the model is built: what earlier trainings left is given back first."""
        give_back()
        self._cuda, self._most = on_gpu(device), 0
        self.available: int
        """Bytes that were free on the machine, or on the GPU, when it was made."""
        forget_peak(device)  # which belongs to an earlier trial in the same process
        if self._cuda:
            self._before = {"reserved": int(torch.cuda.memory_reserved())}
            self.available = int(torch.cuda.mem_get_info()[0])
        else:
            self._before = _resident()
            self.available = available_memory()

    def read(self) -> int:
        """Bytes: of all that the process held, or on a GPU that torch allocated."""
        return int(torch.cuda.max_memory_allocated()) if self._cuda else _resident()["VmHWM"]

    def own(self) -> int:
        """Bytes beyond what the process held before: what the training itself took.

        Pages of mapped files and of Ray's store are left out, which all processes share. On a GPU it is what torch's
        allocator reserved, which nobody else can have.
        """
        if self._cuda:
            return int(torch.cuda.max_memory_reserved()) - self._before["reserved"]
        now, before = _resident(), self._before
        shared = sum(now[name] - before[name] for name in ("RssFile", "RssShmem"))
        grown = now["VmHWM"] - before["VmRSS"] - max(0, shared)
        self._most = max(self._most, grown, now["RssAnon"] - before["RssAnon"])
        return self._most


def cap_memory(device: str, most: int | None) -> None:
    """Let torch reserve so many bytes of the GPU in this process, and no more; None: all."""
    if on_gpu(device):
        whole = int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
        torch.cuda.set_per_process_memory_fraction(1.0 if most is None else min(1.0, most / whole))


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


class SharedEnergy:
    """The joules that a GPU has drawn for several trainings in one process that take their epochs in turns."""

    def __init__(self, device: str, count: int) -> None:
        self._meter, self._read = GpuEnergy(device), 0.0
        self._of_each = [0.0] * count
        self.at_work = set(range(count))
        """The trainings between which is shared out what is drawn from now on."""

    def of(self, place: int) -> "EnergyShare":
        """The share of one of them."""
        return EnergyShare(self, place)

    def read(self, place: int) -> float | None:
        """Joules of one of them; None where NVML gives none."""
        now = self._meter.read()
        if now is None:
            return None
        for one in self.at_work:
            self._of_each[one] += (now - self._read) / len(self.at_work)
        self._read = now
        return self._of_each[place]


@dataclass(frozen=True)
class EnergyShare:
    """Read as GpuEnergy is."""

    shared: SharedEnergy
    place: int

    def read(self) -> float | None:
        """Joules; None where NVML gives none."""
        return self.shared.read(self.place)


def _nvml_handle() -> Any:
    """NVML's handle of the GPU that torch works on: NVML counts all devices, torch only the visible ones."""
    import pynvml

    pynvml.nvmlInit()
    identity = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
    return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{identity}")


def _joules(handle: Any) -> float:
    import pynvml

    return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
