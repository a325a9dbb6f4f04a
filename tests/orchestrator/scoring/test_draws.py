"""Draws of pictures: whole sources, as many of each class as there are, and none that a metric has no value on."""

import numpy as np
import pytest

from orchestrator.scoring import draws
from orchestrator.scoring.draws import Sources, picture_counts, picture_weights

GROUPS = np.array([0, 0, 1, 2, 2, 2, 3])
SOURCES = Sources.of(GROUPS, np.zeros(7, dtype=np.int64))


def test_patches_of_one_picture_stay_together() -> None:
    (weights,) = picture_weights(SOURCES, draws=50, seed=1)
    (counts,) = picture_counts(SOURCES, draws=50, seed=1)
    assert weights.shape == (50, 7)
    first = counts[:, [0, 2, 3, 6]]
    assert (first.sum(axis=1) == 3).all(), "of four sources three are drawn"
    np.testing.assert_array_equal(counts, first[:, GROUPS])
    np.testing.assert_allclose(weights, counts * 4 / 3)


def test_sources_are_drawn_within_their_class() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 2, 2])
    groups = np.array([0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 5])
    sources = Sources.of(groups, labels)
    assert sources.strata.tolist() == [0, 0, 1, 1, 2, 2], "of a mixed source, the class of most of its pictures"
    assert sources.clustered
    (weights,) = picture_weights(sources, draws=500, seed=2)
    of_sources = weights[:, sources.firsts]
    for stratum in range(3):
        np.testing.assert_allclose(of_sources[:, sources.strata == stratum].sum(axis=1), 2)
    np.testing.assert_allclose(of_sources.mean(axis=0), 1, atol=0.15)


def test_labels_need_not_be_numbered_without_gaps() -> None:
    sources = Sources.of(np.arange(4), np.array([3, 3, 7, 7]))
    assert sources.strata.tolist() == [0, 0, 1, 1]
    assert not sources.clustered


def test_a_class_with_one_source_is_in_every_draw() -> None:
    sources = Sources.of(np.arange(5), np.array([0, 0, 0, 0, 1]))
    (weights,) = picture_weights(sources, draws=100)
    assert sources.alone == 1
    assert (weights[:, 4] == 1).all()
    assert (weights[:, :4] == 0).any()


def test_a_draw_that_misses_what_is_needed_is_drawn_again() -> None:
    needed = GROUPS == 3
    (free,) = picture_weights(SOURCES, draws=300)
    bound = np.concatenate(list(picture_weights(SOURCES, draws=100, needed=[needed])))
    assert (free[:, 6] == 0).any()
    assert bound.shape == (100, 7)
    np.testing.assert_array_equal(bound, free[free[:, 6] > 0][:100])


def test_what_hardly_any_draw_holds_is_given_up() -> None:
    """Each source alone holds what is needed, and one fewer than all are drawn: no draw could have everything."""
    needed = [source == GROUPS for source in range(4)]
    found = np.concatenate(list(picture_weights(SOURCES, draws=20, needed=needed)))
    assert found.shape == (20, 7)


def test_what_can_never_be_drawn_may_not_be_asked_for() -> None:
    with pytest.raises(AssertionError, match="in no draw"):
        next(picture_weights(SOURCES, needed=[GROUPS == 9]))


def test_kept_draws_are_those_that_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = np.arange(30) // 3
    sources = Sources.of(groups, groups % 2)
    needed = (groups == 0, groups > 2)
    kept = np.concatenate(list(picture_weights(sources, 50, 3, needed, width=1 << 19)))
    monkeypatch.setattr(draws, "_KEPT_CELLS", 0)
    drawn = np.concatenate(list(picture_weights(sources, 50, 3, needed)))
    assert kept.shape == (50, 30)
    assert np.array_equal(kept, drawn)
    again = list(picture_weights(sources, 50, 3, needed))
    again[0][:] = 7
    assert np.array_equal(np.concatenate(list(picture_weights(sources, 50, 3, needed))), drawn)
