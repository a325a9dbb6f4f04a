"""How names and numbers are printed: the same in HTML, Markdown and on a terminal."""

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from orchestrator.scoring.metric_table import METRICS, Metric
from trainables.printing import printable as printable

NONE = "–"


def joints(text: str) -> list[str]:
    """The text in parts between which a line may break: after the joints of a name, and inside a run without any."""
    return re.sub(r"([_/\\-]|[^\W_]{20})(?=[^\W_])", "\\1\0", text).split("\0")


def shorten(text: str, length: int = 24) -> str:
    """The text with its middle left out where it is longer; both ends tell names apart."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def number(value: float | None, digits: int = 3, signed: bool = False) -> str:
    """A fixed number of decimals with a true minus sign; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    if float(text) == 0:
        text = text.replace("-", "").replace("+", "")
    return text.replace("-", "−")


def interval(low: float | None, high: float | None, digits: int = 3, signed: bool = False) -> str:
    """An interval in brackets, or nothing where it is not known."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{number(low, digits, signed)}, {number(high, digits, signed)}]"


def bare(text: str) -> str:
    """A printed number without the 0 before its point, where there is little room."""
    return text.replace("0.", ".", 1) if text.lstrip("+−").startswith("0.") else text


def p_value(p: float | None) -> str:
    """Three decimals; below that, the bound."""
    if p is None or not math.isfinite(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def share(value: float) -> str:
    """A probability in per cent, never none or all of it."""
    return "> 99 %" if value >= 0.995 else "< 1 %" if value < 0.005 else f"{value:.0%}".replace("%", " %")


def duration(seconds: float | None) -> str:
    """Seconds up to one minute, with minutes up to ten, then minutes, then hours."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if seconds < 599.5:
        return f"{round(seconds) // 60} min {round(seconds) % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def time_a_picture(seconds: float) -> str:
    """Milliseconds with two digits, or seconds from one on."""
    return (
        f"{1000 * seconds:.2g} ms"
        if seconds < 0.0995
        else f"{1000 * seconds:.0f} ms"
        if seconds < 1
        else duration(seconds)
    )


def milliseconds(value: float | None) -> str:
    """With three digits."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:.0f} ms" if value >= 99.95 else f"{value:.3g} ms"


def rate(value: float | None) -> str:
    """So many a second: whole ones from ten on."""
    if value is None or not math.isfinite(value):
        return NONE
    return count(round(value)) if value >= 9.95 else f"{value:.2g}"


def megabytes(size: float | None) -> str:
    """Decimal units, as limits are given."""
    if size is None or not math.isfinite(size):
        return NONE
    millions = size / 10**6
    return f"{millions:,.0f} MB" if millions >= 99.5 else f"{millions:.3g} MB"


def byte_size(size: float | None) -> str:
    """Binary units."""
    if size is None or not math.isfinite(size):
        return NONE
    return f"{size / 2**20:,.0f} MiB" if size < 2**30 else f"{size / 2**30:,.1f} GiB"


def watt_hours(joules: float | None) -> str:
    """Joules as watt hours."""
    if joules is None or not math.isfinite(joules):
        return NONE
    hours = joules / 3600
    return f"{hours:.1f} Wh" if hours < 1000 else f"{hours / 1000:.1f} kWh"


def count(value: float | None) -> str:
    """A whole number in groups of three, parted by narrow no-break spaces."""
    return NONE if value is None or not math.isfinite(value) else f"{int(value):,}".replace(",", "\u202f")


def setting(value: Any) -> str:
    """A configuration's value: floats to four significant digits, the rest as it is written."""
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:.4g}".replace("-", "−") if math.isfinite(value) else str(value)
    return printable(value)


def words(names: list[str], limit: int = 6) -> str:
    """A list in words: `a, b and c`; long ones are cut and counted."""
    shown = names if len(names) <= limit else [*names[:limit], f"{len(names) - limit} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""


def plural(number_of: int, noun: str, many: str = "") -> str:
    """`1 trial`, `2 trials`; `many` where an s is not enough."""
    return f"{count(number_of)} {noun if number_of == 1 else many or f'{noun}s'}"


def sentence(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


_OWN_METRICS: ContextVar[tuple[Metric, ...]] = ContextVar("own metrics", default=())


@contextmanager
def labelled(own: Iterable[Metric]) -> Iterator[None]:
    """Within, `label` knows these metrics of the user's own, too."""
    token = _OWN_METRICS.set(tuple(own))
    try:
        yield
    finally:
        _OWN_METRICS.reset(token)


def label(name: str) -> str:
    """A metric's name as prose: `macro_f1` is `macro F1`."""
    row = next((one for one in _OWN_METRICS.get() if one.name == name), METRICS.get(name))
    return printable(name.replace("_", " ") if row is None else row.label)


def on_validation(name: str, axis: bool = False) -> str:
    """A metric with the part it was measured on, which a validation loss names itself; `axis`: as an axis' label."""
    if name.startswith("validation"):
        return label(name)
    return f"{label(name)} (validation)" if axis else f"{label(name)} on validation"
