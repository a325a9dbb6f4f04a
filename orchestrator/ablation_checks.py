"""What is checked of an ablation before any work starts, beyond the form of its file."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from orchestrator.ablation_settings import RUN_KEYS, Ablation
from orchestrator.checks import CHANNELS, check_configs, check_value, check_variants, fix_first, incomparable_keys
from orchestrator.data.layouts import DEPTH_LAYOUTS
from orchestrator.experiment import Experiment, Size, checked_size
from orchestrator.families import family_row
from orchestrator.goal import VALIDATION_LOSS, Goal
from orchestrator.input_messages import unknown_key
from orchestrator.scoring.thresholds import parse_strategy
from orchestrator.search.ablation import (
    Change,
    baseline_variant,
    canonical,
    changed,
    given_baseline,
    known_values,
    rows,
    tuned_variant,
)
from orchestrator.search.cells import Setting
from search_spaces.overrides import example_configs
from trainables.errors import InputError
from trainables.interface import Problem


def check_ablation(experiment: Experiment, goal: Goal, classes: tuple[str, ...], device: str) -> list[str]:
    """Remarks to say aloud; InputError where the baseline or one of its changes can't be used."""
    if experiment.ablation is None:
        raise InputError(
            "The experiment has no `ablation:`, which says what is changed of which configuration. Add it, for "
            "instance: ablation: {factors: {dropout: [0, 0.3]}}. `orchestrate schema` lists its keys."
        )
    variant = baseline_variant(experiment)
    for place, family, key, value in _settings(experiment.ablation, variant.family):
        _check_setting(goal, place, family, key, value)
    for factor, levels in experiment.ablation.factors.items():
        texts = [json.dumps(canonical(variant.family, factor, level)) for level in levels]
        if len(set(texts)) < len(texts):
            raise InputError(f"ablation.factors.{factor}: two of the levels {levels} mean the same; keep one of them.")
    changes = rows(experiment.ablation, variant.family, known_values(experiment, goal.strategies))
    if not changes:
        raise InputError("ablation: every variant is the same as the baseline. Change a level, or the baseline.")
    remarks: list[str] = []
    if experiment.ablation.config is None:
        remarks += check_variants(experiment.model_copy(update={"families": (variant,)}), goal, classes, device)
    elif goal.strategies and "threshold" not in experiment.ablation.config and len(goal.strategies) > 1:
        remarks.append(
            f"ablation: its baseline is given without a threshold strategy, so it has the first, {goal.strategies[0]}."
        )
    said = {remark.partition(": ")[2] for remark in remarks}
    found = _check_rows(experiment, goal, classes, device, changes)
    return remarks + [f"{name}: {remark}" for remark, name in found.items() if remark not in said]


def with_all_sizes(experiment: Experiment, goal: Goal) -> Experiment:
    """The experiment with a variant for each size of pictures that the ablation's rows see, the baseline's first."""
    assert experiment.ablation is not None
    base, variant = _start(experiment, goal), baseline_variant(experiment)
    changes = rows(experiment.ablation, base.family, known_values(experiment, goal.strategies))
    every = [base, *(changed(base, change.changes, change.family) for change in changes)]
    sizes = dict.fromkeys(setting.size for setting in every)
    return experiment.model_copy(update={"families": tuple(variant.model_copy(update={"size": one}) for one in sizes)})


def _start(experiment: Experiment, goal: Goal) -> Setting:
    """The baseline as far as it is known before its search."""
    variant = baseline_variant(experiment)
    return given_baseline(experiment, goal.strategies) or Setting(
        variant.family, variant.fixed, experiment.size_of(variant), experiment.epochs_of(variant), None
    )


def _settings(ablation: Ablation, family: str) -> Iterator[tuple[str, str, str, Any]]:
    """Every value that the file sets: where it stands, of which family, its key and itself."""
    for key, value in (ablation.config or {}).items():
        yield "ablation.config", family, key, value
    for key, levels in ablation.factors.items():
        for level in levels:
            yield "ablation.factors", family, key, level
    for row in ablation.variants:
        for key, value in row.set.items():
            yield f"ablation.variants.{row.name}.set", row.family or family, key, value


