"""New pictures against validation's: what differs is told, what is alike only as seldom as was promised."""

import numpy as np
import pytest

from orchestrator.artifacts.reference import MOST_KEPT, STATISTICS
from orchestrator.scoring.drift import FALSE_ALARMS, LEAST, drift_of, picture_statistics, reference_of


def columns(random: np.random.Generator, count: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    return {"score": random.normal(shift, 1, count), **{name: random.random(count) for name in STATISTICS}}


def as_reference(values: dict[str, np.ndarray], groups: tuple[str, ...] = ()):  # type: ignore[no-untyped-def]
    statistics = np.stack([values[name] for name in STATISTICS], axis=1).astype(np.float32)
    return reference_of(values["score"], statistics, groups, normal_only=True)


@pytest.mark.parametrize(("before", "now"), [(LEAST, LEAST), (60, 300), (1500, 400)])
def test_false_alarms_are_as_seldom_as_is_said(before: int, now: int) -> None:
    random, rounds = np.random.default_rng(3), 600
    told = sum(
        bool(drift_of(as_reference(columns(random, before)), columns(random, now)).differing) for _ in range(rounds)
    )
    # Three standard errors above the promised rate.
    assert told / rounds < FALSE_ALARMS + 3 * (FALSE_ALARMS / rounds) ** 0.5


def test_what_differs_is_named_with_both_medians() -> None:
    random = np.random.default_rng(0)
    drift = drift_of(as_reference(columns(random, 200)), columns(random, 200, shift=2.0))
    assert [one.name for one in drift.differing] == ["score"]
    assert "differ from the 200 normal validation pictures in score (median" in drift.text()
    assert drift.as_dict()["differs"] == ["score"]
    assert drift_of(as_reference(columns(random, 200)), columns(random, 200)).text() == ""


def test_of_too_few_nothing_is_said() -> None:
    random = np.random.default_rng(0)
    assert drift_of(as_reference(columns(random, 200)), columns(random, LEAST - 1, shift=9)).shifts == ()
    patches = tuple(str(row // 50) for row in range(200))  # of four source pictures
    assert drift_of(as_reference(columns(random, 200), patches), columns(random, 200, shift=9)).shifts == ()


def test_a_long_reference_keeps_its_distribution() -> None:
    random = np.random.default_rng(0)
    values = columns(random, 20_000)
    kept = as_reference(values)
    assert kept.pictures == 20_000
    assert len(kept.values["score"]) == MOST_KEPT
    quantiles = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(
        np.quantile(kept.values["score"], quantiles), np.quantile(values["score"], quantiles), atol=0.02
    )


def test_statistics_of_pictures_by_hand() -> None:
    white = np.full((4, 6, 3), 255, np.uint8)
    halves = white.copy()
    halves[:, :3] = 0
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 255
    found = dict(zip(("white", "halves", "red"), picture_statistics(np.stack([white, halves, red])), strict=True))
    np.testing.assert_allclose(found["white"], [1, 0, 0, 0], atol=1e-6)
    # One of five steps across is from black to white, in each row.
    np.testing.assert_allclose(found["halves"], [0.5, 0.5, 0, 1 / 5], atol=1e-6)
    np.testing.assert_allclose(found["red"], [0.299, 0, 1, 0], atol=1e-6)
