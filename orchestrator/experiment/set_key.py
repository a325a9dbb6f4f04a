"""`--set KEY=VALUE`: one key of an experiment's file, from the command line."""

from typing import Any

from pydantic import BaseModel

from orchestrator.experiment.key_types import Place, takes_list, takes_only_names, takes_only_text, takes_text
from orchestrator.experiment.yaml_text import read_yaml
from trainables.errors import InputError


def set_key(values: dict[str, Any], override: str, model: type[BaseModel]) -> None:
    """Apply one `KEY=VALUE` to a file's values; list entries by number or by `name`.

    The value is read as YAML, a text as it is written. Where a list is meant, `a,b` is one, and so is a name alone.
    """
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise InputError(f"--set takes KEY=VALUE, such as budget.trials=5; got {override!r}.")
    *parents, last = parts
    place: Any = values
    where: Place = ()
    for depth, part in enumerate(parents):
        index: Any = part
        if isinstance(place, dict):
            place[part] = _opened(place.get(part), model, (*where, part))
        else:
            index = _entry(place, part, ".".join(parents[:depth]))
            if isinstance(place[index], str):  # a family's bare name, as the short form allows
                place[index] = {"family": place[index], "name": place[index]}
            if not isinstance(place[index], dict | list):
                raise InputError(f"--set {key}: {'.'.join(parents[: depth + 1])} is {place[index]!r}, and has no keys.")
        place, where = place[index], (*where, index)
    end: Any = _entry(place, last, ".".join(parents)) if isinstance(place, list) else last
    place[end] = _value(key, text, model, (*where, end))


def _opened(value: Any, model: type[BaseModel], where: Place) -> dict[str, Any] | list[Any]:
    """What a value becomes that is to have keys or entries: `families: pca` is a list of one."""
    if takes_only_names(model, where):
        if isinstance(value, str):
            return [part.strip() for part in value.split(",")]
        return [value] if isinstance(value, dict) else value if isinstance(value, list) else []
    return value if isinstance(value, dict | list) else {}


def _value(key: str, text: str, model: type[BaseModel], where: Place) -> Any:
    text = text.strip()
    if takes_text(model, where) and not text.startswith(("'", '"')) and "\x00" not in text:
        nothing = text in ("", "null", "~")
        return None if nothing and not takes_only_text(model, where) else text
    listed = takes_list(model, where) and not text.startswith("[")
    if listed and (takes_only_names(model, where) or "," in text):
        text = f"[{text}]"
    try:
        return read_yaml(text, lambda place: takes_text(model, place), where)
    except ValueError as error:
        raise InputError(f"--set {key}: the value {text[:200]!r} is no YAML: {str(error).rstrip('.')}.") from None


def _entry(entries: list[Any], part: str, parent: str) -> int:
    names = [
        str(entry.get("name") or entry.get("family")) if isinstance(entry, dict) else str(entry) for entry in entries
    ]
    if part.isdecimal() and part.isascii() and len(part) < 10 and int(part) < len(entries):
        return int(part)
    if part in names:
        return names.index(part)
    there = f"It has: {', '.join(names)} (or 0 to {len(names) - 1})." if names else "It is empty."
    raise InputError(f"--set: {parent} has no entry {part!r}. {there}")
