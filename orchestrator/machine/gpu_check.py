"""Whether the GPUs of this machine train, tried for real, and what is wrong where they do not."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from orchestrator.machine.nvml import Driver, named_by, read_driver
from orchestrator.machine.offered import GIBIBYTE, ROOM
from orchestrator.machine.resources import VISIBLE, gpu_nodes

LIMIT = 180.0
"""Seconds: the import of torch on a cold disk, and the start of CUDA."""


@dataclass(frozen=True)
class Tried:
    """What came of a step of training on one GPU."""

    name: str
    capability: str = ""
    memory: int = 0
    free: int = 0
    """Bytes, with CUDA started."""
    bf16: bool = False
    """Whether it computes in bfloat16 itself."""
    seconds: float = 0.0
    """Of one step of a small network."""
    error: str = ""


@dataclass(frozen=True)
class Observed:
    """All that the judgement rests on."""

    nodes: tuple[str, ...]
    """GPUs in /dev; of another system than Linux, where there is no telling, empty."""
    linux: bool
    visible: str | None
    """CUDA_VISIBLE_DEVICES; None: not set."""
    build: str | None
    """The CUDA that torch is built for; None: it has none."""
    driver: Driver | None
    """What NVML says; None: it does not answer."""
    cards: tuple[Tried, ...] = ()
    error: str = ""
    """Why CUDA gave no device, or how the process ended that tried."""


@dataclass(frozen=True)
class GpuFindings:
    """For a person."""

    cards: tuple[str, ...]
    """A line a GPU that trains."""
    problems: tuple[str, ...]


def check_gpus() -> GpuFindings:
    """Look at what there is, and try a step of training on each GPU; takes seconds where there is one."""
    return judged(observe())


def observe() -> Observed:
    """What is the case on this machine."""
    from torch.version import cuda as build

    nodes, linux = tuple(gpu_nodes()), sys.platform == "linux"
    visible = os.environ.get(VISIBLE)
    if (linux and not nodes) or build is None:
        return Observed(nodes, linux, visible, build, read_driver())
    cards, error = _try()
    return Observed(nodes, linux, visible, build, read_driver(), cards, error)


def _try() -> tuple[tuple[Tried, ...], str]:
    command = [sys.executable, "-m", "orchestrator.machine.gpu_step"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return (), f"a step of training did not end within {LIMIT:.0f} s"
    except OSError as error:
        return (), f"a process could not be started: {error}"
    try:
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return tuple(Tried(**card) for card in found["cards"]), str(found["error"])
    except (ValueError, LookupError, TypeError):
        code = ended.returncode
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        last = ended.stderr.strip().splitlines()[-1:]
        return (), f"a step of training ended its process ({how}){': ' + last[0] if last else ''}"


def judged(seen: Observed) -> GpuFindings:
    """What to say of what was seen."""
    if not seen.cards:
        return GpuFindings((), (f"{_why_none(seen)} All is trained on CPUs; large backbones at 224 pixels are slow.",))
    version = "" if seen.driver is None else f", driver {seen.driver.version}"
    lines, problems = [], []
    for card in seen.cards:
        if card.error:
            problems.append(_fault(card.error, seen, card))
            continue
        held = card.memory - card.free
        exact = "bf16" if card.bf16 else "no bf16"
        lines.append(
            f"{card.name}, {card.free / GIBIBYTE:.1f} of {card.memory / GIBIBYTE:.1f} GiB free, {exact}, "
            f"a step of training {card.seconds * 1000:.1f} ms{version}"
        )
        if card.free < ROOM:
            problems.append(
                f"{card.name} has only {card.free / GIBIBYTE:.1f} GiB free; others hold {held / GIBIBYTE:.1f}: "
                "nothing is trained there unasked. End them (nvidia-smi lists them), or choose another GPU with "
                f"{VISIBLE}."
            )
        elif held > max(card.memory / 4, ROOM):
            problems.append(
                f"{card.name}: other processes hold {held / GIBIBYTE:.1f} of {card.memory / GIBIBYTE:.1f} GiB; trials "
                "get of what is free, and take longer."
            )
        if not card.bf16:
            problems.append(f"{card.name} does not compute in bf16 itself: mixed_precision changes nothing there.")
        if "MIG" in card.name:
            problems.append(
                f"{card.name} is a MIG slice: it trains, and NVML tells neither its energy nor what of it is free."
            )
    if seen.driver is None and lines:
        problems.append(
            "NVML (libnvidia-ml.so.1) does not answer: what of a GPU is free is not known before a trial runs, and no "
            "energy is recorded."
        )
    return GpuFindings(tuple(lines), tuple(problems))


def _why_none(seen: Observed) -> str:
    """Why CUDA offers no GPU."""
    container = "in a container, start it with --gpus all"
    if seen.linux and not seen.nodes:
        if seen.driver is not None and seen.driver.cards:
            return f"No GPU: the driver knows of {len(seen.driver.cards)}, and /dev holds none ({container})."
        return "No GPU: /dev holds none."
    if seen.build is None:
        return "No GPU is used: this torch has no CUDA. Install one that has (pytorch.org says how)."
    if seen.driver is None:
        there = f"/dev holds {', '.join(seen.nodes)}, and" if seen.nodes else "No GPU, or"
        return f"{there} no NVIDIA driver answers (libnvidia-ml.so.1): install the driver; {container}."
    identities = [identity for identity, _ in seen.driver.cards]
    if seen.visible is not None and not seen.visible.startswith("MIG") and not named_by(seen.visible, identities):
        if not seen.visible.strip():
            return f"No GPU: {VISIBLE} is empty, which hides all {len(identities)}. Unset it."
        known = f"0 to {len(identities) - 1}" if len(identities) > 1 else "0"
        return f"No GPU: {VISIBLE} is {seen.visible!r}, which names none. There are {known}, or UUIDs of nvidia-smi -L."
    if seen.driver.sliced and ("no CUDA-capable" in seen.error or not seen.error):
        return (
            "No GPU: it is in MIG mode, and no slice is visible. Make one (nvidia-smi mig -cgi … -C) and name it: "
            f"{VISIBLE}=MIG-…, by nvidia-smi -L."
        )
    return _fault(seen.error or "CUDA finds no device and does not say why", seen, None)


def _fault(error: str, seen: Observed, card: Tried | None) -> str:
    """What an error of CUDA means, and what to do."""
    text, name = error.lower(), "The GPU" if card is None or not card.name else card.name
    version = "" if seen.driver is None else f" {seen.driver.version}"
    built = f"this torch, which is built for CUDA {seen.build}"
    if "too old" in text or "insufficient for cuda runtime" in text:
        return (
            f"The NVIDIA driver{version} is too old for {built}. Update the driver, or install a torch that is built "
            "for an older CUDA."
        )
    if "no nvidia driver" in text:
        return "No NVIDIA driver answers: install it; in a container, start it with --gpus all."
    if "no kernel image" in text:
        capability = "" if card is None else f" (compute capability {card.capability})"
        return f"{name}{capability} is none that {built}, has code for. Install a torch that names it."
    if "forward compatibility" in text or "unsupported display driver" in text or "version mismatch" in text:
        return (
            f"The NVIDIA driver{version} and CUDA's libraries do not fit each other ({error}). Restart the machine if "
            "the driver was updated; else update it."
        )
    if "not yet initialized" in text:
        return f"CUDA is not yet initialised ({error}): on machines with NVSwitch the fabric manager must run."
    if "busy or unavailable" in text:
        return f"{name} is held by another process alone (exclusive mode). Wait for it, or choose another GPU."
    if "out of memory" in text:
        free = "" if card is None else f": {card.free / GIBIBYTE:.1f} of {card.memory / GIBIBYTE:.1f} GiB are free"
        return f"{name} has no memory left for a step of training{free}; other processes hold the rest."
    if "did not end within" in text:
        return f"The GPU does not answer: {error}. See what runs on it (nvidia-smi), or restart the machine."
    return f"{name} does not train: {error}."
