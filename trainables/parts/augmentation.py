"""Random changes to a batch of pictures: small ones, that keep what a plot means, and those of a photograph."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from trainables.training.span import Share

SHIFT = 0.08
"""The largest shift at strength 1, as a share of the picture's side."""
ZOOM = 0.10
BRIGHTNESS = 0.15
ROTATION = 1.0
"""Degrees at strength 1, to either side, of a photograph; as seed 004 has it, the two below too."""
LIGHT = 0.01
CONTRAST = 0.01


@dataclass(frozen=True)
class Augmentation:
    """Small shifts, zooms and changes of brightness, each picture with its own draw."""

    strength: float
    """0 (none) to 1 (8 % shift, 10 % zoom, 15 % brightness)."""
    flip_left_right: bool = False
    """Mirror every second picture. It turns time round: a rising trend becomes a falling one."""

    shares: ClassVar[bool] = True

    def __call__(self, pictures: Tensor, generator: torch.Generator, share: Share | None = None) -> Tensor:
        """Changed copies of `pictures` (B, C, H, W) in [0, 1]. Draws come from `generator` (on the CPU) alone.

        `share`: of a larger batch, which the pictures are; None: they are all of it.

        What a shift or a zoom uncovers takes the colour of the picture's edge there.
        """
        if self.strength == 0 and not self.flip_left_right:
            return pictures
        draws = _draws(5, pictures, generator, share)
        shift_x, shift_y, zoom, brightness = (2 * draws[:4] - 1) * self.strength
        scale = 1 + ZOOM * zoom
        mirrored = torch.where(draws[4] < 0.5, -scale, scale) if self.flip_left_right else scale
        # A picture's whole side measures 2.
        across = torch.outer(mirrored, _ticks(pictures.shape[3], pictures)) + (2 * SHIFT * shift_x)[:, None]
        down = torch.outer(scale, _ticks(pictures.shape[2], pictures)) + (2 * SHIFT * shift_y)[:, None]
        moved = _sampled(pictures, across[:, None, :], down[:, :, None])
        return moved.mul_((1 + BRIGHTNESS * brightness)[:, None, None, None]).clamp_(0, 1)


@dataclass(frozen=True)
class PhotoAugmentation:
    """Flips, small rotations and changes of brightness and contrast, each picture with its own draw (seed 004)."""

    strength: float
    """0: none; 1: flips both ways, half of the pictures each, up to 1° and 1 %; s: flips, up to s° and s %."""

    shares: ClassVar[bool] = True

    def __call__(self, pictures: Tensor, generator: torch.Generator, share: Share | None = None) -> Tensor:
        """Changed copies of `pictures` (B, C, H, W) in [0, 1]. Draws come from `generator` (on the CPU) alone.

        `share`: of a larger batch, which the pictures are; None: they are all of it.

        What a rotation uncovers takes the colour of the picture's edge there.
        """
        if self.strength == 0:
            return pictures
        draws = _draws(5, pictures, generator, share)
        turn, light, contrast = (2 * draws[:3] - 1) * self.strength
        flip_across, flip_down = torch.where(draws[3:] < 0.5, -1.0, 1.0)
        angle = torch.deg2rad(ROTATION * turn)
        cosine, sine = angle.cos(), angle.sin()
        columns, rows = _ticks(pictures.shape[3], pictures), _ticks(pictures.shape[2], pictures)
        # Both sides of a picture measure 2, whatever their pixels.
        aspect = pictures.shape[2] / pictures.shape[3]
        turned = _sampled(
            pictures,
            torch.outer(flip_across * cosine, columns)[:, None, :]
            + torch.outer(-flip_across * sine * aspect, rows)[:, :, None],
            torch.outer(flip_down * sine / aspect, columns)[:, None, :]
            + torch.outer(flip_down * cosine, rows)[:, :, None],
        )
        lit = turned.mul_((1 + LIGHT * light)[:, None, None, None])
        grey = lit.mean(dim=(1, 2, 3), keepdim=True)
        return lit.sub_(grey).mul_((1 + CONTRAST * contrast)[:, None, None, None]).add_(grey).clamp_(0, 1)


def _draws(count: int, pictures: Tensor, generator: torch.Generator, share: Share | None) -> Tensor:
    """Uniform draws (count, B) in [0, 1) for each picture, where the pictures are. A GPU is not waited for."""
    if share is None:
        draws = torch.rand(count, len(pictures), generator=generator)
    else:
        draws = torch.rand(count, share.of, generator=generator)[:, share.start : share.stop]
    if pictures.device.type == "cpu":
        return draws
    return draws.pin_memory().to(pictures.device, non_blocking=True)


def _ticks(side: int, pictures: Tensor) -> Tensor:
    """The middles of a side's pixels, where the whole side runs from -1 to 1: as `affine_grid` has them, to the bit."""
    if side == 1:
        return torch.zeros(1, device=pictures.device)
    return torch.linspace(-1, 1, side, device=pictures.device) * (side - 1) / side


def _sampled(pictures: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Pictures (B, C, H, W) read at the places (across, down), which together have the shape (B, H, W); bilinear.

    `affine_grid` would multiply a matrix for each pixel where sums of rows and columns do, in three times the time,
    and would round the places as matrix products are on a GPU that is allowed TF32.
    """
    batch, _, height, width = pictures.shape
    grid = torch.empty(batch, height, width, 2, device=pictures.device)
    grid[..., 0], grid[..., 1] = across, down
    return grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
