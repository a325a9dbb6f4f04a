"""Optuna's TPE, drawn so that a resume draws what the undisturbed search would have."""

import hashlib
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial


class SeededTPE(BaseSampler):
    """TPE (Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011) without a state of its own: each draw is
    seeded by the study's seed, the trial's number and, where parameters are drawn one by one, the parameter's name.

    So a draw does not hang on the draws before it: a search that died between two parameters of one trial goes on with
    the second as if it had drawn the first.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._spaces = _tpe(None)
        """Only for the search space that the trials have in common, of which it remembers what it has seen."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that are drawn together: those that all ended trials have."""
        return self._spaces.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Their values, by name; none while there are too few trials to learn from."""
        return _tpe(self._seed_of(trial)).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of one parameter."""
        drawn = _tpe(self._seed_of(trial, param_name))
        return drawn.sample_independent(study, trial, param_name, param_distribution)

    def _seed_of(self, trial: FrozenTrial, *names: str) -> int:
        text = ":".join([str(self._seed), str(trial.number), *names])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _tpe(seed: int | None) -> TPESampler:
    return TPESampler(seed=seed, constant_liar=True)
