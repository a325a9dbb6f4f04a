"""The tables of what a search goes by: samplers, which draw configurations, and schedulers, which end trials early."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from trainables.own_code import attribute_of

GRACE_SHARE = 4
"""ASHA stops no trial in the first quarter of the epochs: plateau schedules and warm BatchNorm need that long."""
REDUCTION = 3
"""Of ASHA: one trial in so many goes on from each rung."""


@dataclass(frozen=True)
class SearchMethod:
    """One of them; its module is imported when first needed, since Ray and Optuna cost seconds."""

    name: str
    summary: str
    """One line for lists and help texts."""
    place: str
    """`module:function`."""

    @property
    def make(self) -> Callable[..., Any]:
        """What makes it. A resumed search must be given what the undisturbed one would have had."""
        function: Callable[..., Any] = attribute_of(self.place)
        return function


SAMPLERS = {
    row.name: row
    for row in (
        SearchMethod(
            "tpe",
            "learns from the trials that have ended (tree-structured Parzen estimators)",
            "orchestrator.search.sampler:tpe",
        ),
        SearchMethod("random", "learns from none, as a baseline", "orchestrator.search.sampler:random"),
    )
}
"""`make(seed)` gives an optuna sampler; it is made anew for every draw, so that none hangs on those before it."""

SCHEDULERS = {
    row.name: row
    for row in (
        SearchMethod(
            "asha", "stops trials early that are behind the others at the same epoch", "orchestrator.search.asha:asha"
        ),
        SearchMethod("none", "every trial runs to its end", "orchestrator.search.asha:no_scheduler"),
    )
}
"""`make(epochs, metric, mode, earlier, spared)` gives a Ray Tune scheduler that knows the `earlier` records and
stops no trial whose number is `spared`."""

if TYPE_CHECKING:
    SamplerName = str
    SchedulerName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]
    SchedulerName = Literal[tuple(SCHEDULERS)]
