"""What a page's script must know of a figure to read a place in it off: its axes, in the figure's own measure."""

import math

from matplotlib.ticker import FixedLocator, NullLocator

from orchestrator.report.document.document import Chart

SCALES = ("linear", "log")


def axes_of(chart: Chart) -> str:
    """`left top right bottom x0 x1 y0 y1 xscale yscale`; empty where the figure has not one pair of numeric axes.

    The first four are shares of the figure from its left and its top, the next the values at the ends of the axes.
    """
    if chart.figure is None or len(chart.figure.axes) != 1:
        return ""
    axes = chart.figure.axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        # Categories have their ticks set by hand, and stand between no values.
        if isinstance(axis.get_major_locator(), FixedLocator | NullLocator) or axis.get_scale() not in SCALES:
            return ""
    box = axes.get_position()
    numbers = [box.x0, 1 - box.y1, box.x1, 1 - box.y0, *axes.get_xlim(), *axes.get_ylim()]
    if not all(math.isfinite(one) for one in numbers):
        return ""
    return " ".join([*(f"{one:.5g}" for one in numbers), axes.get_xscale(), axes.get_yscale()])
