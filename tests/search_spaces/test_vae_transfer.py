import optuna

from search_spaces.overrides import SearchTrial, draw_config, parameter_names
from search_spaces.vae_transfer import suggest

NAMES = ("learning_rate", "dropout", "weight_decay", "optimizer")


def test_draws_lie_in_their_ranges() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(200):
        config = suggest(SearchTrial(study.ask()))
        assert tuple(config) == NAMES
        assert 1e-5 <= config["learning_rate"] <= 1e-2
        assert 1e-6 <= config["weight_decay"] <= 1e-2
        assert 0 <= config["dropout"] <= 0.6
        assert config["optimizer"] in ("adam", "adamw")


def test_stage_one_is_varied_only_where_the_experiment_says_so() -> None:
    assert parameter_names(suggest) == NAMES
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = {"vae_latent_dim": [64, 128], "train_encoder": [True, False]}
    configs = [draw_config(suggest, study.ask(), {}, space) for _ in range(30)]
    assert {config["vae_latent_dim"] for config in configs} == {64, 128}
    assert {config["train_encoder"] for config in configs} == {True, False}
