"""What a search varies in a VAE."""

from typing import Any

from search_spaces.overrides import SearchTrial


def suggest(trial: SearchTrial) -> dict[str, Any]:
    """One configuration, without the keys that stay at their defaults.

    The architecture stays small_conv, unless the experiment fixes another or lists several under `space`: then dropout
    is varied where it is `linear`.
    """
    architecture = trial.suggest_categorical("architecture", ["small_conv"])
    config = {
        "architecture": architecture,
        "latent_dim": trial.suggest_int("latent_dim", 8, 256, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 3e-3, log=True),
        "kl_weight": trial.suggest_float("kl_weight", 1e-2, 1e1, log=True),
        "score": trial.suggest_categorical("score", ["reconstruction", "reconstruction_kl"]),
    }
    if architecture == "linear":
        config["dropout"] = trial.suggest_float("dropout", 0.0, 0.5)
    return config
