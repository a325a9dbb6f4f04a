"""The layout's arithmetic gives matplotlib's own floats, to the last bit."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from orchestrator.data.plotting.axes_layout import AxesLayout
from orchestrator.data.plotting.fast_plot import FastPlot
from orchestrator.data.plotting.matplotlib_plot import default_settings, styled_figure
from orchestrator.data.plotting.plot_style import STYLES


def laid_out(style: str, values: NDArray[np.float64]) -> tuple[Any, ...]:
    """Size, Axes box, data transform and label anchors while savefig draws."""
    figure = styled_figure(STYLES[style], values)
    axes = figure.axes[0]
    draw = axes.draw
    seen: list[Any] = []

    def spied(renderer: Any) -> None:
        draw(renderer)
        labels = [a.label.get_transform().transform(a.label.get_position()) for a in (axes.xaxis, axes.yaxis)]
        matrix = axes.transData.get_affine().get_matrix()
        box = axes.bbox.extents
        seen[:] = [int(renderer.width), int(renderer.height), *box, *matrix[0, [0, 2]], *matrix[1, [1, 2]], *labels]

    axes.draw = spied  # type: ignore[method-assign]
    figure.savefig(io.BytesIO(), format="rgba", dpi=100, bbox_inches="tight" if style == "seed" else None)
    return tuple(seen)


@pytest.mark.parametrize("style", STYLES)
def test_layouts_are_matplotlibs(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(0)
    with default_settings():
        plot = FastPlot(styled_figure(STYLES[style], np.arange(4.0), tight=False), tight=STYLES[style].tight)
        layouts: list[AxesLayout] = []
        lay_out = plot._layout

        def kept(*arguments: Any) -> AxesLayout | None:
            layout = lay_out(*arguments)
            assert layout is not None
            layouts.append(layout)
            return layout

        monkeypatch.setattr(plot, "_layout", kept)
        sizes = set()
        for _ in range(15):
            values = draws.normal(size=int(draws.integers(2, 2000))) * 10 ** draws.uniform(-3, 4)
            assert plot.draw(values) is not None
            layout = layouts[-1]
            box, data = layout.box, layout.data
            width, height, *floats, x_label, y_label = laid_out(style, values)
            assert (layout.width, layout.height) == (width, height)
            assert [box.x0, box.y0, box.x1, box.y1, data.sx, data.tx, data.sy, data.ty] == floats
            if layout.labels is not None:
                assert layout.labels == (tuple(x_label), tuple(y_label))
            sizes.add((width, height))
    assert len(sizes) > 1 if style == "seed" else sizes == {(800, 600)}
