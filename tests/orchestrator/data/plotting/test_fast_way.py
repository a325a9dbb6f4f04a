"""The fast way draws matplotlib's own pixels, or leaves the series to matplotlib."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from orchestrator.data.plotting import fast_way, glyphs
from orchestrator.data.plotting import renderer as renderer_module
from orchestrator.data.plotting.fast_way import FastWay, NotTheSame
from orchestrator.data.plotting.matplotlib_plot import draw_with_matplotlib
from orchestrator.data.plotting.plot_style import STYLES
from orchestrator.data.plotting.renderer import PICTURES_BEFORE_FAST, Renderer

Values = NDArray[np.float64]
Draws = np.random.Generator


def season(draws: Draws, n: int) -> Values:
    return np.sin(np.arange(n) * 2 * np.pi / draws.uniform(8, 60)) + draws.normal(0, 0.1, n)


def late(draws: Draws, n: int) -> NDArray[np.bool_]:
    return np.arange(n) >= int(n * draws.uniform(0.2, 0.8))


def with_anomalies(base: Values, draws: Draws, size: float) -> Values:
    places = draws.choice(len(base), max(1, len(base) // 100), replace=False)
    base[places] += size * draws.choice([-1, 1], len(places))
    return base


def autoregressive_variance(draws: Draws, n: int) -> Values:
    values, deviation = np.zeros(n), 1.0
    for i, shock in enumerate(draws.normal(size=n)):
        deviation = np.sqrt(0.1 + 0.3 * (values[i - 1] ** 2 if i else 0) + 0.6 * deviation**2)
        values[i] = deviation * shock
    return values


CLASSES: dict[str, Callable[[Draws, int], Values]] = {
    "collective_anomaly": lambda draws, n: (
        np.where(np.abs(np.arange(n) - draws.uniform(0.2, 0.8) * n) < n / 15, 3.0, 0.0) + draws.normal(0, 0.5, n)
    ),
    "contextual_anomaly": lambda draws, n: with_anomalies(season(draws, n), draws, 1.2),
    "deterministic_trend": lambda draws, n: np.arange(n) * draws.normal(0, 0.1) + draws.normal(size=n),
    "mean_shift": lambda draws, n: late(draws, n) * draws.normal(0, 5) + draws.normal(size=n),
    "point_anomaly": lambda draws, n: with_anomalies(draws.normal(size=n), draws, 12.0),
    "stochastic_trend": lambda draws, n: draws.normal(size=n).cumsum(),
    "trend_shift": lambda draws, n: (late(draws, n) * draws.normal() + 0.1).cumsum() + draws.normal(size=n),
    "variance_shift": lambda draws, n: np.where(late(draws, n), draws.uniform(2, 6), 1.0) * draws.normal(size=n),
    "volatility": autoregressive_variance,
}

EDGE_CASES: dict[str, Values] = {
    "integers": np.random.default_rng(1).integers(-3, 3, 5000).astype(np.float64),
    "steps": np.repeat(np.random.default_rng(2).normal(size=40), 50),
    "float32": np.random.default_rng(3).normal(size=300).astype(np.float32).astype(np.float64),
    "two points": np.array([2.0, -1.0]),
    "a ramp": np.arange(1000.0),
    "zigzag": np.tile([0.0, 1.0], 1000),
    "one spike": np.where(np.arange(3000) == 1500, 1.0, 0.0),
    "hundred thousand": np.random.default_rng(4).normal(size=100_000).cumsum(),
    "wide labels": np.random.default_rng(5).normal(size=200) * 1e-4 * 1.7,
    "127 points": np.random.default_rng(6).normal(size=127),
    "128 points": np.random.default_rng(6).normal(size=128),
}

LEFT_TO_MATPLOTLIB: dict[str, Values] = {
    "constant": np.full(50, 2.5),
    "zero": np.zeros(50),
    "offset": np.random.default_rng(7).normal(size=50) + 1e9,
    "scale 1e12": np.random.default_rng(8).normal(size=50) * 1e12,
    "scale 1e-7": np.random.default_rng(9).normal(size=50) * 1e-7,
    "gap": np.array([1.0, np.nan, 2.0, 3.0]),
    "infinite": np.array([1.0, np.inf, 2.0, 3.0]),
    "one point": np.array([1.0]),
    "nothing": np.array([]),
    "too long": np.random.default_rng(10).normal(size=100_001),
}


@pytest.fixture(scope="module", params=sorted(STYLES))
def way(request: pytest.FixtureRequest) -> tuple[str, FastWay]:
    return request.param, FastWay(STYLES[request.param], (224, 224))


def assert_same(style: str, way: FastWay, values: Values) -> bool:
    """Whether the fast way drew the series; what it drew is matplotlib's."""
    drawn = way.full(values)
    if drawn is not None:
        np.testing.assert_array_equal(drawn, draw_with_matplotlib(STYLES[style], values))
    return drawn is not None


def scaled(values: Values, draws: Draws) -> Values:
    return values * 10 ** draws.uniform(-3, 4) + draws.normal(0, 10) * (draws.random() < 0.5)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_drawn_as_matplotlib_draws_them(way: tuple[str, FastWay], name: str) -> None:
    draws = np.random.default_rng(len(name))
    drawn = [assert_same(*way, CLASSES[name](draws, n)) for n in (37, 500)]
    assert all(drawn)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", CLASSES)
def test_a_thousand_series_of_each_class(way: tuple[str, FastWay], name: str) -> None:
    draws = np.random.default_rng([len(name), ord(name[0]), len(way[0])])
    drawn = 0
    for _ in range(1000):
        length = int(np.exp(draws.uniform(np.log(37), np.log(5001))))
        drawn += assert_same(*way, scaled(CLASSES[name](draws, length), draws))
    assert drawn > 900


