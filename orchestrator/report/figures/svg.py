"""matplotlib figures as SVG that sits in a page: its fonts, its colours in light and dark, unique ids."""

import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from orchestrator.report.document.document import Chart

# Okabe and Ito's palette, which colour-blind readers tell apart. The page redefines each as a variable for dark mode.
INK, FAINT, GRID = "#1f2933", "#7b8794", "#d9dee4"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
CARD = "#ffffff"
"""What lies below a figure."""
VARIABLES = {
    CARD: "--card",
    INK: "--ink",
    FAINT: "--faint",
    GRID: "--grid",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREEN: "--green",
    PURPLE: "--purple",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "orchestrator",
    # TrueType: what publishers ask for.
    "pdf.fonttype": 42,
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 7.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.0,
    "legend.handletextpad": 0.5,
    "axes.formatter.useoffset": False,
    "legend.borderaxespad": 0.2,
    "lines.linewidth": 1.3,
    "path.simplify": True,
}
# About what one line of the legend holds, its symbols included.
_LEGEND_LETTERS = 58
SIZE = (3.3, 2.3)
"""Inches of one panel: at a phone's width its text is still about 10 pixels high."""


@contextmanager
def drawing() -> Iterator[None]:
    """matplotlib's defaults with the report's style, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


@contextmanager
def missing_glyphs() -> Iterator[None]:
    """No warning where matplotlib's font lacks a glyph: in SVG text stays text, in print a box stands for it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def panel(taller: float = 0.0) -> tuple[Figure, Axes]:
    """An empty panel, by `taller` inches taller than others; call within `drawing`.

    Margins are fixed, so that panels side by side line up.
    """
    figure = Figure(figsize=(SIZE[0], SIZE[1] + taller), facecolor="none")
    axes = figure.subplots()
    # Not as a gridspec's own: those would outrank what `legend` sets later.
    figure.subplots_adjust(left=0.18, right=0.94, bottom=0.19, top=0.96)
    axes.set_facecolor("none")
    axes.tick_params(length=2.5, width=0.7)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    return figure, axes


def legend(axes: Axes) -> None:
    """A legend in the margin above the axes, where it covers no data; none for a single thing."""
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    if len(unique) < 2:
        return
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    lines = math.ceil((sum(len(name) for name in unique) + 6 * len(unique)) / _LEGEND_LETTERS)
    while lines < len(unique) and _legend_width(list(unique), lines) > _LEGEND_LETTERS:
        lines += 1
    line = 0.08 * SIZE[1] / figure.get_figheight()
    figure.subplots_adjust(top=1 - 1.5 * line - line * (lines - 1))
    drawn = figure.legend(
        unique.values(),
        unique.keys(),
        loc="upper left",
        ncols=math.ceil(len(unique) / lines),
        bbox_to_anchor=(0.0, 1.0),
    )
    for handle in drawn.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def _legend_width(names: Sequence[str], lines: int) -> int:
    """Letters across of a legend in so many lines: each column is as wide as its widest name."""
    columns = np.array_split(np.array([len(name) + 6 for name in names]), math.ceil(len(names) / lines))
    return int(sum(column.max() for column in columns))


def logarithmic(axes: Axes, which: Literal["x", "y"], values: Sequence[float]) -> None:
    """A logarithmic axis over positive values, labelled without mathtext; short spans get labels between decades."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    decades = math.log10(max(values) / min(values))
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if decades < 2 else (1.0,), numticks=6))
    axis.set_major_formatter(FuncFormatter(_power))
    axis.set_minor_locator(NullLocator())


def _power(value: float, _: int | None = None) -> str:
    """Plain digits near one, else a power of ten in raised digits."""
    if 0.01 <= value < 10_000:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = round(value / 10.0**exponent)
    raised = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if factor == 1 else f"{factor}·10{raised}"


def chart(figure: Figure, key: str, of: Sequence[str], title: str, caption: str, alt: str) -> Chart:
    """The figure for the page, its ids made unique by `key`, and for files that are named after `of`."""
    return Chart(title, caption, alt, to_svg(figure, key), tuple(of), figure)


def restyled(text: str, colours: Mapping[str, str]) -> str:
    """An SVG with other colours; its texts stay as they are, whatever they say."""

    def replaced(style: re.Match[str]) -> str:
        found = style.group()
        for old, new in colours.items():
            found = found.replace(old, new)
        return found

    return re.sub(r'style="[^"]*"', replaced, text)


def to_svg(figure: Figure, key: str) -> str:
    """The figure's <svg> element; `key` makes its ids unique in the page. The same figure gives the same text."""
    buffer = io.StringIO()
    with missing_glyphs():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'\bid="', f'id="{key}-', text)
    text = re.sub(r'href="#', f'href="#{key}-', text)
    text = re.sub(r"url\(#", f"url(#{key}-", text)
    text = restyled(text, {colour: f"var({variable})" for colour, variable in VARIABLES.items()})
    text = re.sub(r"font: ([\d.]+)px 'DejaVu Sans'", r"font-size: \1px", text)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', text, count=1)
    return re.sub(r"\n\s*", "\n", text).strip()
