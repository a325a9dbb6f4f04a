"""Figures as SVG: the same each time, of the page's colours, with ids of their own."""

import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from orchestrator.report.figures.svg import drawing, legend, logarithmic, panel, to_svg


def simple(key: str, name: str = "$x^2$ <b>") -> str:
    with drawing():
        figure, axes = panel()
        axes.plot([1, 2, 3], [1, 10, 100], "o-", label=name)
        axes.plot([1, 2, 3], [2, 20, 200], label="other")
        axes.set_xlabel(name)
        logarithmic(axes, "y", [1, 200])
        legend(axes)
        return to_svg(figure, key)


def test_the_same_figure_gives_the_same_text() -> None:
    assert simple("a") == simple("a")


def test_ids_differ_between_figures_and_references_hold() -> None:
    one, two = simple("a"), simple("b")
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    references = set(re.findall(r'href="#([^"]+)"', one)) | set(re.findall(r"url\(#([^)]+)\)", one))
    assert references <= ids[0]


def test_it_is_well_formed_and_asks_for_nothing() -> None:
    root = ElementTree.fromstring(simple("a").replace("xlink:href", "href"))
    assert root.tag.endswith("svg")
    assert "http" not in simple("a")
    assert "<metadata" not in simple("a")


def test_text_is_text_without_mathematics() -> None:
    text = simple("a")
    assert "$x^2$ &lt;b&gt;" in text
    assert "mathdefault" not in text
    assert "10²" in simple("a") or ">100<" in simple("a")


def test_colours_are_the_pages() -> None:
    assert "var(--ink)" in simple("a")
    assert "#1f2933" not in simple("a")


def test_the_users_own_matplotlib_settings_do_not_matter() -> None:
    plain = simple("a")
    with matplotlib.rc_context({"axes.facecolor": "pink", "font.size": 30, "lines.linewidth": 9}):
        assert simple("a") == plain
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.parametrize(
    "names",
    [
        ("a", "b"),
        tuple(f"a long name of series {row}" for row in range(5)),
        ("patch_knn", "vae-linear", "conv_au…ncoder-b", "vae-small_conv", "pca", "conv_au…ncoder-a"),
    ],
)
def test_the_legend_stands_above_the_axes(names: tuple[str, ...]) -> None:
    with drawing():
        figure, axes = panel()
        for name in names:
            axes.plot([1, 2], label=name)
        legend(axes)
        renderer = FigureCanvasAgg(figure).get_renderer()
        ours, theirs = figure.legends[0].get_window_extent(renderer), axes.get_window_extent(renderer)
    assert ours.y0 >= theirs.y1
    assert ours.x1 <= figure.bbox.x1


@pytest.mark.parametrize("name", ["日本語", "a" * 300, "\\frac{", "$$"])
def test_any_name_can_be_drawn(name: str) -> None:
    ElementTree.fromstring(simple("a", name).replace("xlink:href", "href"))


def test_texts_keep_what_looks_like_a_colour() -> None:
    text = simple("a", "#1f2933")
    assert ">#1f2933<" in text
