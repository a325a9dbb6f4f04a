"""Where things go in a panel: which rows are drawn, axes over decades, names that do not cover each other."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from orchestrator.report.document.formatting import printable, shorten
from orchestrator.report.figures.svg import CARD, FAINT, logarithmic
from orchestrator.report.numbers.hyperparameters import LOG_RATIO

MOST_NAMES = 12
# Of a panel's axes: the width of a letter of a point's name, the height of its line, half the size of a point.
_LETTER, _LINE, _DOT = 0.027, 0.07, 0.022


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the rows 0 to `count` − 1, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist() if count else []


def log_if_wide(axes: Axes, which: Literal["x", "y"], values: Sequence[float]) -> None:
    """A logarithmic axis where positive values spread over decades."""
    if values and min(values) > 0 and max(values) / min(values) >= LOG_RATIO:
        logarithmic(axes, which, values)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> NDArray[np.float64]:
    """Places at least `gap` apart and within `low` to `high`, moved as little as can be (least squares).

    Isotonic regression of the places less their share of the gaps. Where there is no room for all, they overlap evenly.
    """
    count = len(places)
    if count < 2:
        return np.clip(np.asarray(places, dtype=np.float64), low, high)
    gap = min(gap, (high - low) / (count - 1))
    order = np.argsort(places, kind="stable")
    offsets = gap * np.arange(count)
    moved = isotonic_regression(np.asarray(places, dtype=np.float64)[order] - offsets).x
    found = np.empty(count)
    found[order] = np.clip(moved, low, high - offsets[-1]) + offsets
    return found


def name_points(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Names beside their points, each where it covers the least; those far from their point are joined to it."""
    points = points[:MOST_NAMES]
    axes.autoscale_view()
    to_shares = axes.transData + axes.transAxes.inverted()
    dots = [tuple(map(float, to_shares.transform((x, y)))) for _, x, y in points]
    taken = [_Box(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in dots]
    for (name, _, _), (x, y) in zip(points, dots, strict=True):
        said = shorten(printable(name), 20)
        width = _LETTER * len(said)
        # Above, since lines leave a point sideways.
        places = [
            _Box(left, y + rise, left + width, y + rise + _LINE)
            for rise in (0.02, -0.02 - _LINE, 0.02 + _LINE, -0.02 - 2 * _LINE, 0.02 + 2 * _LINE, -0.02 - 3 * _LINE)
            for left in ((x - _DOT - width, x + _DOT) if x > 0.5 else (x + _DOT, x - _DOT - width))
        ]
        best = min(places, key=lambda box: (box.outside() + sum(box.shared(one) for one in taken), places.index(box)))
        taken.append(best)
        at_left = best.left < x
        end = best.right if at_left else best.left
        if abs(best.low + _LINE / 2 - y) > 1.5 * _LINE:
            axes.plot([x, end], [y, best.low + _LINE / 2], color=FAINT, linewidth=0.5, transform=axes.transAxes)
        axes.annotate(
            said, (end, best.low + _LINE / 2), xycoords="axes fraction", ha="right" if at_left else "left",
            va="center", fontsize=7.5, bbox={"facecolor": CARD, "edgecolor": "none", "alpha": 0.7, "pad": 0.3},
        )  # fmt: skip


class _Box(NamedTuple):
    """A rectangle in shares of the axes."""

    left: float
    low: float
    right: float
    high: float

    def shared(self, other: "_Box") -> float:
        """The area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        return max(wide, 0.0) * max(min(self.high, other.high) - max(self.low, other.low), 0.0)

    def outside(self) -> float:
        """The area beyond the axes."""
        return (self.right - self.left) * (self.high - self.low) - self.shared(_Box(-0.02, 0.0, 1.02, 1.02))
