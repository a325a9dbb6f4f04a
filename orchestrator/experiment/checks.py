"""What is checked of an experiment before any work starts, beyond the form of its file."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json

from orchestrator.data.layouts.listing import PARTS, Listing
from orchestrator.data.split.make_split import UndrawnFiles, make_split
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.goal import VALIDATION_LOSS, Goal
from orchestrator.experiment.messages import said, shown, unknown_key
from orchestrator.experiment.sections import Variant
from orchestrator.families import family_row
from search_spaces.overrides import example_configs
from trainables.errors import InputError
from trainables.interface import Family, FamilyConfig, Problem

CHANNELS = 3
DETECTION_CLASSES = ("normal", "anomaly")


@dataclass(frozen=True)
class Frame:
    """What every configuration of a run is checked for."""

    goal: Goal
    classes: tuple[str, ...]
    """That labels index."""
    device_of: Callable[[str], str]
    """By family."""
    depth: bool
    """Whether the data have depth."""

    def problem(self, family: str, size: tuple[int, int], epochs: int) -> Problem:
        """What a model is built for."""
        return Problem(self.classes, (*size, CHANNELS), epochs, self.device_of(family), depth=self.depth)


def frame_of(goal: Goal, listing: Listing, device_of: Callable[[str], str]) -> Frame:
    """The frame of a run; InputError where a class has too few files for the parts."""
    return Frame(goal, classes_of(listing, goal), device_of, listing.layout.depth)


def check_division(experiment: Experiment, goal: Goal, listing: Listing) -> list[str]:
    """Remarks to say aloud; InputError where the files can't be divided as asked, whatever they hold: seen before any
    is drawn."""
    split = make_split(UndrawnFiles.of(listing.files), experiment.data.split, goal.normal)
    if goal.task != "detection":
        return []
    return goal.few_normals(sum(listing.files[row].class_name == goal.normal for row in split.validation.tolist()))


def check_variants(experiment: Experiment, variants: Iterable[Variant], frame: Frame) -> list[str]:
    """Remarks to say aloud; InputError where a variant's keys or values can't be used."""
    remarks = []
    incomparable: dict[str, dict[str, Any]] = {}
    # All keys, values and named files first: what builds and trains them imports torch, which costs seconds.
    first = experiment.objective.default_first
    checked = [(one, [*checked_configs(one), *([one.fixed] if first else [])]) for one in variants]
    for variant, configs in checked:
        check_named_files(family_row(variant.family).config, configs, f"families.{variant.name}")
    for variant, configs in checked:
        family = family_row(variant.family).family
        problem = frame.problem(variant.family, experiment.size_of(variant), experiment.epochs_of(variant))
        if frame.goal.metric == VALIDATION_LOSS and (keys := incomparable_keys(family, configs)):
            incomparable[variant.name] = keys
        found = check_configs(family, configs, problem, f"families.{variant.name}")
        remarks += [f"{variant.name}: {remark}" for remark in found]
    if incomparable:
        raise InputError(fix_first(incomparable, frame.goal))
    return list(dict.fromkeys(remarks))


def check_configs(family: Family, configs: list[dict[str, Any]], problem: Problem, place: str) -> list[str]:
    """Remarks to say aloud; InputError, beginning with `place`, where one can't be built for the problem."""
    remarks: list[str] = []
    for config in configs:
        try:
            remarks += family.check(family.config(**config), problem)
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
    return remarks


def check_named_files(config: type[FamilyConfig], configs: list[dict[str, Any]], place: str) -> None:
    """InputError, beginning with `place`, where one names a file that is not there; without importing torch."""
    for each in configs:
        try:
            config(**each).check_files()
        except InputError as error:
            raise InputError(f"{place}: {error}") from None


def incomparable_keys(family: Family, configs: list[dict[str, Any]]) -> dict[str, Any]:
    """The keys, with their defaults, that the search varies and that change what the validation loss means."""
    return {
        key: family.config.model_fields[key].default
        for key in family.loss_keys
        if len({repr(config.get(key)) for config in configs}) > 1
    }


