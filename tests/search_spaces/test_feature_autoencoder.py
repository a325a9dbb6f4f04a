import optuna

from search_spaces.feature_autoencoder import suggest
from search_spaces.overrides import SearchTrial, parameter_names


def test_draws_lie_in_their_ranges() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    widths = []
    for _ in range(100):
        config = suggest(SearchTrial(study.ask()))
        assert tuple(config) == ("latent_dim", "learning_rate") == parameter_names(suggest)
        assert 32 <= config["latent_dim"] <= 256
        assert 1e-5 <= config["learning_rate"] <= 1e-3
        widths.append(config["latent_dim"])
    assert 0.35 < sum(width < 90 for width in widths) / len(widths) < 0.65, "the scale is logarithmic"
