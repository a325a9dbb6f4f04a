"""An exported graph resizes pictures to Pillow's pixels."""

import numpy as np
import pytest
import torch
from PIL import Image

from orchestrator.using.export.whole_graph import Resize, Whole

SIZES = ((32, 32), (48, 20), (5, 7), (1, 1), (70, 33))


class _Same(torch.nn.Module):
    """Gives what it is given."""

    def forward(self, pictures: torch.Tensor, threshold: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        return (pictures,)


@pytest.mark.parametrize("size", SIZES)
def test_every_pixel_is_pillow_s(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    whole = Whole(size, _Same())  # type: ignore[arg-type]
    drawn = [tuple(random.integers(1, 200, 2).tolist()) for _ in range(25)]
    shapes = [(1, 1), (2, 3), (31, 33), (64, 64), (200, 90), (90, 200), (300, 20), (20, 300), *drawn]
    for height, width in shapes:
        noise = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        two = random.choice(np.array([0, 255], np.uint8), (height, width, 3))
        pictures = np.stack([noise, two, np.full_like(noise, 255)])
        expected = [np.asarray(Image.fromarray(one).resize(size[::-1], Image.Resampling.BILINEAR)) for one in pictures]
        (found,) = whole(torch.from_numpy(pictures))
        np.testing.assert_array_equal(found.numpy(), np.stack(expected), err_msg=f"{height} x {width}")


@pytest.mark.parametrize("down_first", [False, True])
def test_pictures_of_the_trained_size_stay_as_they_are(down_first: bool) -> None:
    pictures = torch.randint(0, 256, (3, 37, 41, 3), dtype=torch.uint8)
    assert torch.equal(Resize((37, 41), down_first)(pictures), pictures)
