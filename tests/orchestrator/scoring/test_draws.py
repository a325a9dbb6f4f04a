"""Draws of pictures: whole groups, as many as there are, and none that a metric has no value on."""

import numpy as np
import pytest

from orchestrator.scoring import draws
from orchestrator.scoring.draws import picture_weights

GROUPS = np.array([0, 0, 1, 2, 2, 2, 3])


def test_patches_of_one_picture_stay_together() -> None:
    (weights,) = picture_weights(GROUPS, draws=50, seed=1)
    assert weights.shape == (50, 7)
    first = weights[:, [0, 2, 3, 6]]
    assert (first.sum(axis=1) == 4).all()
    np.testing.assert_array_equal(weights, first[:, GROUPS])


def test_a_draw_that_misses_what_is_needed_is_drawn_again() -> None:
    needed = GROUPS == 3
    (free,) = picture_weights(GROUPS, draws=300)
    bound = np.concatenate(list(picture_weights(GROUPS, draws=100, needed=[needed])))
    assert (free[:, 6] == 0).any()
    assert bound.shape == (100, 7)
    np.testing.assert_array_equal(bound, free[free[:, 6] > 0][:100])


def test_what_can_never_be_drawn_may_not_be_asked_for() -> None:
    with pytest.raises(AssertionError, match="in no draw"):
        next(picture_weights(GROUPS, needed=[GROUPS == 9]))


def test_kept_draws_are_those_that_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = np.arange(30) // 3
    needed = (groups == 0, groups > 2)
    kept = np.concatenate(list(picture_weights(groups, 50, 3, needed, width=1 << 19)))
    monkeypatch.setattr(draws, "_KEPT_CELLS", 0)
    drawn = np.concatenate(list(picture_weights(groups, 50, 3, needed)))
    assert kept.shape == (50, 30)
    assert np.array_equal(kept, drawn)
    again = list(picture_weights(groups, 50, 3, needed))
    again[0][:] = 7
    assert np.array_equal(np.concatenate(list(picture_weights(groups, 50, 3, needed))), drawn)
