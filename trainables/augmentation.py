"""Random changes to a batch of pictures that keep what a plot means."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

SHIFT = 0.08
"""The largest shift at strength 1, as a share of the picture's side."""
ZOOM = 0.10
BRIGHTNESS = 0.15


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
