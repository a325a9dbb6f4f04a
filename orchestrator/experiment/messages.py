"""From what pydantic found to sentences that say what is wrong, what is allowed and what to do."""

from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.experiment.key_types import sections_at

MOST_LINES = 20
LONGEST_VALUE = 200
BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "below"),
}
"""A bound that a number breaks: its name in what pydantic tells, and in words."""
PLAIN = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "path_type": "must be a path",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must hold keys with values",
    "model_type": "must hold keys with values",
}
"""In the words of a file what pydantic says in those of Python."""


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """A line for each fault, with the key's full path and, for unknown keys, the nearest known one."""
    lines = []
    for fault in _first_hand(error.errors(include_url=False)):
        where = fault["loc"]
        key = ".".join(str(part) for part in where) or "the file"
        if fault["type"] == "extra_forbidden":
            lines.append(unknown_key(str(where[-1]), known_keys(model, where[:-1]), ".".join(map(str, where[:-1]))))
        elif fault["type"] == "missing":
            lines.append(f"{key} is missing: it must be given.")
        else:
            unsaid = isinstance(fault["input"], dict) or fault["type"] == "secret"
            value = "" if unsaid else f" (got {shown(fault['input'])})"
            lines.append(f"{key}: {said(fault)}{value}.")
    lines = list(dict.fromkeys(lines))
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… and {len(lines) - MOST_LINES} more."]
    return f"{source} can't be used:\n" + "\n".join(f"  - {line}" for line in lines)


def said(fault: ErrorDetails) -> str:
    """What is wrong, without the key and the value."""
    if fault["type"] in BOUNDS:
        key, words = BOUNDS[fault["type"]]
        bound = fault["ctx"][key]
        return f"must be {words} {int(bound) if bound == int(bound) else bound}"
    plain = PLAIN.get(fault["type"])
    if plain and isinstance(fault["input"], str) and fault["type"] in ("int_type", "float_type"):
        return f"{plain}, and this is text"
    return plain or fault["msg"].removeprefix("Value error, ").removesuffix(".")


def _first_hand(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """Those faults, their places without a union's branches, that are none of another one's consequences."""
    found: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    places = [tuple(part for part in fault["loc"] if not _is_branch(part)) for fault in faults]
    for fault, place in zip(faults, places, strict=True):
        below = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        if below and (fault["type"] == "too_short" or _is_branch(fault["loc"][-1])):
            continue  # entries that are wrong are not counted; a branch that was not meant
        found.setdefault(place, []).append({**fault, "loc": place})
    return [fault for several in found.values() for fault in _one_of(several)]


def _one_of(several: list[ErrorDetails]) -> list[ErrorDetails]:
    """Of the faults of one place, those of the branch that was meant, else one that names all branches."""
    meant = [fault for fault in several if not fault["type"].endswith(("_type", "literal_error"))] or several
    if len(meant) == 1 or meant is not several:
        return meant
    branches = dict.fromkeys(_branch(fault) for fault in several)
    return [{**several[0], "type": "", "msg": f"must be {' or '.join(branches)}"}]


def _branch(fault: ErrorDetails) -> str:
    """What one of a union's branches takes."""
    if fault["type"] == "literal_error":
        return str(fault["ctx"]["expected"]).strip("'")
    return PLAIN.get(fault["type"], fault["msg"]).removeprefix("must be ")


def shown(value: Any) -> str:
    """A value, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} …"


def unknown_key(key: str, known: list[str], parent: str = "", noun: tuple[str, str] = ("key", "keys")) -> str:
    """What to say of a key that isn't known, or of something else that goes by the (one, many) of `noun`."""
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    place = f" in {parent}" if parent else ""
    one, many = noun
    return f"Unknown {one} {key!r}{place}.{hint} Known {many}: {', '.join(known)}."


def known_keys(model: type[BaseModel], where: tuple[int | str, ...]) -> list[str]:
    """The keys that the section at a place takes."""
    return [key for section in sections_at(model, where) for key in section.model_fields]


def _is_branch(part: int | str) -> bool:
    """True for the names that pydantic adds for the branches of a union, which are no keys of the file."""
    names, beginnings = ("int", "float", "str"), ("tuple[", "function-", "literal[", "constrained-")
    return isinstance(part, str) and (part in names or part.startswith(beginnings))
