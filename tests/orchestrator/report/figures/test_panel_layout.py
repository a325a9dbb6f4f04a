"""Rows that are drawn, and names that do not cover each other."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from orchestrator.report.figures.panel_layout import evenly, log_if_wide, name_points, spread
from orchestrator.report.figures.svg import drawing, panel


def test_evenly_keeps_both_ends() -> None:
    assert evenly(0, 5) == []
    assert evenly(1, 5) == [0]
    assert evenly(4, 5) == [0, 1, 2, 3]
    rows = evenly(1_000, 30)
    assert (rows[0], rows[-1], len(rows)) == (0, 999, 30)
    assert max(np.diff(rows)) - min(np.diff(rows)) <= 1


def test_spread_moves_as_little_as_it_must() -> None:
    assert spread([0.2, 0.8, 0.5], 0.1, 0, 1).tolist() == pytest.approx([0.2, 0.8, 0.5])
    # Two equal places part evenly, in the order in which they came.
    assert spread([0.5, 0.5], 0.1, 0, 1).tolist() == pytest.approx([0.45, 0.55])
    assert spread([0.0, 0.0, 0.0], 0.1, 0, 1).tolist() == pytest.approx([0.0, 0.1, 0.2])
    assert spread([1.0, 0.99, 3.0], 0.1, 0, 1).tolist() == pytest.approx([0.9, 0.8, 1.0])
    assert spread([5.0], 0.1, 0, 1).tolist() == [1.0]
    assert spread([], 0.1, 0, 1).tolist() == []


def test_spread_without_room_is_even() -> None:
    assert spread([0.5] * 11, 0.3, 0, 1).tolist() == pytest.approx(np.linspace(0, 1, 11).tolist())


def test_axes_over_decades() -> None:
    with drawing():
        for values, scale in (([1, 100], "log"), ([1, 10], "linear"), ([0, 100], "linear"), ([], "linear")):
            _, axes = panel()
            log_if_wide(axes, "y", values)
            assert axes.get_yscale() == scale


def test_names_of_equal_points_stand_apart() -> None:
    with drawing():
        _, axes = panel()
        axes.plot([1, 1, 2], [5, 5, 6], "o")
        name_points(axes, [("one", 1.0, 5.0), ("two", 1.0, 5.0), ("three", 2.0, 6.0)])
        places = [text.xy for text in axes.texts]  # type: ignore[attr-defined]
    assert [text.get_text() for text in axes.texts] == ["one", "two", "three"]
    assert abs(places[0][1] - places[1][1]) >= 0.06 or [axes.texts[row].get_ha() for row in (0, 1)] == ["left", "right"]
    assert all(0 <= height <= 1 for _, height in places)
    assert axes.texts[2].get_ha() == "right"


def test_names_of_crowded_points_do_not_overlap() -> None:
    with drawing():
        figure, axes = panel()
        places = [(f"variant_{row}", 10 + row % 3, 0.9 + 0.001 * row) for row in range(7)]
        axes.plot([x for _, x, _ in places], [y for _, _, y in places], "o")
        axes.set_ylim(0, 1)
        name_points(axes, places)
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
    overlaps = [(one, two) for row, one in enumerate(boxes) for two in boxes[:row] if one.overlaps(two)]
    assert not overlaps
