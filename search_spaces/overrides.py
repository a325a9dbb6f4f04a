"""A trial that honours what an experiment says of single parameters: a fixed value, or another range."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, Protocol

Kind = Literal["float", "int", "categorical"]
RANGE_KEYS = ("low", "high", "log", "step")


class Suggests(Protocol):
    """What a search space asks of a trial. An optuna.Trial is one."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A float in [low, high]."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An int in [low, high]."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`."""
        ...


class SearchTrial:
    """Draws from `trial`, save where the experiment fixes a parameter or gives it another range.

    `fixed`: values by parameter name, which are returned as they are, and nothing is drawn.
    `space`: by parameter name a list of choices, or `{low, high}` with `log` and `step` where wanted; where it says
    neither, the scale of the search space stays. Raises ValueError for an override that makes no range.
    """

    def __init__(
        self, trial: Suggests, fixed: Mapping[str, Any] | None = None, space: Mapping[str, Any] | None = None
    ) -> None:
        self._trial = trial
        self._fixed = dict(fixed or {})
        self._space = dict(space or {})

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A float in [low, high], or what the experiment says."""
        value = self._overridden(name, "float", log, step)
        return self._trial.suggest_float(name, low, high, step=step, log=log) if value is _DRAW else float(value)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An int in [low, high], or what the experiment says."""
        value = self._overridden(name, "int", log, step)
        return self._trial.suggest_int(name, low, high, step=step, log=log) if value is _DRAW else int(value)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`, or what the experiment says."""
        value = self._overridden(name, "categorical", False, None)
        return self._trial.suggest_categorical(name, list(choices)) if value is _DRAW else value

    def fixed(self, name: str, otherwise: Any) -> Any:
        """What the experiment fixes a key to that is not searched, else `otherwise`; nothing is drawn."""
        return self._fixed.get(name, otherwise)

    def varies(self, name: str) -> bool:
        """Whether the experiment itself says what a key is searched in."""
        return name in self._space

    def suggest_extra(self, name: str) -> Any:
        """A value for a key of `space` that the search space itself does not draw."""
        return self.suggest_categorical(name, ())

    def _overridden(self, name: str, kind: Kind, log: bool, step: float | None) -> Any:
        if name in self._fixed:
            value = self._fixed[name]
            return _number(name, kind, value, "a fixed value") if kind != "categorical" else value
        if name not in self._space:
            return _DRAW
        override = self._space[name]
        if isinstance(override, Mapping):
            return self._from_range(name, kind, override, log, step)
        if isinstance(override, (list, tuple)):
            return self._trial.suggest_categorical(name, _choices(name, kind, override))
        raise ValueError(
            f"space.{name} must be a list of choices or a range {{low, high, log?, step?}}; it is {override!r}. "
            f"For a single value, write it under `fixed`."
        )

    def _from_range(self, name: str, kind: Kind, override: Mapping[str, Any], log: bool, step: float | None) -> Any:
        unknown = sorted(set(override) - set(RANGE_KEYS))
        missing = [key for key in ("low", "high") if key not in override]
        if unknown or missing:
            wrong = f"unknown: {', '.join(map(str, unknown))}" if unknown else f"missing: {', '.join(missing)}"
            raise ValueError(f"space.{name} is a range and takes low, high, and log or step; {wrong}.")
        if kind == "categorical":
            kind = "int" if all(_is_int(override[key]) for key in ("low", "high")) else "float"
        low, high = (_number(name, kind, override[key], key) for key in ("low", "high"))
        if low >= high:
            raise ValueError(f"space.{name}: low must be below high; it is {low!r} and high is {high!r}.")
        new_step = override.get("step")
        log = override.get("log", log and new_step is None)
        if not isinstance(log, bool):
            raise ValueError(f"space.{name}: log must be true or false; it is {log!r}.")
        if log and new_step is not None:
            raise ValueError(f"space.{name}: a logarithmic range has no step. Leave out log or step.")
        if log and low <= 0:
            raise ValueError(f"space.{name}: with log: true, low must be above 0; it is {low!r}. Raise it or drop log.")
        if new_step is not None:
            step = _number(name, kind, new_step, "step")
            if step <= 0:
                raise ValueError(f"space.{name}: step must be above 0; it is {step!r}.")
        if kind == "int":
            return self._trial.suggest_int(name, low, high, step=1 if log or step is None else int(step), log=log)
        return self._trial.suggest_float(name, low, high, step=None if log else step, log=log)


Suggest = Callable[[SearchTrial], Mapping[str, Any]]

_DRAW = object()
"""Stands for: the experiment says nothing of this parameter."""


def draw_config(
    suggest: Suggest, trial: Suggests, fixed: Mapping[str, Any], space: Mapping[str, Any]
) -> dict[str, Any]:
    """One configuration from `trial`: what `suggest` draws, then keys of `space` that it never draws, then `fixed`."""
    search = SearchTrial(trial, fixed, space)
    config = dict(suggest(search))
    # A parameter of a branch not taken is no extra: it has no meaning there.
    for name in sorted(set(space) - set(parameter_names(suggest)) - set(fixed)):
        config[name] = search.suggest_extra(name)
    return {**config, **fixed}


def example_configs(suggest: Suggest, fixed: Mapping[str, Any], space: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Configurations that between them hold each choice of each categorical and both ends of each range."""
    return [config for config, _ in _explore(lambda probe: draw_config(suggest, probe, fixed, space))]


def parameter_names(suggest: Suggest) -> tuple[str, ...]:
    """The names of all parameters that `suggest` may draw, in the order in which they are met.

    The space is run once for each choice of each categorical and for both ends of each range, after the draws that led
    there; so every branch that hangs on one parameter, or on nested ones, is met.
    """
    runs = _explore(lambda probe: dict(suggest(SearchTrial(probe))))
    return tuple(dict.fromkeys(name for _, draws in runs for name in draws))


def _explore(run: Callable[["_Probe"], dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What `run` gives, and what it drew by name, over enough runs to draw each option of each parameter once."""
    results: list[tuple[dict[str, Any], dict[str, Any]]] = []
    met: set[tuple[str, str]] = set()
    waiting: list[dict[str, Any]] = [{}]
    while waiting:
        probe = _Probe(waiting.pop(0))
        config = run(probe)
        drawn: dict[str, Any] = {}
        for name, options, value in probe.draws:
            met.add((name, repr(value)))
            for option in options:
                if (name, repr(option)) not in met:
                    met.add((name, repr(option)))
                    waiting.append({**drawn, name: option})
            drawn[name] = value
        results.append((config, drawn))
    return results


class _Probe:
    """A trial that draws what it is told, else the first option, and keeps what it was asked."""

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self.wanted = wanted
        self.draws: list[tuple[str, list[Any], Any]] = []

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._draw(name, [float(low), float(high)]))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._draw(name, [low, high]))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._draw(name, list(choices))

    def _draw(self, name: str, options: list[Any]) -> Any:
        value = self.wanted.get(name, options[0])
        self.draws.append((name, options, value))
        return value


def _choices(name: str, kind: Kind, given: Sequence[Any]) -> list[Any]:
    if not given:
        raise ValueError(f"space.{name} is an empty list. Give at least one choice.")
    for choice in given:
        if choice is not None and not isinstance(choice, (bool, int, float, str)):
            raise ValueError(f"space.{name}: a choice is a number, a text, true, false or null; one is {choice!r}.")
    return list(given) if kind == "categorical" else [_number(name, kind, choice, "a choice") for choice in given]


def _number(name: str, kind: Kind, value: Any, what: str) -> Any:
    if kind == "int":
        if not _is_int(value):
            raise ValueError(f"{name}: {what} must be a whole number; it is {value!r}.")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name}: {what} must be a finite number; it is {value!r}.")
    return float(value)


def _is_int(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
