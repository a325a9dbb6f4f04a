"""The critical-difference diagram says what the test found."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from orchestrator.report.figures.rank_figure import cd_chart
from orchestrator.report.figures.svg import drawing
from orchestrator.scoring.ranks import rank_test


def bars(svg: str) -> list[str]:
    return re.findall(r'<path d="([^"]*)"[^>]*stroke: var\(--orange\)', svg.replace("\n", " "))


def figures(effect: float, count: int, blocks: int = 12) -> dict[str, list[float]]:
    draws = np.random.default_rng(2)
    return {f"m{row}": (draws.normal(size=blocks) + effect * row).tolist() for row in range(count)}


def test_bars_join_what_does_not_differ() -> None:
    test = rank_test(figures(0.9, 4), "max")
    assert test.significant
    with drawing():
        chart = cd_chart(test, "c")
    assert len(bars(chart.svg)) == len(test.groups) > 0
    assert all(f">{name}<" in chart.svg for name in test.ranks)
    assert chart.alt.startswith("Average ranks over 12 data sets: m3 ")
    assert f"{test.critical_difference:.2f}, apart" in chart.caption


def test_without_a_difference_one_bar_joins_all() -> None:
    test = rank_test(figures(0.0, 5, 3), "max")
    assert not test.significant
    with drawing():
        chart = cd_chart(test, "c")
    assert len(bars(chart.svg)) == 1
    assert "so one bar joins all" in chart.caption


@pytest.mark.parametrize("count", [3, 4, 15])
def test_names_of_any_kind_and_number(count: int) -> None:
    names = ["<script>alert(1)</script>", "日本語", "$x_{", *(f"a very long name of method {row}" for row in range(12))]
    values = figures(0.6, count, 6)
    test = rank_test(dict(zip(names[:count], values.values(), strict=True)), "max")
    with drawing():
        chart = cd_chart(test, "c")
    ElementTree.fromstring(chart.svg.replace("xlink:href", "href"))
    assert "<script" not in chart.svg
    # Names and numbers lie within the figure.
    width = float(re.match(r'<svg viewBox="0 0 ([\d.]+)', chart.svg).group(1))  # type: ignore[union-attr]
    assert all(0 <= float(x) <= width for x in re.findall(r'<text [^>]*?x="([\d.-]+)"', chart.svg))
