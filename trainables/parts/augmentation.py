"""Random changes to a batch of pictures: small ones, that keep what a plot means, and those of a photograph."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

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

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Changed copies of `pictures` (B, C, H, W) in [0, 1]. Draws come from `generator` (on the CPU) alone.

        What a shift or a zoom uncovers takes the colour of the picture's edge there.
        """
        if self.strength == 0 and not self.flip_left_right:
            return pictures
        draws = torch.rand(5, len(pictures), generator=generator).to(pictures.device)
        shift_x, shift_y, zoom, brightness = (2 * draws[:4] - 1) * self.strength
        scale = 1 + ZOOM * zoom
        mirror = torch.where(draws[4] < 0.5, -1.0, 1.0) if self.flip_left_right else torch.ones_like(scale)
        zero = torch.zeros_like(scale)
        # affine_grid measures the whole side as 2.
        rows = (
            torch.stack((scale * mirror, zero, 2 * SHIFT * shift_x), dim=1),
            torch.stack((zero, scale, 2 * SHIFT * shift_y), dim=1),
        )
        grid = affine_grid(torch.stack(rows, dim=1), list(pictures.shape), align_corners=False)
        moved = grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
        brighter: Tensor = moved * (1 + BRIGHTNESS * brightness)[:, None, None, None]
        return brighter.clamp_(0, 1)


@dataclass(frozen=True)
class PhotoAugmentation:
    """Flips, small rotations and changes of brightness and contrast, each picture with its own draw (seed 004)."""

    strength: float
    """0: none; 1: flips both ways, half of the pictures each, up to 1° and 1 %; s: flips, up to s° and s %."""

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Changed copies of `pictures` (B, C, H, W) in [0, 1]. Draws come from `generator` (on the CPU) alone.

        What a rotation uncovers takes the colour of the picture's edge there.
        """
        if self.strength == 0:
            return pictures
        draws = torch.rand(5, len(pictures), generator=generator).to(pictures.device)
        turn, light, contrast = (2 * draws[:3] - 1) * self.strength
        across, down = torch.where(draws[3:] < 0.5, -1.0, 1.0)
        angle = torch.deg2rad(ROTATION * turn)
        cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        # affine_grid measures both sides as 2, whatever their pixels.
        aspect = pictures.shape[2] / pictures.shape[3]
        rows = (
            torch.stack((across * cosine, -across * sine * aspect, zero), dim=1),
            torch.stack((down * sine / aspect, down * cosine, zero), dim=1),
        )
        grid = affine_grid(torch.stack(rows, dim=1), list(pictures.shape), align_corners=False)
        turned = grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
        lit = turned * (1 + LIGHT * light)[:, None, None, None]
        grey = lit.mean(dim=(1, 2, 3), keepdim=True)
        changed: Tensor = grey + (lit - grey) * (1 + CONTRAST * contrast)[:, None, None, None]
        return changed.clamp_(0, 1)
