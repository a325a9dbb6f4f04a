"""From uint8 pictures of any size to verdicts: resize, the family's module and the threshold, as torch modules."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from orchestrator.scoring.ensembles import Weighted
from trainables.interface import Task

BITS = 11
"""Pillow's weights have 22 fractional bits. Each half of them is a float32 that sums up without rounding."""
BLOCK = 32
"""New pixels that are made in one matrix product, of the old ones that they lie among."""


class Resize(nn.Module):
    """Pillow's bilinear resize: uint8 pictures (B, h, w, C) -> (B, H, W, C), equal to the last bit.

    A triangle as wide as two new pixels weighs the old ones, along x and along y, with rounding to 8 bits after each.
    """

    def __init__(self, size: tuple[int, int], down_first: bool = False) -> None:
        """`size`: the (height, width) that all are brought to; `down_first`: along y first."""
        super().__init__()
        self.size, self.down_first = size, down_first

    def forward(self, pictures: Tensor) -> Tensor:
        height, width = self.size
        if self.down_first:
            lower = _resized(pictures.permute(1, 0, 2, 3), height)  # (H, B, w, C)
            small = _resized(lower.permute(2, 1, 0, 3), width).permute(1, 2, 0, 3)
        else:
            narrow = _resized(pictures.permute(2, 0, 1, 3), width)  # (W, B, h, C)
            small = _resized(narrow.permute(2, 1, 0, 3), height).permute(1, 0, 2, 3)
        return small.to(torch.uint8)


def _resized(values: Tensor, new: int) -> Tensor:
    """Whole numbers (old, ...), 0 to 255, -> (new, ...), float32, along their first axis."""
    old, block = values.shape[0], min(BLOCK, new)
    indices, weights = _weights(old, new, block)
    taken = values.flatten(1)[indices.flatten()].view(-(-new // block), indices.shape[1], -1).float()
    sums = weights @ taken
    upper, lower = sums[:, :block], sums[:, block:]
    raised = upper + 0.5
    base = raised.floor()
    # Rounded half up: only what is left of the larger sum meets the smaller one, so that no digit is lost.
    rounded = (base + (raised - base + lower).floor()).clamp(max=255.0)
    return rounded.flatten(0, 1)[:new].view(new, *values.shape[1:])


def _weights(old: int, new: int, block: int) -> tuple[Tensor, Tensor]:
    """Which old pixels each block of new ones lies among (blocks, length), and what they count there: (blocks, 2 *
    block, length), first the upper halves of the weights, then the lower ones."""
    length = block * old // new + 2 * (old // new + 2) + 2
    last = torch.arange(old, dtype=torch.float64)[-1:]  # as tensors: no size is known when a graph is made
    scale = (last + 1) / new
    width = scale.clamp(min=1.0)
    centres = ((torch.arange(-(-new // block) * block, dtype=torch.float64) + 0.5) * scale).view(-1, block)
    places = (centres[:, :1] - width).floor() + torch.arange(length, dtype=torch.float64)
    inside = (places >= 0) & (places <= last)
    near = (1 - (places[:, None] + 0.5 - centres[..., None]).abs() / width).clamp(min=0.0) * inside[:, None]
    total = near.sum(dim=2, keepdim=True).clamp(min=1e-9)  # of what lies behind the last new pixel nothing
    whole = (near / total * 4**BITS + 0.5).floor()
    upper = (whole / 2**BITS).floor()
    lower = whole - upper * 2**BITS
    weights = torch.cat([upper / 2**BITS, lower / 4**BITS], dim=1).float()
    return torch.minimum(places.clamp(min=0.0), last).long(), weights


def goes_down_first() -> bool:
    """Whether the Pillow at hand resizes along y first what loses more than twice as many rows as columns, as 13 does.

    Earlier ones resize along x first whatever the picture.
    """
    noise = np.random.default_rng(0).integers(0, 256, (200, 20, 3), dtype=np.uint8)
    theirs = np.asarray(Image.fromarray(noise).resize((16, 16), Image.Resampling.BILINEAR))
    ours = Resize((16, 16), down_first=True)(torch.from_numpy(noise)[None])[0].numpy()
    return np.array_equal(ours, theirs)


class Together(nn.Module):
    """Models of one trained size that answer together: the weighted mean of what each says, as `combined` has it."""

    def __init__(self, modules: Sequence[nn.Module], shares: Sequence[Weighted], task: Task) -> None:
        """`modules`: of `Family.module`. Maps are left out: those of several models have no scale in common."""
        super().__init__()
        self.modules_of_members = nn.ModuleList(modules)
        detection = task == "detection"
        self.weights = [one.weight / (one.scale if detection else 1.0) for one in shares]
        self.centers = [one.center if detection else 0.0 for one in shares]

    def forward(self, pictures: Tensor) -> Tensor:
        found: list[Any] = [module(pictures) for module in self.modules_of_members]
        scores = [one[0] if isinstance(one, tuple) else one for one in found]
        parts = [
            weight * (one.double() - center)
            for one, weight, center in zip(scores, self.weights, self.centers, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)


class Scored(nn.Module):
    """Pictures (B, H, W, C) of the trained size, 0 to 255, -> what a file gives of them, in the order of `outputs`."""

    def __init__(self, module: nn.Module, shape: tuple[int, int, int], task: Task) -> None:
        """`module`: of `Family.module`; `shape`: (H, W, C)."""
        super().__init__()
        self.module, self.task = module, task
        with torch.no_grad():
            found = module(torch.zeros((1, *shape), dtype=torch.uint8))
        self.outputs: tuple[str, ...] = ("probabilities", "verdict")
        if task == "detection":
            self.outputs = ("score", "map", "verdict") if isinstance(found, tuple) else ("score", "verdict")
        self.eval()

    def forward(self, pictures: Tensor, threshold: Tensor | None = None) -> tuple[Tensor, ...]:
        """Detection takes a threshold, float32 without dimensions. The verdict is a class, or True for an anomaly."""
        found: Any = self.module(pictures)
        if threshold is None:
            return found.float(), found.argmax(dim=1)
        score, *maps = found if isinstance(found, tuple) else (found,)
        return score.float(), *(one.float() for one in maps), score.float() > threshold


class Whole(nn.Module):
    """The same of uint8 pictures (B, h, w, C) of any size."""

    def __init__(self, size: tuple[int, int], scored: Scored) -> None:
        super().__init__()
        self.scored, self.across_first = scored, Resize(size)
        self.down_first = Resize(size, down_first=True) if goes_down_first() else None
        self.eval()

    def forward(self, pictures: Tensor, threshold: Tensor | None = None) -> tuple[Tensor, ...]:
        small = self.across_first(pictures)
        if self.down_first is not None:
            rows, columns = (torch.arange(side)[-1] + 1 for side in pictures.shape[1:3])
            height, width = self.across_first.size
            tall = (rows > height) & (rows - height > 2 * (columns - width))
            small = torch.where(tall, self.down_first(pictures), small)
        found: tuple[Tensor, ...] = self.scored(small, threshold)
        return found
