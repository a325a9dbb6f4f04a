"""The definition of a plot: what a fresh matplotlib Figure looks like under matplotlib's own settings."""

import io
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from orchestrator.data.plotting.plot_style import PlotStyle
from trainables.errors import InputError

CHUNK_SIZE = 10_000
"""The agg.path.chunksize, in points, for lines that Agg refuses to draw in one piece."""

_KEPT_SETTINGS = frozenset({"backend", "backend_fallback", "interactive", "timezone", "toolbar", "webagg.port"})


def draw_with_matplotlib(style: PlotStyle, values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """RGBA (H, W, 4) of a fresh Figure: the definition of what a plot looks like."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise InputError(f"A series must have one dimension; given: shape {values.shape}.")
    with default_settings():
        try:
            return _draw(style, values)
        except (ValueError, OverflowError) as error:
            finite = values[np.isfinite(values)]
            raise InputError(
                f"matplotlib can't draw this series ({error}): {len(finite)} finite values"
                + (f" from {finite.min():g} to {finite.max():g}" if len(finite) else "")
                + ". Values within ±1e300 can be drawn; rescale the series or leave it out."
            ) from error


def _draw(style: PlotStyle, values: NDArray[np.float64]) -> NDArray[np.uint8]:
    try:
        return _save(styled_figure(style, values), style)
    except OverflowError:  # Agg's own limit on one path; its message advises a chunk size
        with mpl.rc_context({"agg.path.chunksize": CHUNK_SIZE}):
            return _save(styled_figure(style, values), style)


def styled_figure(style: PlotStyle, values: NDArray[np.float64], *, tight: bool = True) -> Figure:
    """A new figure in `style`, laid out unless `tight` is False; made under `default_settings`."""
    figure = Figure(figsize=style.figsize, dpi=style.dpi)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(values, **dict(style.line))
    if style.labels is not None:
        axes.set_xlabel(style.labels[0], fontsize=style.label_size)
        axes.set_ylabel(style.labels[1], fontsize=style.label_size)
    if style.grid_alpha is not None:
        axes.grid(True, alpha=style.grid_alpha)
    for side in style.hidden_spines:
        axes.spines[side].set_visible(False)
    if style.decorate is not None:
        style.decorate(axes, values)
    if style.tight and tight:
        figure.tight_layout()
    return figure


def _save(figure: Figure, style: PlotStyle) -> NDArray[np.uint8]:
    """`savefig`'s pixels, without the PNG around them."""
    pixels = io.BytesIO()
    figure.savefig(pixels, format="rgba", dpi=style.dpi, bbox_inches="tight" if style.tight else None)
    # savefig restores the figure's own size afterwards; the renderer still has the size it drew at.
    drawn = figure.canvas.renderer  # type: ignore[attr-defined]
    shape = (int(drawn.height), int(drawn.width), 4)
    return np.frombuffer(pixels.getbuffer(), dtype=np.uint8).reshape(shape)


@contextmanager
def default_settings() -> Iterator[None]:
    """matplotlib's own defaults, whatever the user's matplotlibrc and styles say; and its drawing warnings muted."""
    with mpl.rc_context(), warnings.catch_warnings():
        # Values near the ends of float64 overflow in matplotlib's arithmetic; the picture is drawn all the same.
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message="Tight layout not applied", category=UserWarning)
        warnings.simplefilter("ignore", mpl.MatplotlibDeprecationWarning)
        mpl.rcParams.update({key: value for key, value in mpl.rcParamsDefault.items() if key not in _KEPT_SETTINGS})
        yield


def defaults_of(*keys: str) -> AbstractContextManager[None]:
    """`default_settings`, which take a millisecond to enter, only where one of these settings is not the default."""
    settings: Any = mpl.rcParams
    defaults: Any = mpl.rcParamsDefault
    if all(settings[key] == defaults[key] for key in keys):
        return nullcontext()
    return default_settings()
