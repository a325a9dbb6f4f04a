import optuna

from search_spaces.conv_autoencoder import suggest
from search_spaces.overrides import SearchTrial, parameter_names

NAMES = ("learning_rate", "optimizer", "weight_decay", "bottleneck", "augmentation")


def test_draws_lie_in_their_ranges() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    configs = [suggest(SearchTrial(study.ask())) for _ in range(200)]
    assert {tuple(config) for config in configs} == {NAMES}
    assert {config["augmentation"] for config in configs} == {0.0, 1.0, 3.0, 10.0}
    assert {config["optimizer"] for config in configs} == {"adam", "adamw"}
    assert all(1e-5 <= config["learning_rate"] <= 1e-2 for config in configs)
    assert all(1e-6 <= config["weight_decay"] <= 1e-2 for config in configs)
    assert all(1 / 16 <= config["bottleneck"] <= 1 for config in configs)


def test_its_names_are_found() -> None:
    assert parameter_names(suggest) == NAMES