def _check_setting(goal: Goal, place: str, family: str, key: str, value: Any) -> None:
    row = family_row(family)
    if key == "threshold" and goal.task != "detection":
        raise InputError(f"{place}.threshold: {family} classifies, and draws no threshold. Leave it out.")
    if key == "threshold":
        _check_strategy(goal, f"{place}.{key}", value)
    elif key == "size":
        try:
            TypeAdapter(Size).validate_python(value, strict=not isinstance(value, list))
            checked_size(value)
        except ValueError:
            raise InputError(
                f"{place}.size: {value!r} is no size; it must be N or [height, width], each 8 to 2048 pixels."
            ) from None
    elif key == "epochs":
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"{place}.epochs: must be a whole number from 1 on (got {value!r}).")
    else:
        known = sorted(row.family.config.model_fields)
        if key not in known:
            usable = RUN_KEYS if goal.task == "detection" else RUN_KEYS[1:]
            raise InputError(unknown_key(key, [*known, *usable], place))
        check_value(row.family, key, value, f"{place}.{key}")


def _check_strategy(goal: Goal, place: str, value: Any) -> None:
    if not isinstance(value, str):
        raise InputError(f"{place}: must be a threshold strategy, such as percentile(95) (got {value!r}).")
    try:
        strategy = parse_strategy(value)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    if strategy.needs_anomalies and not goal.anomalies:
        raise InputError(
            f"{place}: {strategy.text} needs known anomalies, and validation holds normal pictures only. Use "
            "percentile(q), mean_std(k) or max_normal, or move a share of the test anomalies to validation "
            "(data.split.anomalies_to_validation: 0.3)."
        )


def _check_rows(
    experiment: Experiment, goal: Goal, classes: tuple[str, ...], device: str, changes: list[Change]
) -> dict[str, str]:
    """Remarks, each with the first row it is on; InputError where one can't be built, or has nothing left to tune."""
    assert experiment.ablation is not None
    start, variant = _start(experiment, goal), baseline_variant(experiment)
    depth = experiment.data.layout in DEPTH_LAYOUTS
    incomparable: dict[str, dict[str, Any]] = {}
    remarks: dict[str, str] = {}
    everything = [Change(experiment.ablation.baseline_label or variant.name, {}, {}), *changes]
    for change in everything:
        place = f"ablation, {change.name}"
        try:
            setting = changed(start, change.changes, change.family)
            family = family_row(setting.family)
            if family.task != goal.task:
                raise InputError(f"{family.name} is for {family.task}, and this experiment for {goal.task}.")
            space = {key: value for key, value in variant.space.items() if key not in setting.config}
            given = experiment.ablation.config is not None or change.family is not None
            configs = [setting.config] if given else example_configs(family.suggest, setting.config, space)
            if experiment.ablation.tune and change.changes:
                tuned = tuned_variant(experiment, change)
                searched = example_configs(family.suggest, tuned.fixed, tuned.space)
                if len({json.dumps(config, sort_keys=True) for config in searched}) == 1:
                    raise InputError("`tune` has nothing left to search: every key is fixed. Leave `tune` out.")
                if goal.metric == VALIDATION_LOSS and (keys := incomparable_keys(family.family, searched)):
                    incomparable[variant.name] = keys
                configs = configs + searched
        except ValueError as error:  # an InputError, or what a key does not take beside the others
            raise InputError(f"{place}: {error}") from None
        problem = Problem(classes, (*setting.size, CHANNELS), setting.epochs, device, depth=depth)
        for remark in check_configs(family.family, configs, problem, place):
            remarks.setdefault(remark, change.name)
    if incomparable:
        raise InputError(fix_first(incomparable, goal))
    return remarks
