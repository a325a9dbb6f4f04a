"""Where axes and their labels lie: matplotlib's layout of one Axes, as plain arithmetic on floats.

The order of operations is matplotlib's own (transforms, tight_layout, savefig with bbox_inches="tight"), so that
every coordinate has the same bits: the picture's size is cut to whole pixels, where a last bit decides. y upwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Extents = tuple[float, float, float, float]
"""x0, y0, x1, y1."""

PAD = 1.08
"""tight_layout's padding, in font sizes."""
FONT_SIZE = 10.0
SAVE_PAD = 0.1
"""savefig's padding, in inches."""
TICK_SIZE = 3.5
TICK_PAD = 7.0
"""From the axes to a tick's label, in points."""
LABEL_PAD = 4.0


@dataclass(frozen=True)
class TextBox:
    """The box of a laid-out text, from its anchor."""

    x: float
    y: float
    width: float
    height: float

    def at(self, x: float, y: float) -> Extents:
        """Its extents with the anchor at (x, y)."""
        return self.x + x, self.y + y, (self.x + self.width) + x, (self.y + self.height) + y


@dataclass(frozen=True)
class Ticks:
    """The visible ticks of one axis."""

    low: float
    high: float
    """The view limits."""
    locations: Sequence[float]
    boxes: Sequence[TextBox]
    """The labels' boxes."""


@dataclass(frozen=True)
class Box:
    """An Axes' place in pixels: corners, and its size as matplotlib computes it from them."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0


@dataclass(frozen=True)
class DataTransform:
    """pixel = scale × value + offset, for x and y."""

    sx: float
    tx: float
    sy: float
    ty: float


@dataclass(frozen=True)
class AxesLayout:
    """Where everything of one picture lies."""

    width: int
    height: int
    """The picture's size in whole pixels."""
    box: Box
    data: DataTransform
    labels: tuple[tuple[float, float], tuple[float, float]] | None
    """The anchors of the labels of x and y."""


def _whole(pixels: float) -> int:
    """Cut to whole pixels, but for what is whole within rounding."""
    return int(pixels + 1e-8)


def data_transform(box: Box, x: Ticks, y: Ticks) -> DataTransform:
    """The affine transform from values to pixels."""
    to_box = np.array([[box.width, 0.0, box.x0], [0.0, box.height, box.y0], [0.0, 0.0, 1.0]])
    x_scale, y_scale = 1.0 / (x.high - x.low), 1.0 / (y.high - y.low)
    from_view = np.array([[x_scale, 0.0, -x.low * x_scale], [0.0, y_scale, -y.low * y_scale], [0.0, 0.0, 1.0]])
    # A matrix product, not scalars: BLAS may fuse, and its bits count.
    matrix = np.dot(to_box, from_view)
    return DataTransform(float(matrix[0, 0]), float(matrix[0, 2]), float(matrix[1, 1]), float(matrix[1, 2]))


def place(position: Extents, width: float, height: float, x0: float = 0.0, y0: float = 0.0) -> Box:
    """The Axes at `position` (fractions of the figure) in a figure of that size in pixels that starts at (x0, y0)."""
    left, bottom, right, top = position
    return Box(width * left + x0, height * bottom + y0, width * right + x0, height * top + y0)


def plain_layout(position: Extents, width: float, height: float, x: Ticks, y: Ticks) -> AxesLayout:
    """The layout of an Axes that stays at `position`, without axis labels."""
    box = place(position, width, height)
    return AxesLayout(int(width), int(height), box, data_transform(box, x, y), None)


