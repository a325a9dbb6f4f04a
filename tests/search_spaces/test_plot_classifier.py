import optuna

from search_spaces.overrides import SearchTrial, draw_config, parameter_names
from search_spaces.plot_classifier import suggest

NAMES = ("learning_rate", "dropout", "weight_decay", "optimizer", "augmentation")


def test_draws_lie_in_their_ranges() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    rates = []
    for _ in range(200):
        config = suggest(SearchTrial(study.ask()))
        assert tuple(config) == NAMES
        rates.append(config["learning_rate"])
        assert 1e-5 <= config["learning_rate"] <= 1e-2
        assert 1e-6 <= config["weight_decay"] <= 1e-2
        assert 0 <= config["dropout"] <= 0.6
        assert 0 <= config["augmentation"] <= 1
        assert config["optimizer"] in ("adam", "adamw")
    assert 0.4 < sum(rate < 10**-3.5 for rate in rates) / len(rates) < 0.6, "the scale is logarithmic"


def test_its_names_are_found() -> None:
    assert parameter_names(suggest) == NAMES


def test_a_head_alone_is_searched_without_augmentation_unless_that_is_asked_for() -> None:
    head = {"train_layers": "head"}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert tuple(suggest(SearchTrial(study.ask(), head))) == NAMES[:-1]
    assert tuple(suggest(SearchTrial(study.ask(), {"train_layers": "all"}))) == NAMES
    asked = draw_config(suggest, optuna.create_study().ask(), head, {"augmentation": [0.5]})
    assert asked["augmentation"] == 0.5
