"""The configurations of a variant that are probed: its defaults, the dearest corner of its space, and a few draws."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from orchestrator.experiment.sections import Variant
from search_spaces.overrides import Suggest, draw_config

DRAWS = 2
MOST_OPTIONS = 8
"""Of one parameter without an order, such as a backbone, that are weighed for the dearest corner."""


class Configuration(NamedTuple):
    """One that is probed."""

    label: str
    """defaults, dearest or draw N."""
    config: dict[str, Any]


def probed_configurations(
    variant: Variant, suggest: Suggest, weigh: Callable[[Mapping[str, Any]], float]
) -> list[Configuration]:
    """The defaults first, each configuration once. `weigh`: how large a configuration's model is, to find the dearest;
    what it raises counts as smaller than all."""

    def drawn(trial: "_Draws") -> dict[str, Any]:
        return draw_config(suggest, trial, variant.fixed, variant.space)

    found = [Configuration("defaults", dict(variant.fixed))]
    found.append(Configuration("dearest", _dearest(drawn, weigh)))
    found += [Configuration(f"draw {number + 1}", drawn(_Random(number))) for number in range(DRAWS)]
    once: dict[str, Configuration] = {}
    for one in found:
        once.setdefault(repr(sorted(one.config.items())), one)
    return list(once.values())


def _dearest(
    drawn: Callable[["_Draws"], dict[str, Any]], weigh: Callable[[Mapping[str, Any]], float]
) -> dict[str, Any]:
    """The upper end of each range, and of each choice without an order the one whose model is the largest."""
    chosen: dict[str, Any] = {}
    while True:
        trial = _Upper(chosen)
        config = drawn(trial)
        if trial.open is None:
            return config
        name, options = trial.open
        weights = []
        for option in options[:MOST_OPTIONS]:
            try:
                weights.append(weigh(drawn(_Upper({**chosen, name: option}))))
            except Exception:  # it is reported where it is probed, or when the run checks it
                weights.append(-1.0)
        chosen[name] = options[int(np.argmax(weights))]


class _Draws:
    """A trial whose draws a sub-class decides."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return self._float(low, high, log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        value = round(self._float(low, high, log))
        return low + (value - low) // step * step

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        raise NotImplementedError

    def _float(self, low: float, high: float, log: bool) -> float:
        raise NotImplementedError


class _Random(_Draws):
    """Each parameter by itself, evenly over its range or its logarithm."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[int(self._generator.integers(len(choices)))]

    def _float(self, low: float, high: float, log: bool) -> float:
        if log:
            return float(np.exp(self._generator.uniform(np.log(low), np.log(high))).clip(low, high))
        return float(self._generator.uniform(low, high))


class _Upper(_Draws):
    """The upper end of all that has an order."""

    def __init__(self, chosen: Mapping[str, Any]) -> None:
        self._chosen = chosen
        self.open: tuple[str, Sequence[Any]] | None = None
        """The first choice without an order that is not decided yet."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if name in self._chosen:
            return self._chosen[name]
        if all(isinstance(one, int | float) and not isinstance(one, bool) for one in choices):
            return max(choices)
        if len(choices) > 1 and self.open is None:
            self.open = name, choices
        return choices[0]

    def _float(self, low: float, high: float, log: bool) -> float:
        return high
