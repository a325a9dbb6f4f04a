"""How many epochs trainings have before it is known when they stop."""

import random

import numpy as np
import pytest

from orchestrator.planning.epochs import asha_mean, epochs_alone, epochs_of_trials, promoted


def test_patience_bounds_a_training_from_below() -> None:
    assert tuple(vars(epochs_alone(30, 10)).values()) == (11, 20.5, 30)
    assert tuple(vars(epochs_alone(30, None)).values()) == (30, 30, 30)
    assert tuple(vars(epochs_alone(5, 10)).values()) == (5, 5, 5)


def test_promotions_are_those_of_rays_rule() -> None:
    """Ray's ASHA compares a value with the quantile of those recorded before it."""
    generator = random.Random(0)
    for count in (1, 2, 5, 20):
        gone_on = 0
        rounds = 3_000
        for _ in range(rounds):
            recorded: list[float] = []
            for _ in range(count):
                value = generator.random()
                gone_on += not recorded or value >= np.percentile(recorded, 100 * (1 - 1 / 3))
                recorded.append(value)
        assert gone_on / rounds == pytest.approx(promoted(count), rel=0.04)


def test_asha_spends_whole_rungs_on_all_and_the_rest_on_few() -> None:
    # Rungs of 8 epochs: 2 and 6. Of one trial nothing is cut; of very many, a third goes on from each.
    assert asha_mean(1, 8, 8) == 8
    many = 100_000
    assert asha_mean(many, 8, 8) == pytest.approx(2 + 4 / 3 + 2 / 9, rel=1e-3)
    assert asha_mean(many, 8, 2) == 2


def test_a_scheduler_lowers_what_is_likely_and_not_what_is_possible() -> None:
    without, with_asha = (epochs_of_trials(30, 10, name, 20) for name in ("none", "asha"))
    assert without == epochs_alone(30, 10)
    assert with_asha.high == 30
    assert with_asha.low <= with_asha.likely < without.likely
    assert epochs_of_trials(1, 10, "asha", 20).likely == 1
