"""Plots of finite series without matplotlib's drawing, byte for byte the same.

What matplotlib works out anew for each picture is kept: text layouts, glyph bitmaps, and, for each layout of the
axes, everything that does not depend on the values. What is left is drawn by compiled code: grid lines, tick
marks, labels, the line, the spines, in matplotlib's order.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from orchestrator.data.plotting.agg_cells import Clip
from orchestrator.data.plotting.agg_fill import Canvas, Colour, Scratch, scratch
from orchestrator.data.plotting.axes_layout import TICK_PAD, AxesLayout, Ticks, TightLayout, plain_layout
from orchestrator.data.plotting.canvas import draw_bitmaps
from orchestrator.data.plotting.glyphs import Bitmaps, Label, Typesetter
from orchestrator.data.plotting.plot_lines import draw_series, draw_straight
from orchestrator.data.plotting.ticks import Ticker

LONGEST = 100_000
"""Longer series go to matplotlib: far beyond it Agg's own limit on one path comes into play."""

_KEPT_LAYOUTS = 24
_KEPT_LENGTHS = 64
_KEPT_SIZES = 8


@dataclass(frozen=True)
class Stroke:
    """How a straight line is drawn."""

    width: float
    """In pixels."""
    colour: Colour


@dataclass(frozen=True)
class XAxis:
    """What a series' length alone decides."""

    ticks: Ticks
    labels: tuple[Label, ...]


