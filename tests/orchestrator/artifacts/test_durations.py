"""What is left of a run, by what has ended of each variant."""

import pytest

from orchestrator.artifacts.durations import Durations, TimeLeft

CHEAP, DEAR = ("pca", True), ("patch_knn", True)


def known(**changes: list[float]) -> Durations:
    ended = {("pca", False): [11.0], CHEAP: [10.0, 12.0], ("patch_knn", False): [100.0], **changes}
    return Durations(ended)


def test_each_variant_by_its_own_cells_else_by_its_trials_else_by_all() -> None:
    durations = known()
    assert durations.expected(CHEAP) == 11
    assert durations.expected(DEAR) == 100
    assert durations.expected(("new", True)) == pytest.approx((11 + 10 + 12 + 100) / 4)
    assert Durations().expected(CHEAP) is None


def test_cells_take_longer_than_trials_by_as_much_as_those_of_others() -> None:
    slow = known()
    slow.ended["pca", False] = [5.5]
    assert slow.expected(DEAR) == pytest.approx(200)
    slow.ended["pca", False] = [22.0]
    assert slow.expected(DEAR) == 100, "scoring is never for nothing"


@pytest.mark.parametrize(("at_once", "seconds"), [(1, 100 + 100 + 70), (2, 135), (8, 100)])
def test_what_runs_counts_by_what_it_has_still_to_have(at_once: int, seconds: float) -> None:
    assert known().left([DEAR, DEAR], [(DEAR, 30.0)], at_once) == TimeLeft(seconds)


def test_what_takes_longer_than_expected_says_so_of_all_of_its_kind() -> None:
    assert known().left([DEAR, DEAR, CHEAP], [(DEAR, 250.0)], 1) == TimeLeft(511, at_least=True)


def test_where_nothing_has_ended_nothing_is_told() -> None:
    assert Durations().left([CHEAP], [], 1) is None
    assert known().left([], [], 1) is None
