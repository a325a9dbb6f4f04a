"""What a search varies in a plot classifier."""

from typing import Any

from search_spaces.overrides import SearchTrial


def suggest(trial: SearchTrial) -> dict[str, Any]:
    """One configuration, without the keys that stay at their defaults.

    Where the head alone is trained there is no augmentation, unless the experiment's `space` asks for it: the features
    of a frozen backbone are then computed once for all trials, where each changed picture would need its own.
    """
    searched = {
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "adamw"]),
    }
    if trial.fixed("train_layers", "all") == "head" and not trial.varies("augmentation"):
        return searched
    return {**searched, "augmentation": trial.suggest_float("augmentation", 0.0, 1.0)}