class FastPlot:
    """Draws series in one style. Made under matplotlib's default settings."""

    def __init__(self, template: Figure, *, tight: bool) -> None:
        """`template`: a figure with one Axes in the style, with any line in it."""
        self._template = template
        canvas: Any = FigureCanvasAgg(template)
        canvas.draw()
        renderer = canvas.get_renderer()
        axes = template.axes[0]
        self._axes = axes
        self._bitmaps = Bitmaps()
        self._typesetter = Typesetter(renderer, self._bitmaps)
        self._ticker = Ticker()
        width, height = template.get_size_inches()
        self._inches = float(width), float(height)
        self._dpi = float(template.dpi)
        x0, y0, x1, y1 = axes.get_position(original=True).extents
        self._position = float(x0), float(y0), float(x1), float(y1)
        (line,) = axes.lines
        self._line = _stroke(line.get_linewidth(), line.get_color(), None, self._dpi)
        self._threshold = float(mpl.rcParams["path.simplify_threshold"]) if mpl.rcParams["path.simplify"] else 0.0
        tick = _middle(axes.yaxis.get_major_ticks())
        gridline = tick.gridline
        self._grid_stroke = (
            _stroke(gridline.get_linewidth(), gridline.get_color(), gridline.get_alpha(), self._dpi)
            if gridline.get_visible()
            else None
        )
        spines = {side: spine for side, spine in axes.spines.items() if spine.get_visible()}
        self._spine_sides = tuple(spines)
        spine = next(iter(spines.values()))
        self._spine_stroke = _stroke(spine.get_linewidth(), spine.get_edgecolor(), None, self._dpi)
        self._x_tick = self._tick_bitmap(renderer, _middle(axes.xaxis.get_major_ticks()))
        self._y_tick = self._tick_bitmap(renderer, tick)
        self._x_text = _middle(axes.xaxis.get_major_ticks()).label1
        self._y_text = tick.label1
        self._axis_labels = (
            tuple(self._typesetter.label(artist, artist.get_text()) for artist in (axes.xaxis.label, axes.yaxis.label))
            if tight
            else ()
        )
        self._tight = (
            TightLayout(
                position=self._position,
                inches=self._inches,
                dpi=self._dpi,
                x_label=self._axis_labels[0].box,
                y_label=self._axis_labels[1].box,
                figure_inverse=template.transFigure.inverted().get_matrix(),
                dpi_inverse=template.dpi_scale_trans.inverted().get_matrix(),
            )
            if tight
            else None
        )
        self._x_axes: OrderedDict[int, XAxis | None] = OrderedDict()
        self._bases: OrderedDict[tuple[Any, ...], Canvas] = OrderedDict()
        self._canvases: OrderedDict[tuple[int, int], Canvas] = OrderedDict()
        self._scratches: OrderedDict[tuple[int, int], Scratch] = OrderedDict()

    def draw(self, values: NDArray[np.float64]) -> Canvas | None:
        """The picture (W, 3, H), valid until the next call; None where only matplotlib can draw it exactly."""
        values = np.ascontiguousarray(values, dtype=np.float64)
        if values.ndim != 1:
            return None
        n = len(values)
        if not 2 <= n <= LONGEST:
            return None
        least, most = float(values.min()), float(values.max())
        if not (math.isfinite(least) and math.isfinite(most)):
            return None
        self._typesetter.trim()
        x_axis = self._x_axis(n)
        y_ticks = self._ticker(least, most)
        if x_axis is None or y_ticks is None:
            return None
        labels = [self._typesetter.label(self._y_text, text) for text in y_ticks.labels]
        y = Ticks(y_ticks.low, y_ticks.high, y_ticks.locations, [label.box for label in labels])
        layout = self._layout(x_axis.ticks, y)
        if layout is None:
            return None
        base = self._base(n, x_axis, layout)
        size = (layout.width, layout.height)
        if size not in self._canvases:
            _remember(self._canvases, size, np.empty_like(base), _KEPT_SIZES)
        canvas = self._canvases[size]
        np.copyto(canvas, base)
        clip = _clip(layout)
        data, height = layout.data, layout.height
        ty = -data.ty + height
        if self._grid_stroke is not None:
            left, right = layout.box.x0, layout.box.width + layout.box.x0
            lines = [(left, v * -data.sy + ty, right, v * -data.sy + ty) for v in y.locations]
            self._straight(canvas, lines, self._grid_stroke, clip)
        bitmap, dx, dy = self._y_tick
        column = math.floor(layout.box.x0 + 0.5) + dx
        mark_ty = -data.ty + (height + 0.5)
        placements = [(bitmap, column, math.floor(v * -data.sy + mark_ty) + dy) for v in y.locations]
        beside = layout.box.x0 + -(TICK_PAD / 72 * self._dpi)
        for label, v in zip(labels, y.locations, strict=True):
            self._typesetter.place(label, beside, data.sy * v + data.ty, height, placements)
        self._bitmaps_at(canvas, placements)
        transform = (data.sx, data.tx, -data.sy, ty)
        line = self._line
        draw_series(canvas, self._scratch(canvas), values, transform, line.width, self._threshold, clip, line.colour)
        self._straight(canvas, self._spines(layout, x_axis.ticks, y), self._spine_stroke, (0, 0, layout.width, height))
        return canvas

    def _layout(self, x: Ticks, y: Ticks) -> AxesLayout | None:
        if self._tight is not None:
            return self._tight(x, y)
        return plain_layout(self._position, self._inches[0] * self._dpi, self._inches[1] * self._dpi, x, y)

    def _x_axis(self, n: int) -> XAxis | None:
        if n not in self._x_axes:
            ticks = self._ticker(0.0, float(n - 1))
            axis = None
            if ticks is not None:
                labels = tuple(self._typesetter.label(self._x_text, text) for text in ticks.labels)
                axis = XAxis(Ticks(ticks.low, ticks.high, ticks.locations, [label.box for label in labels]), labels)
            _remember(self._x_axes, n, axis, _KEPT_LENGTHS)
        return self._x_axes[n]

    def _base(self, n: int, x_axis: XAxis, layout: AxesLayout) -> Canvas:
        """All that lies under the y axis: it depends on the length and the layout only."""
        key = (n, layout.width, layout.height, layout.box, layout.labels)
        base = self._bases.get(key)
        if base is not None:
            self._bases.move_to_end(key)
            return base
        base = np.full((layout.width, 3, layout.height), 255, dtype=np.uint8)
        data, height, ticks = layout.data, layout.height, x_axis.ticks
        if self._grid_stroke is not None:
            bottom, top = height - layout.box.y0, -(layout.box.height + layout.box.y0) + height
            lines = [(data.sx * v + data.tx, bottom, data.sx * v + data.tx, top) for v in ticks.locations]
            self._straight(base, lines, self._grid_stroke, _clip(layout))
        bitmap, dx, dy = self._x_tick
        row = math.floor(-layout.box.y0 + (height + 0.5)) + dy
        placements = [(bitmap, math.floor(v * data.sx + (data.tx + 0.5)) + dx, row) for v in ticks.locations]
        below = layout.box.y0 + -(TICK_PAD / 72 * self._dpi)
        for label, v in zip(x_axis.labels, ticks.locations, strict=True):
            self._typesetter.place(label, data.sx * v + data.tx, below, height, placements)
        if layout.labels is not None:
            for label, anchor in zip(self._axis_labels, layout.labels, strict=True):
                self._typesetter.place(label, *anchor, height, placements)
        self._bitmaps_at(base, placements)
        _remember(self._bases, key, base, _KEPT_LAYOUTS)
        return base

    def _spines(self, layout: AxesLayout, x: Ticks, y: Ticks) -> list[tuple[float, float, float, float]]:
        box, data, height = layout.box, layout.data, layout.height
        left, right = x.low * data.sx + data.tx, x.high * data.sx + data.tx
        ty = -data.ty + height
        bottom, top = y.low * -data.sy + ty, y.high * -data.sy + ty
        x0, x1 = box.x0, box.width + box.x0
        y0, y1 = -box.y0 + height, -(box.height + box.y0) + height
        ends = {
            "left": (x0, bottom, x0, top),
            "right": (x1, bottom, x1, top),
            "bottom": (left, y0, right, y0),
            "top": (left, y1, right, y1),
        }
        return [ends[side] for side in self._spine_sides]

    def _straight(
        self, canvas: Canvas, ends: list[tuple[float, float, float, float]], stroke: Stroke, clip: Clip
    ) -> None:
        draw_straight(canvas, self._scratch(canvas), np.array(ends), stroke.width, clip, stroke.colour)

    def _bitmaps_at(self, canvas: Canvas, placements: list[tuple[int, int, int]]) -> None:
        placed = np.array(placements, dtype=np.int32)
        draw_bitmaps(canvas, self._bitmaps.atlas, self._bitmaps.table, placed, len(placed))

    def _scratch(self, canvas: Canvas) -> Scratch:
        size = (canvas.shape[0], canvas.shape[2])
        if size not in self._scratches:
            _remember(self._scratches, size, scratch(*size), _KEPT_SIZES)
        return self._scratches[size]

    def _tick_bitmap(self, renderer: Any, tick: Any) -> tuple[int, int, int]:
        """A tick mark's bitmap, and where its first corner lies from the tick's own pixel."""
        renderer.clear()
        pixels = np.asarray(renderer.buffer_rgba())
        pixels[...] = 255
        tick.tick1line.draw(renderer)
        alphas = _alphas_of_black()[pixels[..., 0]]
        rows, columns = np.nonzero(alphas)
        top, left = rows.min(), columns.min()
        mark = tick.tick1line
        x, y = mark.get_transform().transform((mark.get_xdata()[0], mark.get_ydata()[0]))
        column, row = math.floor(x + 0.5), math.floor(-y + (renderer.height + 0.5))
        bitmap = self._bitmaps.add(alphas[top : rows.max() + 1, left : columns.max() + 1])
        return bitmap, int(left) - column, int(top) - row


