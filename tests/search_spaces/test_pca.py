import optuna

from search_spaces.overrides import SearchTrial, parameter_names
from search_spaces.pca import suggest

NAMES = ("components", "crop", "blur")


def test_draws_lie_in_their_ranges() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    configs = [suggest(SearchTrial(study.ask())) for _ in range(200)]
    assert {tuple(config) for config in configs} == {NAMES}
    assert all(isinstance(config["components"], int) and 1 <= config["components"] <= 128 for config in configs)
    assert all(0.5 <= config["crop"] <= 1 for config in configs)
    assert all(0 <= config["blur"] <= 3 for config in configs)
    few = sum(config["components"] < 128**0.5 for config in configs) / len(configs)
    assert 0.35 < few < 0.65, "the scale is logarithmic"


def test_its_names_are_found() -> None:
    assert parameter_names(suggest) == NAMES
