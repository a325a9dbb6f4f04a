"""How the networks of a run shall compute on a device: what is wished, and where that is left open, what pays there."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from trainables.configurations.training import TrainingConfig
from trainables.interface import Precision, Problem
from trainables.training.loop import EpochLoop
from trainables.training.precision import first_line, has_mixed_precision, use_tf32
from trainables.training.together import Stack

PAYS = 1.2
"""How many times as fast bfloat16 or a CUDA graph must be to be chosen: less is within what a clock errs by."""
LAYOUT_PAYS = 1.1
"""The same of channels first, which no record was ever made with."""
STACKED_PAYS = 1.5
"""How many times as long as one network alone the seeds may take as one stacked network. In processes of their own they
take between once and all after each other, and each starts up."""
WORTH_COMPILING = 600.0
"""Seconds that a training must take before a compiler is tried, which itself takes a minute."""
SECONDS = 0.5
"""How long each way is timed at least."""
TENSOR_CORES = (8, 0)
"""The first generation of GPUs that has TF32."""


@dataclass(frozen=True)
class Probed:
    """What was settled on for a device."""

    precision: Precision
    reasons: dict[str, str] = field(default_factory=dict)
    """By key: why."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By what was timed: one step of training."""


class SquaredDistance:
    """A loss that any network of pictures can be timed with."""

    def losses(self, output: Tensor, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The mean square of what each picture gave."""
        losses = output.float().square().flatten(1).mean(dim=1)
        return losses, torch.ones_like(losses)

    def scores(self, output: Tensor, pictures: Tensor) -> Tensor:
        """The same."""
        return self.losses(output, pictures, pictures)[0]

    def maps(self, output: Tensor, pictures: Tensor) -> None:
        """None."""


def network_like_ours() -> nn.Module:
    """Convolutions with batch norm between, in the proportions of small ResNets and of the autoencoders here."""
    widths = (3, 32, 64, 128, 128)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def step_seconds(
    device: str, size: tuple[int, int], batch: int, ways: Sequence[Precision], seconds: float = SECONDS
) -> list[float]:
    """The median time of one step of training in each way, all in turns, for `seconds` each; infinite where it fails.

    Steps are taken as the epoch loop takes them, on a network of some half a million parameters.
    """
    steps = [_steps(device, size, batch, way) for way in ways]
    taken: list[list[float]] = [[] for _ in ways]
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds * len(ways) or not all(taken):
        for way, step, times in zip(ways, steps, taken, strict=True):
            use_tf32(way)
            try:
                times.append(step())
            except Exception:  # a way that a device or a library does not know is not chosen
                times.append(float("inf"))
    return [statistics.median(times) for times in taken]


def stacked_seconds(
    device: str, size: tuple[int, int], batch: int, way: Precision, count: int, seconds: float = SECONDS
) -> tuple[float, float]:
    """The median times of a step of one network, and of `count` of them as one stacked network, in turns."""
    alone = _steps(device, size, batch, way)
    stack = Stack([_loop(device, size, batch, way) for _ in range(count)])
    pictures, labels = _batch(device, size, batch, way)
    given = torch.stack([pictures] * count), torch.stack([labels] * count)
    together = _timed(lambda: stack.step(*given, draws=[]), torch.device(device))
    taken: tuple[list[float], list[float]] = ([], [])
    begun = time.perf_counter()
    while time.perf_counter() - begun < 2 * seconds or not taken[1]:
        for step, times in zip((alone, together), taken, strict=True):
            times.append(step())
    return statistics.median(taken[0]), statistics.median(taken[1])


def _steps(device: str, size: tuple[int, int], batch: int, way: Precision) -> Callable[[], float]:
    """A function that takes one step and returns its seconds; warmed up."""
    loop = _loop(device, size, batch, way)
    pictures, labels = _batch(device, size, batch, way)
    loop.network.train()
    take = loop.ready_step()
    return _timed(lambda: take(pictures, labels), loop.device)


def _loop(device: str, size: tuple[int, int], batch: int, way: Precision) -> EpochLoop:
    problem = Problem(("a", "b"), (*size, 3), epochs=1, device=device, precision=way)
    config = TrainingConfig.model_validate({"batch_size": batch})
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return EpochLoop(network_like_ours(), SquaredDistance(), config, problem, seed=0)


def _batch(device: str, size: tuple[int, int], batch: int, way: Precision) -> tuple[Tensor, Tensor]:
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    pictures = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(0)).to(device, memory_format=layout)
    return pictures, torch.zeros(batch, dtype=torch.int64, device=device)


def _timed(step: Callable[[], object], device: torch.device) -> Callable[[], float]:
    """The same, returning its seconds; warmed up."""

    def timed() -> float:
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    with suppress(Exception):  # it fails again where it is timed
        for _ in range(5):
            timed()
    return timed


def probe(
    device: str, size: tuple[int, int], wishes: Mapping[str, Any], batch: int = 32, steps: int = 0, seeds: int = 1
) -> Probed:
    """What is settled on for `device`, of `wishes` by the keys of Precision: a value, or "auto" for what pays.

    A wish that the device can't fulfil is left out, with the reason. On a CPU, "auto" is float32 as ever unless the CPU
    computes in bfloat16 itself, and nothing is timed. `steps`: of one training, by which a compiler must pay. `seeds`:
    how many may train as one stacked network.
    """
    there = torch.device(device)
    settling = _Settling(device, size, batch, wishes)
    settling.tf32(there)
    no_gpu = None if there.type == "cuda" else "only a GPU does so"
    no_bfloat16 = None if has_mixed_precision(there) else f"{device} does not compute in bfloat16 itself"
    settling.take("dtype", "bfloat16", no_bfloat16, PAYS)
    settling.take("channels_last", False, no_gpu and "on a CPU channels last pays", LAYOUT_PAYS)
    settling.take("cuda_graphs", True, no_gpu, PAYS)
    settling.compiling(steps if there.type == "cuda" else 0)
    settling.stacking(seeds if there.type == "cuda" else 0)
    return Probed(settling.chosen, settling.reasons, settling.seconds)


@dataclass
class _Settling:
    """Takes one key after the other, each beside what is chosen so far."""

    device: str
    size: tuple[int, int]
    batch: int
    wishes: Mapping[str, Any]
    chosen: Precision = field(default_factory=Precision)
    reasons: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def take(self, key: str, value: Any, unable: str | None, times: float) -> None:
        """Take `value` for a key where it is wished, or is so many times as fast. `unable`: why it can't be, or None.

        What the device could do, and does not by itself, is done where it is wished.
        """
        wish = self.wishes.get(key, "auto")
        if wish != "auto":
            forbidden = unable if wish == value and key != "channels_last" else None
            self.reasons[key] = "asked for" if forbidden is None else f"asked for, and left out: {forbidden}"
            self.chosen = self.chosen if forbidden else replace(self.chosen, **{key: wish})
        elif unable is not None:
            self.reasons[key] = unable
        else:
            other = replace(self.chosen, **{key: value})
            now, then = self._timed(self.chosen, other)
            self.seconds |= {f"without {key} {value}": now, f"{key} {value}": then}
            if then == math.inf:
                self.reasons[key] = f"{value} could not be tried"
                return
            self.reasons[key] = f"{value} is {now / then:.2f} times as fast, and {times:g} is asked for"
            self.chosen = other if now >= times * then else self.chosen

    def tf32(self, there: torch.device) -> None:
        """TF32 where a GPU has it: it makes no product slower."""
        wish = self.wishes.get("tf32", "auto")
        if there.type != "cuda":
            self.reasons["tf32"] = (
                "only a GPU has it" if wish == "auto" else "asked for, and left out: only a GPU has it"
            )
        elif wish != "auto":
            self.reasons["tf32"], self.chosen = "asked for", replace(self.chosen, tf32=wish)
        else:
            able = torch.cuda.get_device_capability(there) >= TENSOR_CORES
            self.reasons["tf32"] = "this GPU has it" if able else "this GPU has none"
            self.chosen = replace(self.chosen, tf32=able)

    def compiling(self, steps: int) -> None:
        """torch.compile where it is wished; by itself where it pays within a training of so many steps on a GPU."""
        wish = self.wishes.get("compile", "auto")
        if wish != "auto":
            self.reasons["compile"], self.chosen = "asked for", replace(self.chosen, compile=wish)
            return
        (now,) = self._timed(self.chosen) if steps else (0.0,)
        if now * steps < WORTH_COMPILING:
            self.reasons["compile"] = "a training is too short for it" if steps else "on a CPU only where asked for"
            return
        # Not both: a compiler has ways of its own to save launches.
        other = replace(self.chosen, compile=True, cuda_graphs=False)
        begun = time.perf_counter()
        (then,) = self._timed(other)
        spent = time.perf_counter() - begun
        pays = (now - then) * steps > PAYS * spent
        self.seconds |= {"without compile True": now, "compile True": then, "to compile": spent}
        self.reasons["compile"] = f"it {'pays' if pays else 'does not pay'} within a training of {steps:,} steps"
        self.chosen = other if pays else self.chosen

    def stacking(self, seeds: int) -> None:
        """The seeds as one network where that is wished; by itself on a GPU, where all take little longer than one."""
        wish = self.wishes.get("fused", "auto")
        if wish != "auto":
            self.reasons["fused"], self.chosen = "asked for", replace(self.chosen, fused=wish)
        elif seeds < 2:
            self.reasons["fused"] = "there is one seed" if seeds else "on a CPU only where asked for"
        else:
            # Not the compiler's, which networks that are stacked go without.
            way = replace(self.chosen, compile=False)
            try:
                one, all_of_them = stacked_seconds(self.device, self.size, self.batch, way, seeds)
            except Exception as error:  # a device on which that does not run, or that has no room
                self.reasons["fused"] = f"it could not be tried ({first_line(error)})"
                return
            self.seconds |= {"one seed": one, f"{seeds} seeds stacked": all_of_them}
            times = all_of_them / one
            self.reasons["fused"] = f"{seeds} take {times:.2f} times as long as one, and {STACKED_PAYS:g} is the most"
            self.chosen = replace(self.chosen, fused=times <= STACKED_PAYS)

    def _timed(self, *ways: Precision) -> list[float]:
        return step_seconds(self.device, self.size, self.batch, ways)
