"""View limits, tick locations and tick labels, by matplotlib's own locator and formatter."""

from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator, ScalarFormatter

from orchestrator.data.plotting.matplotlib_plot import defaults_of

MARGIN = 0.05


@dataclass(frozen=True)
class AxisTicks:
    """What stands along one axis."""

    low: float
    high: float
    """The view limits."""
    locations: tuple[float, ...]
    """The visible ticks, in data units."""
    labels: tuple[str, ...]


class Ticker:
    """Ticks as an Axes of the default size has them. Made under matplotlib's default settings."""

    def __init__(self) -> None:
        self._locator = MaxNLocator(nbins=9, steps=[1, 2, 2.5, 5, 10])
        self._formatter = ScalarFormatter()
        self._formatter.create_dummy_axis()
        self._axis: Any = self._formatter.axis

    def __call__(self, least: float, most: float) -> AxisTicks | None:
        """The ticks of values from `least` to `most`; None where labels need an offset or there is no clear range."""
        largest = max(abs(least), abs(most))
        if not (1e-200 < largest < 1e200) or not most - least > 1e-9 * largest:
            return None
        with defaults_of("axes.unicode_minus", "axes.autolimit_mode"):
            return self._ticks(least, most)

    def _ticks(self, least: float, most: float) -> AxisTicks | None:
        margin = (most - least) * MARGIN
        low, high = least - margin, most + margin
        axis, formatter = self._axis, self._formatter
        axis.set_view_interval(low, high)
        axis.set_data_interval(low, high)
        locations = self._locator.tick_values(low, high)
        formatter.set_locs(locations)  # type: ignore[arg-type]
        if formatter.get_offset():
            return None
        slack = (high - low) * 1e-10
        visible = tuple(float(v) for v in locations if low - slack <= v <= high + slack)
        if not visible:
            return None
        return AxisTicks(low, high, visible, tuple(formatter(v) for v in visible))
