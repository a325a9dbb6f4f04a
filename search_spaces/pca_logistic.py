"""What a search varies in the logistic regression on principal components."""

from typing import Any

from search_spaces.overrides import SearchTrial


def suggest(trial: SearchTrial) -> dict[str, Any]:
    """One configuration, without the keys that stay at their defaults."""
    return {
        "thumbnail": trial.suggest_categorical("thumbnail", [16, 24, 32, 48]),
        "components": trial.suggest_int("components", 4, 256, log=True),
        "C": trial.suggest_float("C", 1e-4, 1e2, log=True),
    }
