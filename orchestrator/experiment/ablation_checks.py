"""What is checked of an ablation before any work starts, beyond the form of its file."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from orchestrator.data.picture_size import Size, checked_size
from orchestrator.experiment.ablation_rows import (
    AskedAblation,
    Change,
    bare_baseline,
    canonical,
    changed,
    given_baseline,
    known_values,
    rows,
    tuned_variant,
)
from orchestrator.experiment.ablation_settings import RUN_KEYS, Ablation
from orchestrator.experiment.checks import (
    Frame,
    check_configs,
    check_value,
    check_variants,
    fix_first,
    incomparable_keys,
)
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.goal import VALIDATION_LOSS, Goal
from orchestrator.experiment.messages import unknown_key
from orchestrator.experiment.settings import Setting
from orchestrator.families import family_row
from orchestrator.scoring.thresholds import parse_strategy
from search_spaces.overrides import example_configs
from trainables.errors import InputError


def check_ablation(asked: AskedAblation, frame: Frame) -> list[str]:
    """Remarks to say aloud; InputError where the baseline or one of its changes can't be used."""
    ablation, variant, goal = asked.ablation, asked.variant, frame.goal
    for place, family, key, value in _settings(ablation, variant.family):
        _check_setting(goal, place, family, key, value)
    for factor, levels in ablation.factors.items():
        texts = [json.dumps(canonical(variant.family, factor, level)) for level in levels]
        if len(set(texts)) < len(texts):
            raise InputError(f"ablation.factors.{factor}: two of the levels {levels} mean the same; keep one of them.")
    changes = rows(ablation, variant.family, known_values(asked, goal.strategies))
    if not changes:
        raise InputError("ablation: every variant is the same as the baseline. Change a level, or the baseline.")
    remarks: list[str] = []
    if ablation.config is None:
        remarks += check_variants(asked.experiment, [variant], frame)
    elif goal.strategies and "threshold" not in ablation.config and len(goal.strategies) > 1:
        remarks.append(
            f"ablation: its baseline is given without a threshold strategy, so it has the first, {goal.strategies[0]}."
        )
    said = {remark.partition(": ")[2] for remark in remarks}
    found = _check_rows(asked, frame, changes)
    return remarks + [f"{name}: {remark}" for remark, name in found.items() if remark not in said]


def with_all_sizes(asked: AskedAblation, goal: Goal) -> Experiment:
    """The experiment with a variant for each size of pictures that the ablation's rows see, the baseline's first."""
    sizes = dict.fromkeys(setting.size for setting in every_setting(asked, goal))
    return asked.experiment.model_copy(
        update={"families": tuple(asked.variant.model_copy(update={"size": one}) for one in sizes)}
    )


def every_setting(asked: AskedAblation, goal: Goal) -> list[Setting]:
    """The baseline's, as far as it is known before its search, and those of all rows."""
    base = _start(asked, goal)
    changes = rows(asked.ablation, base.family, known_values(asked, goal.strategies))
    return [base, *(changed(base, change.changes, change.family) for change in changes)]


def _start(asked: AskedAblation, goal: Goal) -> Setting:
    """The baseline as far as it is known before its search."""
    return given_baseline(asked, goal.strategies) or bare_baseline(asked, None)


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
        known = sorted(row.config.model_fields)
        if key not in known:
            usable = RUN_KEYS if goal.task == "detection" else RUN_KEYS[1:]
            raise InputError(unknown_key(key, [*known, *usable], place))
        check_value(row.config, key, value, f"{place}.{key}")


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


def _check_rows(asked: AskedAblation, frame: Frame, changes: list[Change]) -> dict[str, str]:
    """Remarks, each with the first row it is on; InputError where one can't be built, or has nothing left to tune."""
    start, incomparable, remarks = _start(asked, frame.goal), dict[str, dict[str, Any]](), dict[str, str]()
    for change in [Change(asked.name, {}, {}), *changes]:
        place = f"ablation, {change.name}"
        try:
            setting = changed(start, change.changes, change.family)
            family = family_row(setting.family)
            if family.task != frame.goal.task:
                raise InputError(f"{family.name} is for {family.task}, and this experiment for {frame.goal.task}.")
            configs = _configs(asked, change, setting)
            if asked.ablation.tune and change.changes:
                searched = _searched(asked, change)
                if frame.goal.metric == VALIDATION_LOSS and (keys := incomparable_keys(family.family, searched)):
                    incomparable[asked.variant.name] = keys
                configs = configs + searched
        except ValueError as error:  # an InputError, or what a key does not take beside the others
            raise InputError(f"{place}: {error}") from None
        problem = frame.problem(setting.family, setting.size, setting.epochs)
        for remark in check_configs(family.family, configs, problem, place):
            remarks.setdefault(remark, change.name)
    if incomparable:
        raise InputError(fix_first(incomparable, frame.goal))
    return remarks


def _configs(asked: AskedAblation, change: Change, setting: Setting) -> list[dict[str, Any]]:
    """What a row may be trained with: the one given configuration, or all that the baseline's search can find."""
    if asked.ablation.config is not None or change.family is not None:
        return [setting.config]
    space = {key: value for key, value in asked.variant.space.items() if key not in setting.config}
    return example_configs(family_row(setting.family).suggest, setting.config, space)


def _searched(asked: AskedAblation, change: Change) -> list[dict[str, Any]]:
    """What a row's own search may draw; InputError where that is one configuration alone."""
    tuned = tuned_variant(asked, change)
    searched = example_configs(family_row(tuned.family).suggest, tuned.fixed, tuned.space)
    if len({json.dumps(config, sort_keys=True) for config in searched}) == 1:
        raise InputError("`tune` has nothing left to search: every key is fixed. Leave `tune` out.")
    return searched