@pytest.mark.slow
def test_real_series(way: tuple[str, FastWay]) -> None:
    folder = Path(__file__).parents[4].parent / "shared" / "data" / "series"
    if not folder.is_dir():
        pytest.skip(f"the real series are not here: {folder}")
    series = importlib.import_module("orchestrator.data.files.series")
    paths = sorted(folder.glob("*/*.csv"))[::4]
    drawn = sum(assert_same(*way, series.read_series(path).values) for path in paths)
    assert drawn > 0.9 * len(paths) > 0


@pytest.mark.parametrize("name", EDGE_CASES)
def test_edge_cases_are_drawn_as_matplotlib_draws_them(way: tuple[str, FastWay], name: str) -> None:
    assert assert_same(*way, EDGE_CASES[name])


@pytest.mark.parametrize("name", LEFT_TO_MATPLOTLIB)
def test_what_it_cannot_draw_exactly_is_left_to_matplotlib(way: tuple[str, FastWay], name: str) -> None:
    assert way[1].full(LEFT_TO_MATPLOTLIB[name]) is None
    assert way[1].picture(LEFT_TO_MATPLOTLIB[name]) is None


def test_a_picture_left_to_matplotlib_does_not_disturb_the_next(way: tuple[str, FastWay]) -> None:
    style, fast = way
    for values in LEFT_TO_MATPLOTLIB.values():
        if len(values) < 1000:
            draw_with_matplotlib(STYLES[style], values)
        assert fast.full(values) is None
    assert assert_same(style, fast, np.random.default_rng(3).normal(size=150) * 1234)


@pytest.fixture(scope="module", params=sorted(STYLES))
def drawn(request: pytest.FixtureRequest) -> tuple[str, list[tuple[Values, Image.Image]]]:
    """A style, and two series with what matplotlib draws of them."""
    draws = np.random.default_rng(11)
    series = [draws.normal(size=n) for n in (40, 300)]
    style = STYLES[request.param]
    return request.param, [(one, Image.fromarray(draw_with_matplotlib(style, one)).convert("RGB")) for one in series]


@pytest.mark.parametrize(
    "size", [(224, 224), (64, 64), (63, 201), (599, 799), (20, 780), (700, 100), (600, 800), (1, 1)]
)
def test_pictures_are_resized_as_pillow_resizes(
    drawn: tuple[str, list[tuple[Values, Image.Image]]], size: tuple[int, int]
) -> None:
    style, pictures = drawn
    fast = FastWay(STYLES[style], size)
    for values, full in pictures:
        picture = fast.picture(values)
        assert picture is not None
        np.testing.assert_array_equal(picture, np.asarray(full.resize(size[::-1], Image.Resampling.BILINEAR)))


def test_the_users_settings_do_not_reach_it() -> None:
    values = np.random.default_rng(12).normal(size=300)
    expected = draw_with_matplotlib(STYLES["seed"], values)
    theirs = {
        "axes.unicode_minus": False,
        "axes.autolimit_mode": "round_numbers",
        "text.hinting": "none",
        "font.sans-serif": ["DejaVu Serif"],
        "font.size": 30,
    }
    fast = FastWay(STYLES["seed"], None)
    with mpl.rc_context(theirs):
        np.testing.assert_array_equal(fast.full(values), expected)


def test_many_labels_and_glyphs_are_forgotten(way: tuple[str, FastWay], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "_MOST_LABELS", 10)
    monkeypatch.setattr(glyphs, "_MOST_GLYPHS", 20)
    draws = np.random.default_rng(14)
    for _ in range(8):
        assert assert_same(*way, draws.normal(size=50) * 10 ** draws.uniform(-3, 4))


def test_the_renderer_turns_to_the_fast_way_after_a_few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[int] = []

    def counted(style: Any, values: Values) -> NDArray[np.uint8]:
        slow.append(len(values))
        return draw_with_matplotlib(style, values)

    monkeypatch.setattr(renderer_module, "draw_with_matplotlib", counted)
    renderer = Renderer("plain", (32, 32))
    for n in range(30, 60):
        renderer.picture(np.random.default_rng(n).normal(size=n))
    assert len(slow) == PICTURES_BEFORE_FAST
    assert renderer.remark == ""
    renderer.picture(LEFT_TO_MATPLOTLIB["gap"])
    assert len(slow) == PICTURES_BEFORE_FAST + 1


def test_a_difference_switches_it_off_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(13).normal(size=80)
    expected = draw_with_matplotlib(STYLES["plain"], values)

    def other(style: Any, values: Values) -> NDArray[np.uint8]:
        drawn = draw_with_matplotlib(style, values)
        drawn[300, 400, 0] ^= 1
        return drawn

    monkeypatch.setattr(fast_way, "draw_with_matplotlib", other)
    with pytest.raises(NotTheSame, match="two points"):
        FastWay(STYLES["plain"], None)
    renderer = Renderer("plain", None)
    renderer.start()
    assert "switched off" in renderer.remark
    assert "probe series 'two points'" in renderer.remark
    np.testing.assert_array_equal(renderer.full(values), expected)


def test_another_matplotlib_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpl, "__version__", "3.10.9")
    renderer = Renderer("seed", (16, 16))
    renderer.start()
    assert "3.10.9" in renderer.remark


def test_without_fast_matplotlib_draws() -> None:
    renderer = Renderer("seed", (16, 16), fast=False)
    renderer.start()
    assert renderer.remark == "The fast way was not asked for."
