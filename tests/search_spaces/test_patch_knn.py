import optuna

from search_spaces.overrides import SearchTrial, draw_config, parameter_names
from search_spaces.patch_knn import suggest


def test_draws_lie_in_their_ranges() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    met = set()
    for _ in range(100):
        config = suggest(SearchTrial(study.ask()))
        assert tuple(config) == ("layers", "coreset_share", "smoothing") == parameter_names(suggest)
        assert 0.005 <= config["coreset_share"] <= 0.25
        assert 0 <= config["smoothing"] <= 8
        met.add(config["layers"])
    assert met == {"2", "3", "2+3", "1+2+3"}


def test_an_experiment_fixes_layers_as_a_list() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert draw_config(suggest, study.ask(), {"layers": [2, 3]}, {})["layers"] == [2, 3]
    drawn = draw_config(suggest, study.ask(), {}, {"layers": ["1+2", "4"]})["layers"]
    assert drawn in ("1+2", "4")
