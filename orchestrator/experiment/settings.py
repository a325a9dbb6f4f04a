"""Configurations with nothing left to choose, and the one way of writing them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.families import family_row
from trainables.files import json_sha256


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All that a cell is trained with, but the data and the seed."""

    family: str
    config: dict[str, Any]
    """The keys that are set, as the family understands them; all others are at its defaults."""
    size: tuple[int, int]
    epochs: int
    strategy: str | None = None
    """Detection: the threshold strategy; fitted anew to each cell's validation scores."""
    trial: int = 0
    """The number of the trial that found the configuration; 0 for a given one."""
    trials: int = 0
    """Of the search that chose it; 0: it was given."""


def digest(value: Any) -> str:
    """16 hex digits of the SHA-256 of plain JSON values, the same for any order of keys."""
    return json_sha256(value)[:16]


def full_config(family: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The whole configuration as plain JSON values, with the family's defaults."""
    return family_row(family).config(**config).model_dump(mode="json")


def set_config(family: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that are given, as the family understands them here: a relative path means another file elsewhere."""
    return family_row(family).config(**config).model_dump(mode="json", include=set(config))
