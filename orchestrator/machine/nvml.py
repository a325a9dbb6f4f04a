"""NVIDIA's management library, asked without a CUDA context, which would hold memory of the GPU in this process."""

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.machine.offered import Card

LIBRARY = "libnvidia-ml.so.1"
LONGEST = 96
"""Bytes of a name or UUID, by nvml.h (NVML_DEVICE_UUID_V2_BUFFER_SIZE)."""


class _Memory(ctypes.Structure):
    """nvmlMemory_t of nvml.h."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


@dataclass(frozen=True)
class Driver:
    """What the driver says of itself and of all GPUs of this machine."""

    version: str
    cards: tuple[tuple[str, Card], ...]
    """(UUID, card) in the driver's order."""
    sliced: tuple[str, ...] = ()
    """The UUIDs of those that are in MIG mode: what is free of a slice of them is not known here."""


def read_driver() -> Driver | None:
    """What NVML says; None where there is none, or it does not answer."""
    with suppress(OSError, AttributeError, _Refused):
        library = ctypes.CDLL(LIBRARY)
        _ask(library.nvmlInit_v2)
        try:
            return _read(library)
        finally:
            library.nvmlShutdown()
    return None


class _Refused(Exception):
    """NVML gave an error code."""


def _ask(function: "ctypes._NamedFuncPointer", *arguments: object) -> None:
    if (code := function(*arguments)) != 0:
        raise _Refused(f"{function.__name__} gave {code}")


def _read(library: ctypes.CDLL) -> Driver:
    text = ctypes.create_string_buffer(LONGEST)
    _ask(library.nvmlSystemGetDriverVersion, text, LONGEST)
    version, count = text.value.decode("ascii", "replace"), ctypes.c_uint()
    _ask(library.nvmlDeviceGetCount_v2, ctypes.byref(count))
    cards, sliced = [], []
    for index in range(count.value):
        handle, memory = ctypes.c_void_p(), _Memory()
        name, uuid = ctypes.create_string_buffer(LONGEST), ctypes.create_string_buffer(LONGEST)
        try:
            _ask(library.nvmlDeviceGetHandleByIndex_v2, index, ctypes.byref(handle))
            _ask(library.nvmlDeviceGetName, handle, name, LONGEST)
            _ask(library.nvmlDeviceGetUUID, handle, uuid, LONGEST)
            _ask(library.nvmlDeviceGetMemoryInfo, handle, ctypes.byref(memory))
        except _Refused:
            continue  # one that has fallen off the bus, or that this user may not see
        identity = uuid.value.decode("ascii", "replace")
        cards.append((identity, Card(name.value.decode("utf-8", "replace"), memory.total, memory.free)))
        now, later = ctypes.c_uint(), ctypes.c_uint()
        with suppress(_Refused, AttributeError):
            _ask(library.nvmlDeviceGetMigMode, handle, ctypes.byref(now), ctypes.byref(later))
            if now.value:
                sliced.append(identity)
    return Driver(version, tuple(cards), tuple(sliced))


def usable(driver: Driver, variable: str | None) -> tuple[Card, ...]:
    """The cards that CUDA_VISIBLE_DEVICES leaves, by CUDA's rules: what stands after an entry that names nothing is
    left out, too. None of what is free is known of MIG slices, so that they are left out.

    `variable`: its value; None: it is not set.
    """
    cards = dict(driver.cards)
    identities = list(cards)
    named = identities if variable is None else named_by(variable, identities)
    return tuple(cards[one] for one in named if one not in driver.sliced)


def named_by(variable: str, identities: Sequence[str]) -> list[str]:
    """Which of the GPUs, given by UUID in their order, a value of CUDA_VISIBLE_DEVICES names."""
    found: list[str] = []
    for entry in (part.strip() for part in variable.split(",")):
        if entry.isascii() and entry.isdecimal():
            index = int(entry)
            matches = [identities[index]] if index < len(identities) else []
        else:
            matches = [one for one in identities if entry and one.startswith(entry)]
        if len(matches) != 1 or matches[0] in found:
            break
        found += matches
    return found
