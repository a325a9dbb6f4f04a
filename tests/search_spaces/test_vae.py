import optuna
import pytest

from search_spaces.overrides import draw_config, example_configs, parameter_names
from search_spaces.vae import suggest

NAMES = ("architecture", "latent_dim", "learning_rate", "kl_weight", "score")


def draws(fixed: dict[str, object], space: dict[str, object]) -> list[dict[str, object]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [draw_config(suggest, study.ask(), fixed, space) for _ in range(200)]


def test_draws_lie_in_their_ranges() -> None:
    configs = draws({}, {})
    assert {tuple(config) for config in configs} == {NAMES}
    assert {config["architecture"] for config in configs} == {"small_conv"}
    assert {config["score"] for config in configs} == {"reconstruction", "reconstruction_kl"}
    for name, low, high in (("latent_dim", 8, 256), ("learning_rate", 1e-5, 3e-3), ("kl_weight", 1e-2, 1e1)):
        values = [float(config[name]) for config in configs]  # type: ignore[arg-type]
        assert low <= min(values) < max(values) <= high
        assert 0.35 < sum(value < (low * high) ** 0.5 for value in values) / len(values) < 0.65, "logarithmic"


def test_dropout_is_drawn_where_there_is_some() -> None:
    assert all("dropout" in config for config in draws({"architecture": "linear"}, {}))
    assert not any("dropout" in config for config in draws({"architecture": "big_conv"}, {}))
    several = draws({}, {"architecture": ["linear", "big_conv"]})
    assert {(config["architecture"], "dropout" in config) for config in several} == {
        ("linear", True),
        ("big_conv", False),
    }


@pytest.mark.parametrize("override", [{"low": 0.1, "high": 0.2}, [0.1, 0.2]])
def test_an_experiment_may_give_dropout_its_own_range(override: object) -> None:
    for config in draws({"architecture": "linear"}, {"dropout": override}):
        assert 0.1 <= float(config["dropout"]) <= 0.2  # type: ignore[arg-type]


def test_its_names_are_found() -> None:
    assert parameter_names(suggest) == NAMES
    assert len({config["architecture"] for config in example_configs(suggest, {}, {})}) == 1
