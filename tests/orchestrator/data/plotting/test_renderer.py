"""A picture is what savefig writes, whatever the settings around it."""

import io
import pickle
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from orchestrator.data.plotting.plot_style import STYLES
from orchestrator.data.plotting.renderer import Renderer
from trainables.errors import InputError

GENERATOR = np.random.default_rng(7)

EDGE_CASES: dict[str, NDArray[np.float64]] = {
    "normal": GENERATOR.normal(size=200),
    "walk": GENERATOR.normal(size=500).cumsum(),
    "constant": np.full(40, 3.25),
    "zero": np.zeros(40),
    "offset 1e6": GENERATOR.normal(size=100) + 1e6,
    "offset 1e9": GENERATOR.normal(size=100) + 1e9,
    "scale 1e-7": GENERATOR.normal(size=100) * 1e-7,
    "scale 1e12": GENERATOR.normal(size=100) * 1e12,
    "gaps": np.where(GENERATOR.random(100) < 0.2, np.nan, GENERATOR.normal(size=100)),
    "infinite": np.where(GENERATOR.random(100) < 0.1, np.inf, GENERATOR.normal(size=100)),
    "integers": GENERATOR.integers(-5, 5, 100).astype(np.float64),
    "steps": np.repeat(GENERATOR.normal(size=8), 25),
    "float32": GENERATOR.normal(size=100).astype(np.float32).astype(np.float64),
    "two points": np.array([1.0, 2.0]),
    "one point": np.array([1.0]),
    "nothing": np.array([]),
    "only gaps": np.full(5, np.nan),
    "tiny": GENERATOR.normal(size=20) * 1e-310,
    "huge": np.array([-1e300, 1e300, 0.0]),
}


def saved(style: str, values: NDArray[Any]) -> NDArray[np.uint8]:
    """The seeds' own calls, written out: a PNG by savefig, decoded. RGBA (H, W, 4)."""
    figure = Figure(figsize=(8, 6), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    png = io.BytesIO()
    if style == "plain":
        axes.plot(values)
        figure.savefig(png, format="png")
    else:
        axes.plot(values, linewidth=1.5, color="#1f77b4")
        axes.set_xlabel("Time", fontsize=12)
        axes.set_ylabel("Value", fontsize=12)
        axes.grid(True, alpha=0.3)
        axes.spines["top"].set_visible(False)
        axes.spines["right"].set_visible(False)
        figure.tight_layout()
        figure.savefig(png, format="png", dpi=100, bbox_inches="tight")
    decoded = Image.open(png)
    assert decoded.mode == "RGBA"
    return np.asarray(decoded)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", EDGE_CASES)
def test_full_picture_is_what_savefig_writes(style: str, name: str) -> None:
    expected = saved(style, EDGE_CASES[name])
    np.testing.assert_array_equal(Renderer(style, None).full(EDGE_CASES[name]), expected)


@pytest.mark.parametrize("style", STYLES)
def test_the_users_settings_do_not_reach_the_picture(style: str) -> None:
    values = EDGE_CASES["walk"]
    expected = saved(style, values)
    theirs = {
        "figure.dpi": 50,
        "savefig.dpi": 40,
        "savefig.bbox": "tight",
        "savefig.facecolor": "red",
        "lines.linewidth": 5,
        "axes.grid": True,
        "font.size": 20,
        "font.family": "serif",
        "figure.autolayout": True,
        "axes.formatter.useoffset": False,
        "axes.unicode_minus": False,
        "text.hinting": "none",
    }
    with mpl.rc_context(theirs):
        renderer = Renderer(style, None)
        assert not np.array_equal(saved(style, values), expected)
        np.testing.assert_array_equal(renderer.full(values), expected)
        np.testing.assert_array_equal(renderer.full(EDGE_CASES["gaps"]), Renderer(style, None).full(EDGE_CASES["gaps"]))
        assert mpl.rcParams["figure.dpi"] == 50
    np.testing.assert_array_equal(renderer.full(values), expected)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(224, 224), (64, 96), (700, 1000), (1, 1)])
def test_picture_is_pillows_resize_of_the_full_picture(style: str, size: tuple[int, int]) -> None:
    values = EDGE_CASES["normal"]
    full = Image.fromarray(saved(style, values)).convert("RGB")
    picture = Renderer(style, size).picture(values)
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.asarray(full.resize(size[::-1], Image.Resampling.BILINEAR)))


def test_without_a_size_the_picture_is_the_full_one() -> None:
    values = EDGE_CASES["normal"]
    np.testing.assert_array_equal(Renderer("plain", None).picture(values), saved("plain", values)[..., :3])


def test_pictures_do_not_share_memory() -> None:
    renderer = Renderer("plain", (64, 64))
    first_full, first = renderer.full(EDGE_CASES["normal"]), renderer.picture(EDGE_CASES["normal"])
    kept_full, kept = first_full.copy(), first.copy()
    renderer.full(EDGE_CASES["walk"])
    renderer.picture(EDGE_CASES["walk"])
    np.testing.assert_array_equal(first_full, kept_full)
    np.testing.assert_array_equal(first, kept)


def test_a_million_points() -> None:
    values = np.random.default_rng(1).normal(size=1_000_000)
    picture = Renderer("plain", (32, 32)).picture(values)
    full = Image.fromarray(saved("plain", values)).convert("RGB")
    np.testing.assert_array_equal(picture, np.asarray(full.resize((32, 32), Image.Resampling.BILINEAR)))


def test_identity_names_style_and_versions() -> None:
    assert Renderer("plain", None).identity != Renderer("seed", None).identity
    assert f"matplotlib-{mpl.__version__}" in Renderer("seed", (8, 8)).identity


def test_a_renderer_can_be_sent_to_another_process() -> None:
    renderer = Renderer("plain", (64, 64))
    copy = pickle.loads(pickle.dumps(renderer))
    np.testing.assert_array_equal(copy.picture(EDGE_CASES["walk"]), renderer.picture(EDGE_CASES["walk"]))


@pytest.mark.parametrize(("style", "size"), [("sead", None), ("seed", (0, 5)), ("seed", (5, -1))])
def test_bad_settings_are_refused(style: str, size: tuple[int, int] | None) -> None:
    with pytest.raises(InputError, match="Known styles: plain, seed" if size is None else "at least 1 × 1"):
        Renderer(style, size)


@pytest.mark.parametrize("values", [np.zeros((3, 2)), np.array([1e308, -1e308])])
def test_what_matplotlib_cannot_draw_is_bad_input(values: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match=r"one dimension|rescale the series"):
        Renderer("plain", None).full(values)
