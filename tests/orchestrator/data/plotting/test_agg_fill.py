"""Strokes and fills have the pixels that matplotlib's Agg gives them."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Bbox, IdentityTransform
from numpy.typing import NDArray

from orchestrator.data.plotting.agg_cells import Clip
from orchestrator.data.plotting.agg_fill import scratch
from orchestrator.data.plotting.agg_stroke import simplify
from orchestrator.data.plotting.plot_lines import draw_series

WIDTH, HEIGHT = 160, 120
COLOUR = (31, 119, 180, 255)
LINE = 1.5 * 100 / 72


def lines() -> dict[str, NDArray[np.float64]]:
    """(n,) heights in pixels, upwards."""
    draws = np.random.default_rng(0)
    n = 200
    return {
        "noise": draws.uniform(10, 110, n),
        "walk": 60 + draws.normal(0, 2, n).cumsum(),
        "wave": 60 + 40 * np.sin(np.arange(n) / 9),
        "steps": np.repeat(draws.uniform(10, 110, n // 10), 10),
        "few": draws.uniform(10, 110, 5),
        "two": np.array([20.0, 90.5]),
        "up and down": np.tile([10.0, 110.0], n // 2),
        "dense": draws.uniform(10, 110, 3000),
        "integers": draws.integers(0, 6, 3000) * 20.0,
    }


def by_agg(values: NDArray[np.float64], sx: float, tx: float, box: Clip) -> NDArray[np.uint8]:
    renderer = RendererAgg(WIDTH, HEIGHT, 100.0)
    pixels = np.asarray(renderer.buffer_rgba())
    pixels[...] = 255
    gc = renderer.new_gc()
    gc.set_linewidth(1.5)
    gc.set_foreground("#1f77b4")
    gc.set_joinstyle("round")
    gc.set_capstyle("projecting")
    gc.set_clip_rectangle(Bbox([[box[0], HEIGHT - box[3]], [box[2], HEIGHT - box[1]]]))
    path = Path(np.column_stack([np.arange(len(values)), values]))
    renderer.draw_path(gc, path, Affine2D().scale(sx, 1).translate(tx, 0), None)
    return pixels[..., :3].copy()


@pytest.mark.parametrize("box", [(0, 0, WIDTH, HEIGHT), (30, 20, 130, 100)])
@pytest.mark.parametrize("name", lines())
def test_a_line_has_aggs_pixels(name: str, box: Clip) -> None:
    values = lines()[name]
    sx, tx = 130 / (len(values) - 1), 15.25
    canvas = np.full((WIDTH, 3, HEIGHT), 255, np.uint8)
    work = scratch(WIDTH, HEIGHT)
    for _ in range(2):  # the second time shows that the scratch was left clean
        canvas[...] = 255
        draw_series(canvas, work, values, (sx, tx, -1.0, float(HEIGHT)), LINE, 1 / 9, box, COLOUR)
        np.testing.assert_array_equal(canvas.transpose(2, 0, 1), by_agg(values, sx, tx, box))
    assert not work[0].any()
    assert not work[2].any()


@pytest.mark.parametrize("name", lines())
def test_simplified_paths_are_matplotlibs(name: str) -> None:
    values = lines()[name]
    if len(values) < 128:
        pytest.skip("matplotlib simplifies from 128 points")
    points = np.column_stack([np.arange(len(values)) * 0.7, values])
    out = np.empty((2 * len(points) + 2, 2))
    count = simplify(points, 1 / 9, out)
    cleaned = Path(points).cleaned(IdentityTransform(), simplify=True, remove_nans=True)
    np.testing.assert_array_equal(out[:count], cleaned.vertices[:-1])
