"""What each change of an ablation is worth: differences to the baseline with their intervals."""

import math
from collections.abc import Sequence

from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import interval, label, number, printable, sentence
from orchestrator.report.figures.standing_figure import MARKS, draw_row, keep_apart, rows_panel
from orchestrator.report.figures.svg import FAINT, chart
from orchestrator.report.numbers.measured import Standing
from orchestrator.report.numbers.run_data import RunData

MOST_ROWS = 40


def ablation_chart(data: RunData, rows: Sequence[Standing], baseline: str) -> Chart | None:
    """The objective's difference of each variant, in the order of the table; None where nothing is compared."""
    compared = [
        (row, row.comparisons[data.metric])
        for row in rows
        if data.metric in row.comparisons and row.comparisons[data.metric].difference.seeds
    ]
    if not compared:
        return None
    shown = compared[:MOST_ROWS]
    figure, axes = rows_panel([row.variant for row, _ in shown], number_room=0.6)
    axes.axvline(0, color=FAINT, linewidth=0.9, linestyle=(0, (4, 2)), zorder=0.8)
    listed, spans = [], [0.0]
    for place, (row, comparison) in enumerate(shown):
        found = comparison.difference
        low, high = (found.low, found.high) if math.isfinite(found.low) else (found.mean, found.mean)
        spans += [low, high]
        draw_row(axes, place, (found.mean, low, high), False, comparison)
        axes.annotate(
            number(found.mean, signed=True), (1.0, place), xycoords=("axes fraction", "data"), xytext=(6, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
        span = interval(found.low, found.high, signed=True)
        listed.append(f"{printable(row.variant)} {number(found.mean, signed=True)} {span}".rstrip())
    keep_apart(axes, spans)
    metric = label(data.metric)
    axes.set_xlabel(f"Δ {metric} ({'higher' if data.mode == 'max' else 'lower'} is better)")
    left_out = f" {len(compared) - len(shown)} more stand in the table." if len(compared) > len(shown) else ""
    return chart(
        figure, "ablation", ("ablation",), f"What each change is worth in {metric}",
        f"Difference to {printable(baseline)} on the test part, paired by seed, with its 95 % interval; dashed: "
        f"{printable(baseline)}. {MARKS}{left_out}{data.caveat}",
        f"{sentence(metric)}, difference to {printable(baseline)}: {'; '.join(listed)}.",
    )  # fmt: skip
