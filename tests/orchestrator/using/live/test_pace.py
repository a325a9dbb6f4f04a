"""Skipping evenly: simulated streams, faster and slower than windows can be scored."""

from math import inf

import numpy as np

from orchestrator.using.live.pace import Pace


def streamed(rate: list[tuple[float, float]], seconds: float, lag: float) -> tuple[list[int], list[float]]:
    """Windows that come at rates, each for a time, and take so many seconds each: those scored, and their delays."""
    pace, now, came, waiting = Pace(lag), 0.0, 0, list[tuple[int, float]]()
    arrivals, start = list[float](), 0.0
    for per_second, length in rate:
        arrivals += list(np.arange(start, start + length, 1 / per_second))
        start += length
    scored, delays = list[int](), list[float]()
    while came < len(arrivals) or waiting:
        while came < len(arrivals) and arrivals[came] <= now:
            pace.came(1, arrivals[came])
            if pace.takes(came):
                waiting.append((came, arrivals[came]))
            came += 1
        if not waiting and came == len(arrivals):
            break
        if not waiting:
            now = arrivals[came]
            continue
        part, waiting = waiting[:16], waiting[16:]
        now += seconds * len(part)
        pace.scored(len(part), seconds * len(part))
        scored += [number for number, _ in part]
        delays += [now - arrived for _, arrived in part]
        while pace.adapt(len(waiting)):
            waiting = [one for one in waiting if pace.takes(one[0])]
    return scored, delays


def test_what_comes_slowly_is_all_scored() -> None:
    scored, delays = streamed([(50, 60)], 0.01, 1.0)
    assert scored == list(range(3000))
    assert max(delays) < 0.2


def test_what_comes_too_fast_is_skipped_evenly_and_stays_within_the_lag() -> None:
    scored, delays = streamed([(1000, 60)], 0.01, 1.0)
    steps = np.diff(scored)
    assert set(steps[len(steps) // 4 :]) == {16}, "of 1000 a second 100 can be scored: one in sixteen"
    assert max(delays) < 1.5


def test_what_becomes_slower_is_all_scored_again() -> None:
    scored, _ = streamed([(1000, 30), (50, 60)], 0.01, 1.0)
    assert scored[-1000:] == list(range(33_000 - 1000, 33_000))


def test_without_a_limit_nothing_is_skipped() -> None:
    scored, _ = streamed([(1000, 10)], 0.01, inf)
    assert scored == list(range(10_000))
