"""What a search varies in the autoencoder of frozen features."""

from typing import Any

from search_spaces.overrides import SearchTrial


def suggest(trial: SearchTrial) -> dict[str, Any]:
    """One configuration, without the keys that stay at their defaults."""
    return {
        "latent_dim": trial.suggest_int("latent_dim", 32, 256, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-3, log=True),
    }
