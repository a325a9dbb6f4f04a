"""What a model takes against what it may take."""

import pytest

from trainables.speed import NO_LIMITS, Limits, Speed, one_after_another


def speed(latency: float, memory: int = 10**6) -> Speed:
    return Speed(latency_ms=latency, memory=memory, device="a processor", threads=1)


BOTH = Limits(latency_ms=20, memory_mb=2)


def test_the_excess_is_a_share_of_each_limit() -> None:
    assert BOTH.excess(speed(30.0)) == {"latency_ms": pytest.approx(0.5), "memory_mb": pytest.approx(-0.5)}
    assert BOTH.distance(speed(30.0, 3 * 10**6)) == pytest.approx(1.0)
    assert BOTH.kept_by(speed(20.0, 2 * 10**6)), "at most means at most"
    assert not BOTH.kept_by(speed(20.1))


def test_what_is_broken_is_told() -> None:
    assert BOTH.told == "latency at most 20 ms and memory at most 2 MB"
    assert BOTH.broken_by(speed(30.0)) == "latency 30 ms, 50 % beyond the 20 ms allowed"
    both = BOTH.broken_by(speed(20.1, 4 * 10**6))
    assert both == (
        "latency 20.1 ms, less than 1 % beyond the 20 ms allowed and memory 4 MB, 2.0 times the 2 MB allowed"
    )
    assert BOTH.broken_by(speed(1.0)) == ""


def test_what_was_not_measured_keeps_no_limit_and_breaks_none_where_there_is_none() -> None:
    assert (BOTH.kept_by(None), BOTH.broken_by(None)) == (False, "its speed is not known")
    assert set(BOTH.excess(None).values()) == {1.0}
    assert (NO_LIMITS.given, NO_LIMITS.kept_by(None), NO_LIMITS.excess(speed(1e9))) == (False, True, {})


def test_models_that_answer_together_take_their_time_one_after_another() -> None:
    first = speed(3.0).model_copy(update={"pictures_per_second": 200.0, "best_batch": 8, "memory": 5})
    second = speed(1.0).model_copy(update={"pictures_per_second": 50.0, "best_batch": 4, "memory": 7})
    both = one_after_another([first, second])
    assert (both.latency_ms, both.memory, both.best_batch) == (4.0, 12, 4)
    assert both.pictures_per_second == pytest.approx(40.0)
    unknown = second.model_copy(update={"pictures_per_second": None})
    assert one_after_another([first, unknown]).pictures_per_second is None
