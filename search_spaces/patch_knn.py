"""What a search varies in the nearest-neighbour search among normal patches."""

from typing import Any

from search_spaces.overrides import SearchTrial


def suggest(trial: SearchTrial) -> dict[str, Any]:
    """One configuration, without the keys that stay at their defaults. An experiment may fix `layers` as a list."""
    return {
        "layers": trial.suggest_categorical("layers", ["2", "3", "2+3", "1+2+3"]),
        "coreset_share": trial.suggest_float("coreset_share", 0.005, 0.25, log=True),
        "smoothing": trial.suggest_float("smoothing", 0.0, 8.0),
    }
