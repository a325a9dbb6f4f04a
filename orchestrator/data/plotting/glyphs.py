"""Text as bitmaps: each label laid out once, each glyph drawn once for each of its 64 × 64 places within a pixel."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg, get_hinting_flag
from matplotlib.font_manager import fontManager, get_font
from matplotlib.ft2font import RenderMode
from matplotlib.text import Text
from numpy.typing import NDArray

from orchestrator.data.plotting.axes_layout import TextBox
from orchestrator.data.plotting.matplotlib_plot import defaults_of

_TEXT_SETTINGS = (
    "text.hinting",
    "text.usetex",
    "text.parse_math",
    "font.family",
    "font.sans-serif",
    "font.size",
    "font.style",
    "font.variant",
    "font.weight",
    "font.stretch",
)
"""What the layout of a text reads from matplotlib's settings."""

_MOST_LABELS = 4096
_MOST_GLYPHS = 20_000
"""Some ten megabytes."""


@dataclass(frozen=True)
class Label:
    """One laid-out line of text."""

    box: TextBox
    origin: tuple[float, float]
    """From the anchor to the first glyph's origin, in pixels, y upwards."""
    glyphs: tuple[tuple[Any, int, float, float], ...]
    """Font, glyph index and the place on the unrotated baseline, in pixels."""
    size: float
    """Font size in points."""
    angle: float


class Bitmaps:
    """Bitmaps of coverage, packed into one array for the compiled code. Grows as it is used."""

    def __init__(self) -> None:
        self.atlas = np.zeros(1 << 16, dtype=np.uint8)
        self.table = np.zeros((1024, 3), dtype=np.int32)
        self._count = 0
        self._used = 0

    def __len__(self) -> int:
        return self._count

    def keep(self, count: int) -> None:
        """Forget all but the first `count` bitmaps."""
        self._count = count
        self._used = int(self.table[count - 1, 0] + self.table[count - 1, 1] * self.table[count - 1, 2])

    def add(self, bitmap: NDArray[np.uint8]) -> int:
        """Keep `bitmap` (h, w); return its number."""
        height, width = bitmap.shape
        while self._used + bitmap.size > len(self.atlas):
            self.atlas = np.concatenate([self.atlas, np.zeros_like(self.atlas)])
        if self._count == len(self.table):
            self.table = np.concatenate([self.table, np.zeros_like(self.table)])
        self.atlas[self._used : self._used + bitmap.size] = bitmap.ravel()
        self.table[self._count] = self._used, width, height
        self._used += bitmap.size
        self._count += 1
        return self._count - 1


class Typesetter:
    """Lays out labels and places their glyphs, as RendererAgg does. Made under matplotlib's default settings."""

    def __init__(self, renderer: RendererAgg, bitmaps: Bitmaps) -> None:
        self._renderer = renderer
        self._bitmaps = bitmaps
        self._labels: dict[tuple[int, str], Label] = {}
        self._placed: dict[tuple[int, int, float, float, int, int], tuple[int, int, int]] = {}
        self._foreign = 0
        self._hinting = get_hinting_flag()  # type: ignore[no-untyped-call]

    def label(self, artist: Text, text: str) -> Label:
        """`text` laid out with the font, alignment and rotation of `artist`."""
        key = (id(artist), text)
        label = self._labels.get(key)
        if label is None:
            label = self._labels[key] = self._lay_out(artist, text)
        return label

    def _lay_out(self, artist: Text, text: str) -> Label:
        with defaults_of(*_TEXT_SETTINGS):
            return self._laid_out(artist, text)

    def _laid_out(self, artist: Text, text: str) -> Label:
        artist.set_text(text)
        extents, lines, _ = artist._get_layout(self._renderer)  # type: ignore[attr-defined]
        ((_, _, origin),) = lines
        properties = artist.get_fontproperties()
        font = get_font(fontManager._find_fonts_by_props(properties))
        size = properties.get_size_in_points()
        font.clear()
        font.set_size(size, self._renderer.dpi)
        items = font._layout(
            text, flags=self._hinting, features=artist.get_fontfeatures(), language=artist.get_language()
        )
        return Label(
            box=TextBox(float(extents.x0), float(extents.y0), float(extents.width), float(extents.height)),
            origin=(float(origin[0]), float(origin[1])),
            glyphs=tuple((item.ft_object, item.glyph_index, item.x, item.y) for item in items),
            size=size,
            angle=artist.get_rotation(),
        )

    def trim(self) -> None:
        """Forget labels and glyphs where there are many; between pictures only."""
        if len(self._labels) > _MOST_LABELS:
            self._labels.clear()
        if len(self._placed) > _MOST_GLYPHS:
            self._placed.clear()
            self._bitmaps.keep(self._foreign)

    def place(self, label: Label, x: float, y: float, height: int, out: list[tuple[int, int, int]]) -> None:
        """Append the bitmap, column and row of each glyph of `label`, anchored at (x, y), y upwards."""
        cos, sin = (1.0, 0.0) if label.angle == 0 else _cos_sin(label.angle)
        x = label.origin[0] + x
        y = height - (label.origin[1] + y)
        for font, glyph, dx, dy in label.glyphs:
            column = round(0x40 * (x + dx * cos - dy * sin))
            row = round(0x40 * (height - y + dx * sin + dy * cos))
            key = (id(font), glyph, label.size, label.angle, column & 63, row & 63)
            placed = self._placed.get(key)
            if placed is None:
                if not self._placed:
                    self._foreign = len(self._bitmaps)
                placed = self._placed[key] = self._draw(font, glyph, label, column & 63, row & 63)
            bitmap, left, top = placed
            out.append((bitmap, left + (column >> 6), height - (top + (row >> 6))))

    def _draw(self, font: Any, glyph: int, label: Label, column: int, row: int) -> tuple[int, int, int]:
        """The number of the glyph's bitmap at this place within a pixel, and where its first corner lies."""
        cos, sin = _cos_sin(label.angle)
        font.set_size(label.size, self._renderer.dpi)
        font._set_transform((0x10000 * np.array([[cos, -sin], [sin, cos]])).round().astype(int), [column, row])
        drawn = font._render_glyph(glyph, self._hinting, RenderMode.NORMAL)
        bitmap = np.array(drawn.buffer, dtype=np.uint8)
        return self._bitmaps.add(bitmap), drawn.left, drawn.top


def _cos_sin(angle: float) -> tuple[float, float]:
    return math.cos(math.radians(angle)), math.sin(math.radians(angle))
