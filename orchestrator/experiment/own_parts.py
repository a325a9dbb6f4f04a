"""Where an experiment's file may name the user's own code: families, metrics, a plot style."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def beside(values: dict[str, Any], folder: Path) -> None:
    """Have the files that an experiment's values name found in a folder, its file's, where they lie there."""
    for section, key in _places(values):
        name = section[key]
        place, _, attribute = name.rpartition(":")
        if place.endswith(".py") and (folder / place).is_file():
            section[key] = f"{(folder / place).resolve()}:{attribute}"


def _places(values: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Where a name of one's own code may stand: (mapping or list, key), as far as the values are well formed."""
    for section, keys in (("data", ["style"]), ("objective", ["metric", "test_metric"])):
        found = values.get(section)
        yield from ((found, key) for key in keys if isinstance(found, dict) and isinstance(found.get(key), str))
    ablation = values.get("ablation")
    lists = [values.get("families"), ablation.get("variants") if isinstance(ablation, dict) else None]
    for entries in lists:
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, str):
                yield entries, number
            elif isinstance(entry, dict) and isinstance(entry.get("family"), str):
                yield entry, "family"
