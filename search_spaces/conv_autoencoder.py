"""What a search varies in a convolutional autoencoder."""

from typing import Any

from search_spaces.overrides import SearchTrial


def suggest(trial: SearchTrial) -> dict[str, Any]:
    """One configuration, without the keys that stay at their defaults."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "adamw"]),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        "bottleneck": trial.suggest_float("bottleneck", 1 / 16, 1.0, log=True),
        "augmentation": trial.suggest_categorical("augmentation", [0.0, 1.0, 3.0, 10.0]),
    }
