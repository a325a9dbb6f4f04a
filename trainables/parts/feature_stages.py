"""The four stages of a convolutional backbone, layer1 to layer4: found by name or resolution, and read."""

import functools
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from trainables.errors import InputError
from trainables.own_code import is_own
from trainables.parts.backbones import (
    SIZED,
    backbone_on_cpu,
    backbone_on_meta,
    check_size,
    device_of,
    first_line,
    misfit,
)

STRIDES = (4, 8, 16, 32)
"""Of layer1 to layer4: pixels of the picture a place of the feature map, as in a ResNet."""
NAMES = ("layer1", "layer2", "layer3", "layer4")
PROBES = ((256, 256), (224, 224))
"""The sizes (height, width) at which the strides come out as whole numbers."""
POOLING = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
"""What gives a map of one size for every picture: no stage, even where that size fits one."""


@dataclass(frozen=True)
class Stage:
    """Where a backbone gives one of its four stages."""

    path: str
    """The submodule whose output it is."""
    call: int
    """Which of its calls in one forward pass, from 0: some models call one activation many times."""
    channels: int
    stride: int


@dataclass(eq=False)
class _Call:
    """One call of a submodule in a forward pass."""

    path: str
    number: int
    before: int | None
    """The stride of its input."""
    within: tuple["_Call", ...]
    """The calls that it was part of."""
    pooling: bool
    after: int | None = None
    channels: int = 0


class _Enough(Exception):
    """Raised inside a backbone when the last stage that is wanted has been seen."""


