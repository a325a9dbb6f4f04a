import optuna

from search_spaces.overrides import SearchTrial, parameter_names
from search_spaces.pca_logistic import suggest

NAMES = ("thumbnail", "components", "C")


def test_draws_lie_in_their_ranges() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    configs = [suggest(SearchTrial(study.ask())) for _ in range(200)]
    assert {tuple(config) for config in configs} == {NAMES}
    assert {config["thumbnail"] for config in configs} == {16, 24, 32, 48}
    assert all(isinstance(config["components"], int) and 4 <= config["components"] <= 256 for config in configs)
    assert all(1e-4 <= config["C"] <= 1e2 for config in configs)


def test_its_names_are_found() -> None:
    assert parameter_names(suggest) == NAMES
