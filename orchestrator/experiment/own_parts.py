"""Where an experiment's file names the user's own code: a family, a metric, a plot style, a backbone."""

from pathlib import Path
from typing import Any

from trainables.files import is_file


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
