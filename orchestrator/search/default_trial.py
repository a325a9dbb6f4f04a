"""The first trial of a search whose winner has to beat the family's defaults: these defaults themselves."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial

from search_spaces.overrides import Suggest, Suggests, draw_config

DEFAULT_TRIAL: Final = 0
"""Its number."""


class AtDefaults:
    """A trial that gives each parameter's default.

    A default inside its parameter's range, or among its choices, is drawn from `trial`, so that the study knows it and
    the sampler learns from it. One outside is given all the same, and the study, which can't hold it, is not told.
    """

    def __init__(self, trial: Suggests, defaults: Mapping[str, Any]) -> None:
        """`trial`: one that gives these defaults where they are drawn, as an enqueued one does."""
        self._trial = trial
        self._defaults = defaults
        self.drawn: dict[str, Any] = {}
        """What was drawn from `trial`, by name."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """The default, whatever the range."""
        if self._outside(name, FloatDistribution(low, high, log=log, step=step)):
            return float(self._defaults[name])
        return float(self._note(name, self._trial.suggest_float(name, low, high, step=step, log=log)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """The default, whatever the range."""
        if self._outside(name, IntDistribution(low, high, log=log, step=step)):
            return int(self._defaults[name])
        return int(self._note(name, self._trial.suggest_int(name, low, high, step=step, log=log)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The default, whatever the choices."""
        if self._outside(name, CategoricalDistribution(choices)):
            return self._defaults[name]
        return self._note(name, self._trial.suggest_categorical(name, choices))

    def _outside(self, name: str, space: BaseDistribution) -> bool:
        """Whether there is a default that the space does not hold."""
        if name not in self._defaults:
            return False  # a parameter that is no key of the family has none
        try:
            return not space._contains(space.to_internal_repr(self._defaults[name]))
        except ValueError:  # no such choice, or no number
            return True

    def _note(self, name: str, value: Any) -> Any:
        self.drawn[name] = value
        return value


def drawn_defaults(
    suggest: Suggest, fixed: Mapping[str, Any], space: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters, with their defaults, that a trial `AtDefaults` draws: to be enqueued for it."""
    trial = AtDefaults(FixedTrial(dict(defaults)), defaults)
    draw_config(suggest, trial, fixed, space)
    return trial.drawn