@dataclass(frozen=True)
class TightLayout:
    """`tight_layout`, then `bbox_inches="tight"`, of a figure with one Axes."""

    position: Extents
    """The Axes before, in fractions of the figure."""
    inches: tuple[float, float]
    dpi: float
    x_label: TextBox
    y_label: TextBox
    figure_inverse: NDArray[np.float64]
    """(3, 3): pixels -> fractions of the figure."""
    dpi_inverse: NDArray[np.float64]
    """(3, 3): pixels -> inches."""

    def __call__(self, x: Ticks, y: Ticks) -> AxesLayout | None:
        """None where matplotlib would refuse to lay out."""
        width, height = self.inches[0] * self.dpi, self.inches[1] * self.dpi
        position = self._adjusted(self._extents(place(self.position, width, height), x, y, collapse=True)[0])
        if position is None:
            return None
        x0, y0, x1, y1 = self._extents(place(position, width, height), x, y, collapse=False)[0]
        scale_x, scale_y = float(self.dpi_inverse[0, 0]), float(self.dpi_inverse[1, 1])
        shift_x, shift_y = float(self.dpi_inverse[0, 2]), float(self.dpi_inverse[1, 2])
        x0, x1 = (scale_x * x0 + shift_x) - SAVE_PAD, (scale_x * x1 + shift_x) + SAVE_PAD
        y0, y1 = (scale_y * y0 + shift_y) - SAVE_PAD, (scale_y * y1 + shift_y) + SAVE_PAD
        left, bottom = -(self.dpi * x0), -(self.dpi * y0)
        figure_width, figure_height = (left + width) - left, (bottom + height) - bottom
        box = place(position, figure_width, figure_height, left, bottom)
        _, labels, data = self._extents(box, x, y, collapse=False)
        return AxesLayout(_whole(self.dpi * (x1 - x0)), _whole(self.dpi * (y1 - y0)), box, data, labels)

    def _adjusted(self, extents: Extents) -> Extents | None:
        """The Axes' new position, from the extents of all that belongs to it."""
        inverse = self.figure_inverse
        scale_x, shift_x = float(inverse[0, 0]), float(inverse[0, 2])
        scale_y, shift_y = float(inverse[1, 1]), float(inverse[1, 2])
        x0, y0, x1, y1 = extents
        left, bottom, right, top = self.position
        pad = PAD * (FONT_SIZE / 72)
        margin_left = max(left - (scale_x * x0 + shift_x), 0) + pad / self.inches[0]
        margin_right = max((scale_x * x1 + shift_x) - right, 0) + pad / self.inches[0]
        margin_top = max((scale_y * y1 + shift_y) - top, 0) + pad / self.inches[1]
        margin_bottom = max(bottom - (scale_y * y0 + shift_y), 0) + pad / self.inches[1]
        if margin_left + margin_right >= 1 or margin_bottom + margin_top >= 1:
            return None
        new_right, new_top = 1 - margin_right, 1 - margin_top
        return margin_left, new_top - (new_top - margin_bottom), margin_left + (new_right - margin_left), new_top

    def _extents(
        self, box: Box, x: Ticks, y: Ticks, *, collapse: bool
    ) -> tuple[Extents, tuple[tuple[float, float], tuple[float, float]], DataTransform]:
        """The extents of the Axes with labels, the anchors of both axis labels, and the data transform.

        `collapse`: an axis label counts as one pixel long, as tight_layout has it.
        """
        data = data_transform(box, x, y)
        pad = TICK_PAD / 72 * self.dpi
        size = 1 * TICK_SIZE / 72 * self.dpi
        label_pad = LABEL_PAD * self.dpi / 72
        below = box.y0 + -pad
        x_boxes = [b.at(data.sx * v + data.tx, below) for v, b in zip(x.locations, x.boxes, strict=True)]
        beside = box.x0 + -pad
        y_boxes = [b.at(beside, data.sy * v + data.ty) for v, b in zip(y.locations, y.boxes, strict=True)]
        spine_x0, spine_x1 = data.sx * x.low + data.tx, data.sx * x.high + data.tx
        spine_y0, spine_y1 = data.sy * y.low + data.ty, data.sy * y.high + data.ty
        x_bottom = min(b[1] for b in x_boxes)
        x_anchor = (box.width * 0.5 + box.x0, min(x_bottom, box.y0 - size) - label_pad)
        y_anchor = (min(min(b[0] for b in y_boxes), box.x0 - size) - label_pad, box.height * 0.5 + box.y0)
        x_label, y_label = self.x_label.at(*x_anchor), self.y_label.at(*y_anchor)
        if collapse:
            middle = (x_label[0] + x_label[2]) / 2 - 0.5
            x_label = (middle, x_label[1], middle + 1.0, x_label[3])
            middle = (y_label[1] + y_label[3]) / 2 - 0.5
            y_label = (y_label[0], middle, y_label[2], middle + 1.0)
        boxes = [
            *x_boxes,
            *y_boxes,
            x_label,
            y_label,
            (box.x0, box.y0, box.x1, box.y1),
            (box.x0, box.y0, box.width + box.x0, box.height + box.y0),
            (spine_x0, box.y0 - size, spine_x1, box.y0),
            (box.x0 - size, spine_y0, box.x0, spine_y1),
        ]
        x0s, y0s, x1s, y1s = zip(*boxes, strict=True)
        return (min(x0s), min(y0s), max(x1s), max(y1s)), (x_anchor, y_anchor), data
