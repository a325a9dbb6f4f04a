"""What a search varies in a classifier on a VAE's encoder."""

from typing import Any

from search_spaces.overrides import SearchTrial


def suggest(trial: SearchTrial) -> dict[str, Any]:
    """One configuration, without the keys that stay at their defaults.

    Stage 1 is not varied, so that all trials share it; an experiment may list keys that begin with vae_ under `space`.
    """
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "adamw"]),
    }
