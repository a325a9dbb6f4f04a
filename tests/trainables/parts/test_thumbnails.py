import numpy as np
import pytest

from trainables.parts.thumbnails import area_weights


@pytest.mark.parametrize(("pixels", "side"), [(64, 32), (64, 24), (50, 16), (10, 16), (7, 7)])
def test_area_weights_share_out_every_pixel(pixels: int, side: int) -> None:
    weights = area_weights(pixels, side)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights.sum(axis=0), side / pixels)
    if pixels % side == 0:
        values = np.random.default_rng(0).random(pixels)
        np.testing.assert_allclose(weights @ values, values.reshape(side, -1).mean(axis=1))