def _alphas_of_black() -> NDArray[np.uint8]:
    """(256,): from what black over white became to the coverage that made it so."""
    alphas = np.arange(256)
    made = np.where(alphas == 255, 0, 255 * 255 * (256 - alphas) // (65280 + alphas))
    assert len(set(made.tolist())) == 256
    inverse = np.zeros(256, dtype=np.uint8)
    inverse[made] = alphas
    return inverse


def _middle(ticks: list[Any]) -> Any:
    return ticks[len(ticks) // 2]


def _stroke(points: float, colour: Any, alpha: float | None, dpi: float) -> Stroke:
    red, green, blue, opacity = (int(v * 255 + 0.5) for v in to_rgba(colour, alpha))
    return Stroke(points * dpi / 72.0, (red, green, blue, opacity))


def _clip(layout: AxesLayout) -> Clip:
    """The Axes' box, rounded to pixels, y downwards."""
    box, height = layout.box, layout.height
    x1, y1 = box.width + box.x0, box.height + box.y0
    return (
        max(math.floor(box.x0 + 0.5), 0),
        max(math.floor(height - y1 + 0.5), 0),
        min(math.floor(x1 + 0.5), layout.width),
        min(math.floor(height - box.y0 + 0.5), height),
    )


def _remember(cache: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    cache[key] = value
    if len(cache) > most:
        cache.popitem(last=False)
