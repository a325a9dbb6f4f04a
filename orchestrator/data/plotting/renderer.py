"""Pure rendering: values and a plot style -> uint8 pixels, byte for byte those of matplotlib's savefig."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import ft2font
from numpy.typing import NDArray
from PIL import Image

from orchestrator.data.plotting.matplotlib_plot import draw_with_matplotlib
from orchestrator.data.plotting.plot_style import PlotStyle, style_row
from trainables.errors import InputError

RENDERER_VERSION = 1
"""Rises whenever the pixels change for the same values, style and matplotlib."""

PICTURES_BEFORE_FAST = 16
"""So many pictures are drawn by matplotlib first: getting the fast way ready takes about as long, once compiled."""


class Renderer:
    """Draws series in one style, at one size. One a process: matplotlib's fonts and settings are shared state.

    It is cheap to make and to send to another process. After the first few pictures it gets the fast way ready,
    which draws the same pixels many times faster, and turns to matplotlib only for what that can't draw.
    """

    def __init__(self, style: str | PlotStyle, size: tuple[int, int] | None, *, fast: bool = True) -> None:
        """`style`: as an experiment names it, or itself; `size` is (height, width) of `picture`, or None for the plot's
        own size. `fast=False` leaves everything to matplotlib.
        """
        if size is not None and min(size) < 1:
            raise InputError(f"A picture's size must be at least 1 × 1 pixels; given: {size[0]} × {size[1]}.")
        self.style = style if isinstance(style, PlotStyle) else style_row(style)
        self.size = size
        self._wants_fast = fast
        self._drawn = 0
        self._fast: Any = None
        self._remark = "" if fast else "The fast way was not asked for."

    def __getstate__(self) -> dict[str, Any]:
        return {"style": self.style, "size": self.size, "fast": self._wants_fast}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def identity(self) -> str:
        """What the pixels depend on besides values and size: part of a store's keys."""
        freetype = ft2font.__freetype_version__
        return f"{self.style.identity}/renderer-{RENDERER_VERSION}/matplotlib-{mpl.__version__}/freetype-{freetype}"

    @property
    def remark(self) -> str:
        """Why the fast way is switched off; empty where it is in use or not yet ready."""
        return self._remark

    def start(self) -> None:
        """Get the fast way ready now: about two seconds, and fifteen more the first time on a machine, to compile."""
        if self._fast is not None or self._remark:
            return
        try:
            from orchestrator.data.plotting.fast_way import FastWay  # numba takes long to import, and may be missing

            self._fast = FastWay(self.style, self.size)
        except Exception as error:  # whatever it is, matplotlib itself still draws
            self._switch_off(f"{type(error).__name__}: {error}")

    def full(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """RGBA (H, W, 4), equal to the decoded PNG of `savefig` under matplotlib's default settings.

        `values` (n,) may hold NaN (gaps) and inf, and may be empty. InputError where matplotlib can't draw them.
        """
        drawn: NDArray[np.uint8] | None = self._quickly("full", values)
        return draw_with_matplotlib(self.style, values) if drawn is None else drawn

    def picture(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """RGB (h, w, 3) at this renderer's size: Pillow's bilinear resize of the full picture without its alpha."""
        drawn: NDArray[np.uint8] | None = self._quickly("picture", values)
        if drawn is not None:
            return drawn
        rgb = np.ascontiguousarray(draw_with_matplotlib(self.style, values)[..., :3])
        if self.size is None:
            return rgb
        height, width = self.size
        return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))

    def _quickly(self, what: str, values: NDArray[np.float64]) -> NDArray[np.uint8] | None:
        """The picture by the fast way; None where it is not ready, or only matplotlib can draw this series."""
        if self._remark:
            return None
        if self._fast is None:
            self._drawn += 1
            if self._drawn > PICTURES_BEFORE_FAST:
                self.start()
        if self._fast is None:
            return None
        try:
            drawn: NDArray[np.uint8] | None = getattr(self._fast, what)(values)
        except Exception as error:
            self._switch_off(f"{type(error).__name__}: {error}")
            return None
        return drawn

    def _switch_off(self, reason: str) -> None:
        self._fast = None
        self._remark = f"The fast way of rendering is switched off, matplotlib draws instead: {reason}"
