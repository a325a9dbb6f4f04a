"""What a search varies in the reconstruction from principal components."""

from typing import Any

from search_spaces.overrides import SearchTrial


def suggest(trial: SearchTrial) -> dict[str, Any]:
    """One configuration, without the keys that stay at their defaults."""
    return {
        "components": trial.suggest_int("components", 1, 128, log=True),
        "crop": trial.suggest_float("crop", 0.5, 1.0),
        "blur": trial.suggest_float("blur", 0.0, 3.0),
    }
