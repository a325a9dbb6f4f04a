"""Where an experiment's file names the user's own code: a family, a metric, a plot style, a backbone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.families import FAMILIES, family_row
from search_spaces.overrides import example_configs
from trainables.errors import InputError
from trainables.files import is_file
from trainables.own_code import absolute_callable, code_named_in, short


def beside(values: Any, folder: Path) -> Any:
    """An experiment's values, in which `path/to/file.py:NAME` is found in a folder, its file's, where it lies there."""
    if isinstance(values, dict):
        return {key: beside(value, folder) for key, value in values.items()}
    if isinstance(values, list):
        return [beside(value, folder) for value in values]
    if not isinstance(values, str):
        return values
    place, _, attribute = values.rpartition(":")
    found = place.endswith(".py") and attribute.isidentifier() and is_file(folder / place)
    return f"{(folder / place).resolve()}:{attribute}" if found else values


def refuse_other_code(
    place: str,
    variant: str,
    ours: tuple[str, Mapping[str, Any], Mapping[str, Any]],
    theirs: tuple[str, Mapping[str, Any]],
) -> None:
    """InputError where what a run's folder says of a `variant` would run code that the experiment does not name.

    `ours`: the experiment's family, fixed, space; `theirs`: the folder's family and configuration, at `place`. Whoever
    can write into a run's folder can write a record: code is only taken from the experiment. Of a family of one's own
    the code is run that the experiment names, to know what its search space draws.
    """
    family, fixed, space = ours
    other = {theirs[0]} - {family}
    found = code_named_in(theirs[1])
    if found and not other:
        allowed = _known(fixed) | _known(space)
        if not found <= allowed and family not in FAMILIES:
            allowed |= _known(example_configs(family_row(family).suggest, fixed, space))
        other = found - allowed
    if other:
        names = ", ".join(sorted(ascii(short(name))[:120] for name in other))
        raise InputError(
            f"{place} names for the variant {variant!r} what the experiment does not: {names}. Code is run only where "
            "the experiment's own `family`, `fixed` or `space` names it. Put records.jsonl back from a copy (such as "
            "the mirror), or remove the line: what it recorded is then done again."
        )


def _known(values: Any) -> set[str]:
    """The code that plain values name, as they write it and as a configuration keeps it."""
    names = code_named_in(values)
    known = set(names)
    for name in names:
        path = Path(name).expanduser()  # a file of weights may have a colon in its name
        known.add(str(path.resolve()) if path.is_file() else absolute_callable(name, elsewhere=True))
    return known
