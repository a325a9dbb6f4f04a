"""The fast way of rendering, proven against matplotlib before it is used."""

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.data.plotting.canvas import to_rgba
from orchestrator.data.plotting.fast_plot import FastPlot
from orchestrator.data.plotting.matplotlib_plot import default_settings, draw_with_matplotlib, styled_figure
from orchestrator.data.plotting.plot_style import PlotStyle
from orchestrator.data.plotting.resample import Weights, bilinear_weights, resample

PROVEN_MATPLOTLIB = ("3.11",)
"""Minor versions whose arithmetic the fast way repeats. Another needs the slow tests to pass first."""


class NotTheSame(Exception):
    """The fast way does not give matplotlib's pixels here; the message says where."""


class FastWay:
    """Pictures of one style and size."""

    def __init__(self, style: PlotStyle, size: tuple[int, int] | None) -> None:
        """Raises NotTheSame where a probe series comes out differently."""
        minor = mpl.__version__.rpartition(".")[0]
        if minor not in PROVEN_MATPLOTLIB:
            raise NotTheSame(f"it is proven for matplotlib {', '.join(PROVEN_MATPLOTLIB)}, not {mpl.__version__}")
        self._size = size
        with default_settings():
            template = styled_figure(style, np.arange(4.0), tight=False)
            self._plot = FastPlot(template, tight=style.tight)
        self._weights: dict[tuple[int, int], tuple[Weights, Weights] | None] = {}
        for name, values in probes().items():
            drawn = self.full(values)
            if drawn is None or not np.array_equal(drawn, draw_with_matplotlib(style, values)):
                raise NotTheSame(f"the probe series {name!r} comes out differently with matplotlib {mpl.__version__}")

    def full(self, values: NDArray[np.float64]) -> NDArray[np.uint8] | None:
        """RGBA (H, W, 4); None where only matplotlib can draw `values` (n,) exactly."""
        canvas = self._plot.draw(values)
        if canvas is None:
            return None
        picture = np.empty((canvas.shape[2], canvas.shape[0], 4), dtype=np.uint8)
        to_rgba(canvas, picture)
        return picture

    def picture(self, values: NDArray[np.float64]) -> NDArray[np.uint8] | None:
        """RGB (h, w, 3) at the size; None where only matplotlib can draw `values` (n,) exactly."""
        canvas = self._plot.draw(values)
        if canvas is None:
            return None
        if self._size is None:
            return np.ascontiguousarray(canvas.transpose(2, 0, 1))
        width, _, height = canvas.shape
        if (width, height) not in self._weights:
            self._weights[width, height] = _proven_weights(width, height, self._size)
        weights = self._weights[width, height]
        if weights is None:
            return pillow_resize(canvas, self._size)
        return own_resize(canvas, self._size, weights)


def _proven_weights(width: int, height: int, size: tuple[int, int]) -> tuple[Weights, Weights] | None:
    """The weights to the size, where they give Pillow's pixels for noise; Pillow may choose another order."""
    if size[0] >= height or size[1] >= width:
        return None
    weights = bilinear_weights(width, size[1]), bilinear_weights(height, size[0])
    noise = np.random.default_rng(0).integers(0, 256, (width, 3, height), dtype=np.uint8)
    same = np.array_equal(own_resize(noise, size, weights), pillow_resize(noise, size))
    return weights if same else None


def own_resize(canvas: NDArray[np.uint8], size: tuple[int, int], weights: tuple[Weights, Weights]) -> NDArray[np.uint8]:
    """The canvas (W, 3, H) resized to (h, w, 3)."""
    picture = np.empty((*size, 3), dtype=np.uint8)
    x, y = weights
    resample(canvas, x.starts, x.counts, x.weights, y.starts, y.counts, y.weights, picture)
    return picture


def pillow_resize(canvas: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The canvas (W, 3, H) resized to (h, w, 3) by Pillow."""
    image = Image.fromarray(np.ascontiguousarray(canvas.transpose(2, 0, 1)))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def probes() -> dict[str, NDArray[np.float64]]:
    """Series whose pictures touch every part of the drawing."""
    generator = np.random.default_rng(20)
    return {
        "two points": np.array([-1.5, 2.25]),
        "noise": generator.normal(size=100),
        "walk": 40.0 * generator.normal(size=500).cumsum(),
        "wave": 0.01 * np.sin(np.arange(1500) / 60) + 0.001 * generator.normal(size=1500),
        "steps": np.repeat(generator.integers(0, 2000, 37), 60).astype(np.float64),
    }