def fix_first(incomparable: dict[str, dict[str, Any]], goal: Goal) -> str:
    """What to say where a search by validation loss would choose keys that change what this loss means."""
    why = "" if goal.anomalies else " Trials are judged by it because validation holds normal pictures only."
    lines = [
        f"  - {name}: fixed: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}"
        for name, keys in incomparable.items()
    ]
    return (
        f"A search by {VALIDATION_LOSS} can't choose what changes the meaning of this loss.{why} Fix these keys, for "
        f"instance at their defaults:\n{chr(10).join(lines)}\n"
        "Or search by a detection metric, with known anomalies in validation: data.split.anomalies_to_validation: 0.3 "
        "moves some there (every table then says so)."
    )


def classes_of(listing: Listing, goal: Goal) -> tuple[str, ...]:
    """The classes that labels index; InputError where one has too few files for the parts, seen before any is drawn."""
    if goal.task == "detection":
        return DETECTION_CLASSES
    counts = Counter(file.class_name for file in listing.files)
    name, count = min(counts.items(), key=lambda item: item[1])
    if count < len(PARTS):
        raise InputError(
            f"Class {name!r} has {count} files, and each of {', '.join(PARTS)} needs at least one: {len(PARTS)} are "
            "needed. Add files to its folder, or move the folder out of the data."
        )
    return tuple(sorted(counts, key=os.fsencode))


def checked_configs(variant: Variant) -> list[dict[str, Any]]:
    """Configurations that hold every choice and both ends of every range that a search of the variant can draw.

    InputError where `fixed` or `space` names an unknown key, or gives a value that its key does not take.
    """
    row = family_row(variant.family)
    known = sorted(row.config.model_fields)
    for section, values in (("fixed", variant.fixed), ("space", variant.space)):
        for key, value in values.items():
            place = f"families.{variant.name}.{section}"
            if key not in known:
                raise InputError(unknown_key(key, known, place))
            for each in _values(value, f"{place}.{key}") if section == "space" else [value]:
                check_value(row.config, key, each, f"{place}.{key}")
    both = sorted(set(variant.fixed) & set(variant.space))
    if both:
        raise InputError(f"families.{variant.name}: {', '.join(both)} stands in both `fixed` and `space`; keep one.")
    try:
        return example_configs(row.suggest, variant.fixed, variant.space)
    except ValueError as error:
        raise InputError(f"families.{variant.name}.{error}") from None


def _values(space: Any, place: str) -> list[Any]:
    """The values that a range or a list of choices must be valid for."""
    if isinstance(space, list) and space:
        return space
    if isinstance(space, dict) and {"low", "high"} <= set(space) <= {"low", "high", "log", "step"}:
        low, high = space["low"], space["high"]
        if not all(isinstance(side, int | float) and not isinstance(side, bool) for side in (low, high)) or low > high:
            raise InputError(f"{place}: low and high are {low!r} and {high!r}; they must be numbers with low <= high.")
        if space.get("log") and low <= 0:
            raise InputError(f"{place}: low is {low!r}; with log: true it must be above 0.")
        return [low, high]
    raise InputError(f"{place} is {space!r}; it must be {{low, high, log, step}} or a list of choices.")


def check_value(config: type[FamilyConfig], key: str, value: Any, place: str) -> None:
    """InputError, beginning with `place`, where a key of a family's configuration does not take a value."""
    try:
        config(**{key: value})
        faults = []
    except ValidationError as error:
        faults = error.errors(include_url=False)
    for fault in _coerced(config, key, value) or faults:
        if fault["loc"][:1] == (key,):
            raise InputError(f"{place}: {said(fault)} (got {shown(value)}).")


def _coerced(config: type[FamilyConfig], key: str, value: Any) -> list[ErrorDetails]:
    """What a configuration would take for another kind: `true` for 1, '3' for 3. Whoever wrote so meant no number."""
    try:
        config.model_validate_json(to_json({key: value}, inf_nan_mode="constants"), strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        kinds = ("int_type", "float_type", "bool_type")
        return [one for one in faults if one["type"] in kinds and isinstance(one["input"], bool | str | int)]
    except ValueError:  # from Python, what no file could hold
        pass
    return []
