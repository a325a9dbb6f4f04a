"""From what pydantic found to sentences that say what is wrong, what is allowed and what to do."""

import types
import typing
from difflib import get_close_matches
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from trainables.errors import InputError


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """A line for each fault, with the key's full path and, for unknown keys, the nearest known one."""
    lines = []
    for fault in error.errors(include_url=False):
        where = tuple(part for part in fault["loc"] if not _is_branch(part))
        key = ".".join(str(part) for part in where) or "the file"
        if fault["type"] == "extra_forbidden":
            lines.append(unknown_key(str(where[-1]), known_keys(model, where[:-1]), ".".join(map(str, where[:-1]))))
        elif fault["type"] == "missing":
            lines.append(f"{key} is missing: it must be given.")
        else:
            message = fault["msg"].removeprefix("Value error, ").removesuffix(".")
            unsaid = isinstance(fault["input"], dict) or fault["type"] == "secret"
            value = "" if unsaid else f" (got {fault['input']!r})"
            lines.append(f"{key}: {message}{value}.")
    lines = list(dict.fromkeys(lines))
    return f"{source} can't be used:\n" + "\n".join(f"  - {line}" for line in lines)


def unknown_key(key: str, known: list[str], parent: str = "", noun: tuple[str, str] = ("key", "keys")) -> str:
    """What to say of a key that isn't known, or of something else that goes by the (one, many) of `noun`."""
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    place = f" in {parent}" if parent else ""
    one, many = noun
    return f"Unknown {one} {key!r}{place}.{hint} Known {many}: {', '.join(known)}."


def known_keys(model: type[BaseModel], where: tuple[int | str, ...]) -> list[str]:
    """The keys that the section at a place takes."""
    for part in where:
        if isinstance(part, str) and part in model.model_fields:
            found = _section(model.model_fields[part].annotation)
            if found is not None:
                model = found
    return list(model.model_fields)


def set_key(values: dict[str, Any], override: str) -> None:
    """Apply one `KEY=VALUE` to a file's values; the value is read as YAML, list entries by number or by `name`."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set takes KEY=VALUE, such as budget.trials=5; got {override!r}.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {key}: the value {text!r} is no YAML: {error}") from None
    *parents, last = key.strip().split(".")
    place: Any = values
    for depth, part in enumerate(parents):
        if isinstance(place, dict):
            if not isinstance(place.get(part), dict | list):
                place[part] = {}
            place = place[part]
        else:
            index = _entry(place, part, ".".join(parents[:depth]))
            if isinstance(place[index], str):  # a family's bare name, as the short form allows
                place[index] = {"family": place[index], "name": place[index]}
            place = place[index]
    if isinstance(place, list):
        place[_entry(place, last, ".".join(parents))] = value
    else:
        place[last] = value


def _entry(entries: list[Any], part: str, parent: str) -> int:
    names = [
        str(entry.get("name") or entry.get("family")) if isinstance(entry, dict) else str(entry) for entry in entries
    ]
    if part.isdigit() and int(part) < len(entries):
        return int(part)
    if part in names:
        return names.index(part)
    raise InputError(f"--set: {parent} has no entry {part!r}. It has: {', '.join(names)} (or 0 to {len(names) - 1}).")


def _is_branch(part: int | str) -> bool:
    """True for the names that pydantic adds for the branches of a union, which are no keys of the file."""
    return isinstance(part, str) and (part in ("int", "float", "str") or part.startswith(("tuple[", "function-")))


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (tuple, list, typing.Union, types.UnionType):
        for inner in typing.get_args(annotation):
            found = _section(inner)
            if found is not None:
                return found
    return None
