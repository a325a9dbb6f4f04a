"""The critical-difference diagram: which methods' average ranks over data sets can't be told apart."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import number, plural, printable, shorten, words
from orchestrator.report.figures.svg import FAINT, INK, ORANGE, SIZE, chart
from orchestrator.scoring.ranks import RankTest

_ROW = 0.17
"""Inches from one name to the next."""
_HEAD = 0.62
_BAR = 0.09
"""Inches from one bar to the next."""


def cd_chart(test: RankTest, key: str) -> Chart:
    """Average ranks on a line, the best at the left, names at both sides, bars over what does not differ (Demšar 2006).

    Call within `drawing`. Where Friedman's test finds no difference at all, one bar joins all methods.
    """
    ranks = dict(sorted(test.ranks.items(), key=lambda one: one[1]))
    groups: Sequence[Sequence[str]] = test.groups if test.significant else (tuple(ranks),)
    half = (len(ranks) + 1) // 2
    depth = _BAR * (len(groups) + 1) + 0.06
    height = _HEAD + depth + _ROW * half + 0.05
    figure = Figure(figsize=(SIZE[0], height), facecolor="none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_facecolor("none")
    axes.set_axis_off()
    axes.set_xlim(0, SIZE[0])
    # Inches, from the top.
    axes.set_ylim(height, 0)
    left, right, last = 1.12, SIZE[0] - 1.12, len(ranks)

    def across(rank: float) -> float:
        return left + (right - left) * (rank - 1) / max(last - 1, 1)

    axes.plot([left, right], [_HEAD, _HEAD], color=INK, linewidth=0.8)
    step = 1 if last <= 12 else 5
    for mark in (one for one in range(1, last + 1) if (one - 1) % step == 0 or one == last):
        axes.plot([across(mark)] * 2, [_HEAD - 0.05, _HEAD], color=INK, linewidth=0.8)
        axes.text(across(mark), _HEAD - 0.08, str(mark), ha="center", va="bottom", fontsize=7.5)
    _ruler(axes, left, across(1 + test.critical_difference) - left, test.critical_difference)
    for place, (name, rank) in enumerate(ranks.items()):
        at_left = place < half
        row = place if at_left else last - 1 - place
        y = _HEAD + depth + _ROW * (row + 0.5)
        # Beyond the line's ends, so that the ranks stand free.
        end = left - 0.28 if at_left else right + 0.28
        axes.plot([across(rank), across(rank), end], [_HEAD, y, y], color=FAINT, linewidth=0.7)
        axes.plot(across(rank), _HEAD, "o", color=INK, markersize=2.6)
        axes.text(
            end + (-0.04 if at_left else 0.04), y, shorten(printable(name), 12), ha="right" if at_left else "left",
            va="center", fontsize=7.5,
        )  # fmt: skip
        axes.text(
            end + (0.03 if at_left else -0.03), y - 0.015, number(rank, 2), ha="left" if at_left else "right",
            va="bottom", fontsize=6,
        )  # fmt: skip
    for place, group in enumerate(groups, start=1):
        first, end = across(ranks[group[0]]), across(ranks[group[-1]])
        y = _HEAD + _BAR * place
        axes.plot([first - 0.03, end + 0.03], [y, y], color=ORANGE, linewidth=2.4, solid_capstyle="butt")
    return chart(figure, key, ("critical_difference",), "Critical-difference diagram", *_words(test, groups))


def _ruler(axes: Axes, start: float, width: float, difference: float) -> None:
    """How long the critical difference is; cut off at the figure's edge."""
    end = min(start + width, SIZE[0] - 0.1)
    axes.plot([start, end], [0.24, 0.24], color=FAINT, linewidth=0.8)
    for x in (start, end):
        axes.plot([x, x], [0.2, 0.28], color=FAINT, linewidth=0.8)
    axes.text(start, 0.16, f"critical difference {number(difference, 2)}", ha="left", va="bottom", fontsize=7.5)


def _words(test: RankTest, groups: Sequence[Sequence[str]]) -> tuple[str, str]:
    """The caption and the words for who can't see it."""
    listed = "; ".join(f"{printable(name)} {number(rank, 2)}" for name, rank in test.ranks.items())
    joined = [words([printable(name) for name in group], 12) for group in groups]
    over = plural(test.blocks, "data set")
    if not test.significant:
        said = "Friedman's test finds no significant difference between them, so one bar joins all."
    elif joined:
        said = f"Bars join what Nemenyi's test can't tell apart at .05: {'; '.join(joined)}."
    else:
        said = "Nemenyi's test tells every pair apart at .05, so no bar is drawn."
    return (
        f"Average ranks over {over}, 1 is best. {said} Two ranks differ significantly where they lie more than the "
        f"critical difference, {number(test.critical_difference, 2)}, apart.",
        f"Average ranks over {over}: {listed}. {said}",
    )
