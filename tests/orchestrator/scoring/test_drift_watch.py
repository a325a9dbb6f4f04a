"""Pictures one after the other against validation's: how often a difference is said that is none, over all looks."""

from math import pi

import numpy as np
import pytest

from orchestrator.artifacts.reference import Reference
from orchestrator.scoring.drift import FALSE_ALARMS
from orchestrator.scoring.drift_watch import EVERY, WINDOW, DriftWatch, level_of


def reference(random: np.random.Generator, count: int = 300) -> Reference:
    values = {"score": tuple(sorted(random.normal(size=count)))}
    return Reference(pictures=count, sources=count, of="normal", values=values)


def test_all_looks_together_have_the_level_of_one() -> None:
    assert sum(map(level_of, range(1, 100_000))) == pytest.approx(FALSE_ALARMS, rel=1e-4)
    assert level_of(1) == FALSE_ALARMS * 6 / pi**2


def test_of_pictures_that_stay_alike_it_is_said_as_seldom_as_promised() -> None:
    random, rounds, told = np.random.default_rng(0), 300, 0
    for _ in range(rounds):
        one = DriftWatch(reference(random))
        told += any(one.add({"score": random.normal(size=EVERY)}) for _ in range(30))
    # Three standard errors above the promised rate.
    assert told / rounds < FALSE_ALARMS + 3 * (FALSE_ALARMS / rounds) ** 0.5


def test_it_is_said_once_as_it_begins_and_once_as_it_ends() -> None:
    random = np.random.default_rng(1)
    one = DriftWatch(reference(random))
    said = [
        one.add({"score": random.normal(shift, 1, EVERY // 4)})
        for shift, pieces in ((0, 40), (1.0, 40), (0, 60))
        for _ in range(pieces)
    ]
    told = [(number, text) for number, text in enumerate(said) if text]
    assert len(told) == 2
    assert "Beware: the 500 new pictures differ from the 300 normal validation pictures in score" in told[0][1]
    assert 40 <= told[0][0] < 40 + 4 * WINDOW // EVERY
    assert told[1][1] == "The last 500 files are like validation's again."
    assert 80 <= told[1][0] < 80 + 4 * (WINDOW // EVERY + 1)
    assert not one.differs


def test_looks_of_earlier_starts_count() -> None:
    random = np.random.default_rng(2)
    before = reference(random)
    values = {"score": random.normal(0.7, 1, EVERY)}
    assert DriftWatch(before).add(values)
    assert not DriftWatch(before, seen=1_000_000).add(values)
