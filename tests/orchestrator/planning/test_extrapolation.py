"""From short trainings to whole ones, where the truth is known."""

import pytest

from orchestrator.planning.extrapolation import Probed, Training, fitted, percentile


def probed(
    pictures: int, validated: int = 8, *, scoring: float = 0.002, once: float = 0.0, cold: bool = False
) -> Probed:
    """By a law: 0.5 s to build, 0.3 s and 0.01 s a picture once, then 0.05 s an epoch and 0.004 s a picture."""
    validated = 8
    later = 0.05 + 0.004 * pictures + 0.002 * validated
    first = later + 0.3 + 0.01 * (pictures + validated)
    return Probed(pictures, validated, 0.5, (first, later), scoring, once, cold)


def test_two_sizes_give_back_the_law_that_made_them() -> None:
    found = fitted([probed(32), probed(96)])
    truth = 0.5 + 0.3 + 0.01 * 1200 + 20 * (0.05 + 0.004 * 1000 + 0.002 * 200)
    assert found.seconds(1000, 200, 20) == pytest.approx(truth)
    assert not found.at_once


def test_one_size_takes_all_for_a_cost_a_picture_where_nothing_was_warming_up() -> None:
    warm, cold = fitted([probed(32)]), fitted([probed(32, cold=True)])
    assert warm.first == pytest.approx(0)
    assert cold.first == pytest.approx(0.7)
    assert warm.seconds(1000, 200, 1) > cold.seconds(1000, 200, 1)
    assert cold.epoch == warm.epoch == pytest.approx(0)
    features = fitted([probed(32, scoring=0.5, cold=True)])
    assert features.first_picture == pytest.approx(0.7 / 40), "scoring tells that unseen pictures are dear"


def test_scoring_of_what_is_at_hand_costs_no_more_than_the_mean_picture() -> None:
    """Frozen features: the first scoring of a picture is dear, those of each epoch are not."""
    found = fitted([probed(32, scoring=0.5), probed(96, scoring=0.5)])
    assert found.scoring == 0.5
    assert found.validating < 0.005
    assert found.picture > 0


def test_what_later_trainings_find_again_is_counted_once() -> None:
    found = fitted([probed(32), probed(96, once=2.6)])
    assert found.once(1000, 40) == pytest.approx(2.6 / 104 * 1040)


@pytest.mark.parametrize(("power", "expected"), [(0.5, 0.5), (1.0, 1.0), (2.0, 2.0), (4.0, 2.5), (-1.0, 0.0)])
def test_a_fit_at_once_grows_by_a_bounded_power(power: float, expected: float) -> None:
    probes = [Probed(count, 8, 0.1, (5.0 * (count / 64) ** power + 8 * 0.001,), 0.001) for count in (32, 64)]
    found = fitted(probes)
    assert found.at_once
    assert found.power == pytest.approx(expected)
    assert found.seconds(256, 100, 30) == pytest.approx(0.1 + 5.0 * 4**expected + 0.1)
    assert found.with_power(0.0).seconds(256, 100, 1) == pytest.approx(0.1 + 5.0 + 0.1)


def test_a_fit_too_short_to_tell_a_power_is_taken_to_be_linear() -> None:
    found = fitted([Probed(count, 8, 0.0, (time,), 0.0) for count, time in ((32, 0.001), (64, 0.016))])
    assert found.power == 1


def test_percentiles_lie_between_neighbours() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2
    assert percentile([1.0, 2.0], 0.9) == pytest.approx(1.9)
    assert percentile([7.0], 0.1) == 7


def test_a_training_says_whether_it_has_epochs() -> None:
    assert Training(0, 0, 0, 0, 0, 0, 0, probed=(10, 1.0)).at_once
