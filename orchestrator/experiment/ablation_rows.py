"""From factors and levels to the rows of an ablation, and from a baseline's configuration to theirs. Pure."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from orchestrator.experiment.ablation_settings import RUN_KEYS, Ablation, setting_text
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.sections import Variant
from orchestrator.experiment.settings import Setting, digest, full_config, set_config
from orchestrator.families import family_row
from orchestrator.scoring.thresholds import parse_strategy
from search_spaces.overrides import parameter_names
from trainables.errors import InputError


@dataclass(frozen=True)
class Change:
    """One row beside the baseline."""

    name: str
    changes: dict[str, Any]
    """What is set otherwise than the baseline has it, as the experiment writes it."""
    held: dict[str, Any]
    """What a search of this row may not draw: the keys of the ablation that it sets itself."""
    family: str | None = None
    """Of a row that is of another family than the baseline: nothing is inherited then but size, epochs and strategy."""


@dataclass(frozen=True)
class AskedAblation:
    """An experiment that asks for an ablation."""

    experiment: Experiment
    ablation: Ablation
    variant: Variant
    """That the baseline is made from."""

    @classmethod
    def of(cls, experiment: Experiment) -> Self:
        """What an experiment asks for; InputError where it has no `ablation`."""
        if experiment.ablation is None:
            raise InputError(
                "The experiment has no `ablation:`, which says what is changed of which configuration. Add it, for "
                "instance: ablation: {factors: {dropout: [0, 0.3]}}. `orchestrate schema` lists its keys."
            )
        name = experiment.ablation.baseline or experiment.baseline_name
        return cls(experiment, experiment.ablation, experiment.variant(name))

    @property
    def name(self) -> str:
        """The baseline's, as tables print it."""
        return self.ablation.baseline_label or self.variant.name


def bare_baseline(asked: AskedAblation, strategy: str | None) -> Setting:
    """The baseline as far as its variant fixes it."""
    variant = asked.variant
    return Setting(
        family=variant.family,
        config=set_config(variant.family, variant.fixed),
        size=asked.experiment.size_of(variant),
        epochs=asked.experiment.epochs_of(variant),
        strategy=strategy,
    )


def given_baseline(asked: AskedAblation, strategies: tuple[str, ...]) -> Setting | None:
    """The baseline whose configuration stands in the file; None where a search is to find it.

    `strategies`: what validation allows, of which the first is taken where the file says none.
    """
    if asked.ablation.config is None:
        return None
    return changed(bare_baseline(asked, next(iter(strategies), None)), asked.ablation.config)


def changed(base: Setting, changes: Mapping[str, Any], family: str | None = None) -> Setting:
    """A setting with other values of some keys; of another `family` with these alone, and none of the baseline's."""
    own = {key: value for key, value in changes.items() if key not in RUN_KEYS}
    name = family or base.family
    size, strategy = changes.get("size", base.size), changes.get("threshold", base.strategy)
    return Setting(
        family=name,
        config=set_config(name, own if family else {**base.config, **own}),
        size=(size, size) if isinstance(size, int) else (size[0], size[1]),
        epochs=changes.get("epochs", base.epochs),
        strategy=None if strategy is None else parse_strategy(strategy).text,
        trial=0 if family else base.trial,
        trials=0 if family else base.trials,
    )


def values(setting: Setting) -> dict[str, Any]:
    """What every key has, defaults too, in one way of writing: to be compared with `canonical`."""
    run = {"size": list(setting.size), "epochs": setting.epochs, "threshold": setting.strategy}
    return {**full_config(setting.family, setting.config), **run}


def known_values(asked: AskedAblation, strategies: tuple[str, ...]) -> dict[str, Any]:
    """What of the baseline's `values` is known before its search: all but what is searched."""
    given = given_baseline(asked, strategies)
    if given is not None:
        return values(given)
    strategy = strategies[0] if len(strategies) == 1 else None
    bare = bare_baseline(asked, strategy)
    searched = {*parameter_names(family_row(bare.family).suggest), *asked.variant.space} - set(bare.config)
    open_keys = searched if strategy or not strategies else {*searched, "threshold"}
    return {key: value for key, value in values(bare).items() if key not in open_keys}


def canonical(family: str, key: str, value: Any) -> Any:
    """A value in the one way of writing that `values` has: `[2, 3]` and `2+3` are the same layers."""
    if key == "threshold":
        return parse_strategy(value).text
    if key == "size":
        return [value, value] if isinstance(value, int) else list(value)
    return value if key in RUN_KEYS else set_config(family, {key: value})[key]


def rows(ablation: Ablation, family: str, base: Mapping[str, Any]) -> list[Change]:
    """The rows beside the baseline, in the order of the file.

    `base`: the baseline's `values`, or those that are known. A level, a combination or a row that is the baseline's
    own makes no row; one that is the same as an earlier one makes none either.
    """
    if ablation.design == "named":
        wanted = [(row.name, dict(row.set), row.family) for row in ablation.variants]
    else:
        wanted = [(setting_text(one), one, None) for one in _combinations(ablation)]
    compared = {key for _, keys, other in wanted if other in (None, family) for key in keys}
    held = {key: base[key] for key in sorted(compared & base.keys())}
    found: dict[str, Change] = {}
    for name, keys, other in wanted:
        if other not in (None, family):
            change = Change(name, keys, keys, other)
        else:
            differing = _differing(family, keys, base)
            change = Change(name, differing, {**held, **keys})
        if change.changes or change.family:
            told = {key: canonical(other or family, key, value) for key, value in change.changes.items()}
            found.setdefault(digest([change.family, told]), change)
    return list(found.values())


def _combinations(ablation: Ablation) -> Iterable[dict[str, Any]]:
    factors = ablation.factors
    if ablation.design == "one_factor":
        return ({factor: level} for factor, levels in factors.items() for level in levels)
    return (dict(zip(factors, levels, strict=True)) for levels in itertools.product(*factors.values()))


def _differing(family: str, keys: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if key not in base or canonical(family, key, value) != base[key]}


def tuned_variant(asked: AskedAblation, change: Change) -> Variant:
    """What is searched for one row that is tuned again: the ablation's keys are fixed, all others as in the baseline's
    own search. Of a given configuration, keys that no search varies stay as given."""
    ablation, variant = asked.ablation, asked.variant
    keys = {key: value for key, value in change.held.items() if key not in RUN_KEYS}
    told = {**(ablation.config or {}), **change.held}
    size = {"size": tuple(canonical("", "size", told["size"]))} if "size" in told else {}
    run = {**size, **({"epochs": told["epochs"]} if "epochs" in told else {})}
    if change.family is not None:
        start = variant.model_copy(update={"family": change.family, "space": {}})
        fixed = keys
    else:
        start = variant
        searched = {*parameter_names(family_row(variant.family).suggest), *variant.space}
        given = {key: value for key, value in (ablation.config or {}).items() if key not in {*RUN_KEYS, *searched}}
        fixed = {**variant.fixed, **given, **keys}
    fixed = set_config(start.family, fixed)
    space = {key: value for key, value in start.space.items() if key not in fixed}
    name = digest([start.family, fixed, space, run, change.held.get("threshold"), ablation.tune])[:8]
    return start.model_copy(update={"name": f"{variant.name}~{name}", "fixed": fixed, "space": space, **run})