class StageReader:
    """Runs a backbone as far as its last wanted stage and gives the stages' outputs."""

    def __init__(self, model: nn.Module, stages: tuple[Stage, ...]) -> None:
        self.model, self.stages = model, stages
        self.calls: Counter[str] = Counter()
        self.seen: dict[tuple[str, int], Tensor] = {}
        for path in dict.fromkeys(stage.path for stage in stages):
            model.get_submodule(path).register_forward_hook(functools.partial(self._keep, path))

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """The feature maps (B, C, h, w) of the stages, in their order."""
        self.calls.clear()
        self.seen = {}
        with suppress(_Enough):
            self.model(pictures)
        maps = [self.seen[stage.path, stage.call] for stage in self.stages]
        self.seen = {}
        return maps

    def _keep(self, path: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        call = path, self.calls[path]
        self.calls[path] += 1
        if any((stage.path, stage.call) == call for stage in self.stages):
            self.seen[call] = output.clone()  # what comes next may change it in place
            whole = len(self.seen) == len({(stage.path, stage.call) for stage in self.stages})
            if whole and not torch.compiler.is_exporting():  # a graph is pruned of what comes next without it
                raise _Enough


@functools.cache
def find_stages(name: str, size: tuple[int, int], channels: int = 3) -> tuple[Stage, Stage, Stage, Stage]:
    """The four stages of the backbone `name`, for pictures of `size` (height, width) and 3 or 4 channels.

    A ResNet's are its own layer1 to layer4. Of any other backbone a stage is the last output (B, C, h, w) at strides 4,
    8, 16 and 32 that is not inside a block which halves the resolution. Runs on shapes; one's own, where it can't run
    without data, on a CPU. Raises InputError for a backbone without them, and for pictures that don't pass through it.
    """
    if not is_own(name):
        check_size(name, size)
    reason = "it has no size at which it runs"
    for model in _models(name, size):
        model.eval()
        probes = (size,) if name.startswith(SIZED) and not is_own(name) else (*PROBES, size)
        try:
            if channels == 4:
                widen_first_convolution(model, name)
            with torch.no_grad():
                model(torch.zeros(1, channels, *size, device=device_of(model)))
        except InputError:
            raise
        except Exception as error:
            # Code of one's own may raise anything.
            reason = first_line(error)
            continue
        for probe in probes:
            try:
                calls = _traced(model, probe, channels)
            except Exception:
                continue  # built for another size
            return _chosen(name, calls)
    raise misfit(name, size, reason)


def widen_first_convolution(model: nn.Module, name: str) -> None:
    """Let the first convolution take a fourth channel, whose filters are the mean of the three it has (seed 002).

    Raises InputError for a backbone that has no convolution of three channels, or that handles them one by one.
    """
    first = next((layer for layer in model.modules() if isinstance(layer, nn.Conv2d)), None)
    if first is None or first.in_channels != 3 or first.groups != 1 or getattr(model, "transform_input", False):
        raise InputError(
            f"The backbone {name!r} can't take depth as a fourth channel: its first layer is no plain convolution of "
            "three channels. Set input: rgb, or choose another backbone, such as resnet50."
        )
    with torch.no_grad():
        weight = torch.cat([first.weight, first.weight.mean(dim=1, keepdim=True)], dim=1)
    first.in_channels = 4
    first.weight = nn.Parameter(weight, requires_grad=first.weight.requires_grad)


def _models(name: str, size: tuple[int, int]) -> Iterator[nn.Module]:
    """The backbone without numbers; and, where that does not run, one's own with them."""
    yield backbone_on_meta(name, size)
    if is_own(name):
        yield backbone_on_cpu(name, size)


def _chosen(name: str, calls: list[_Call]) -> tuple[Stage, Stage, Stage, Stage]:
    named = [next((call for call in reversed(calls) if call.path == path), None) for path in NAMES]
    found = [
        call if all(each is not None and each.after for each in named) else _last(calls, stride)
        for call, stride in zip(named, STRIDES, strict=True)
    ]
    missing = [str(stride) for call, stride in zip(found, STRIDES, strict=True) if call is None]
    if missing:
        raise InputError(
            f"The backbone {name!r} has no four stages of feature maps (B, C, h, w): nothing at a stride of "
            f"{', '.join(missing)} pixels. Choose a convolutional one, such as resnet50, efficientnet_b0, "
            "mobilenet_v3_large, densenet121 or convnext_tiny."
        )
    first, second, third, fourth = (
        Stage(call.path, call.number, call.channels, call.after) for call in found if call is not None and call.after
    )
    return first, second, third, fourth


def _last(calls: list[_Call], stride: int) -> _Call | None:
    """The last call that gives a map of `stride` before any gives half of it, outside a block that goes on to halve it.

    Later maps of that size are none of the stage: those of a decoder, or smaller ones that were padded.
    """
    halved = next((place for place, call in enumerate(calls) if call.after == 2 * stride), len(calls))
    for call in reversed(calls[:halved]):
        inside = any(outer.before == stride and outer.after == 2 * stride for outer in call.within)
        if call.after == stride and not call.pooling and not inside:
            return call
    return None


def _traced(model: nn.Module, size: tuple[int, int], channels: int) -> list[_Call]:
    """Every call of a submodule that gives a tensor (B, C, h, w), in the order in which they end."""
    trace = _Trace(size)
    handles = []
    for path, module in model.named_modules():
        if path:
            handles.append(module.register_forward_pre_hook(functools.partial(trace.enter, path)))
            handles.append(module.register_forward_hook(trace.leave))
    try:
        with torch.no_grad():
            model(torch.zeros(1, channels, *size, device=device_of(model)))
    finally:
        for handle in handles:
            handle.remove()
    return trace.ended


@dataclass
class _Trace:
    """What the hooks write down."""

    size: tuple[int, int]
    running: list[_Call] = field(default_factory=list)
    ended: list[_Call] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def enter(self, path: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        before = self._stride(inputs[0]) if inputs else None
        self.running.append(_Call(path, self.counts[path], before, tuple(self.running), isinstance(module, POOLING)))
        self.counts[path] += 1

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        call = self.running.pop()
        call.after = self._stride(output)
        if call.after:
            call.channels = int(output.shape[1])
            self.ended.append(call)

    def _stride(self, given: Any) -> int | None:
        """Pixels of the picture a place, to the nearest power of two; None for what is no map (B, C, h, w)."""
        if not isinstance(given, Tensor) or given.ndim != 4 or min(given.shape[2:]) < 1:
            return None
        powers = {round(math.log2(side / places)) for side, places in zip(self.size, given.shape[2:], strict=True)}
        power = powers.pop()
        return None if powers or power < 0 else int(2**power)
