"""Optuna's samplers, drawn so that a resume draws what the undisturbed search would have."""

from collections.abc import Callable
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from trainables.files import text_sha256

Make = Callable[[int | None], BaseSampler]
"""seed -> a sampler."""


def tpe(seed: int | None) -> BaseSampler:
    """TPE (Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011)."""
    return TPESampler(seed=seed, constant_liar=True)


def random(seed: int | None) -> BaseSampler:
    """Each parameter by itself, evenly over its range or its logarithm."""
    return RandomSampler(seed=seed)


class Seeded(BaseSampler):
    """A sampler without a state of its own: each draw is seeded by the study's seed, the trial's number and, where
    parameters are drawn one by one, the parameter's name.

    So a draw does not hang on the draws before it: a search that died between two parameters of one trial goes on with
    the second as if it had drawn the first.
    """

    def __init__(self, make: Make, seed: int) -> None:
        self._make = make
        self._seed = seed
        self._spaces = make(None)
        """Only for the search space that the trials have in common, of which it remembers what it has seen."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that are drawn together: those that all ended trials have."""
        return self._spaces.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Their values, by name; none while there are too few trials to learn from."""
        return self._make(self._seed_of(trial)).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of one parameter."""
        drawn = self._make(self._seed_of(trial, param_name))
        return drawn.sample_independent(study, trial, param_name, param_distribution)

    def _seed_of(self, trial: FrozenTrial, *names: str) -> int:
        text = ":".join([str(self._seed), str(trial.number), *names])
        return int(text_sha256(text)[:8], 16)
