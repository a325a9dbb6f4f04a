"""The tests behind the verdicts: over seeds, and on the same test pictures."""

from collections.abc import Sequence

import pandas as pd

from orchestrator.report.document.document import Table, TableCell
from orchestrator.report.document.formatting import label, number, p_value, plural, printable
from orchestrator.report.numbers.leaderboard import Standing
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.verdicts import PicturesTest, name_of_test
from orchestrator.scoring.metric_table import METRICS
from trainables.interface import Task

TITLE = "The tests behind the verdicts"


def pairwise_frame(rows: Sequence[Standing], baseline: str | None, task: Task) -> pd.DataFrame:
    """A row a variant and seed: the difference, and the p-value before any merging and after all of it."""
    table = [
        [
            row.variant,
            baseline,
            name_of_test(task),
            seed,
            one.difference,
            one.error,
            one.p,
            tested.p,
            tested.p_corrected,
        ]
        for row in rows
        if (tested := row.pictures_test) is not None
        for seed, one in tested.tests.items()
    ]
    columns = ["variant", "baseline", "test", "seed", "difference", "error", "p", "p_merged", "p_holm"]
    return pd.DataFrame(table, columns=columns)


def pairwise_table(data: RunData, rows: Sequence[Standing], baseline: str | None, name: str) -> Table | None:
    """Both tests of each comparison by the objective, and the verdict; None without a variant to test."""
    metric = "roc_auc" if data.task == "detection" else "accuracy"
    test = name_of_test(data.task)
    printed = []
    tested = [(row, row.pictures_test) for row in rows if row.pictures_test is not None]
    for row, one in tested:
        over_seeds = row.comparisons.get(data.metric)
        change = None if over_seeds is None else over_seeds.difference.mean
        printed.append(
            [
                TableCell(printable(row.variant)),
                TableCell(number(change, signed=True)),
                TableCell(p_value(None if over_seeds is None else over_seeds.p)),
                TableCell(p_value(None if over_seeds is None else over_seeds.p_corrected)),
                TableCell(
                    number(one.difference, signed=True), f"{plural(len(one.tests), 'seed')}" if one.tests else ""
                ),
                TableCell(p_value(one.p)),
                TableCell(p_value(one.p_corrected), one.reason and f"no test: {one.reason}"),
                TableCell("" if over_seeds is None else over_seeds.outcome),
            ]
        )
    if not printed:
        return None
    columns = [
        "Variant", f"Δ {label(data.metric)}", "p (t-test)", "p (Holm)", f"Δ {label(metric)}", f"p ({test})", "p (Holm)",
        "Verdict",
    ]  # fmt: skip
    captioned = _caption(data, [one for _, one in tested], baseline, test)
    return Table(name, captioned, columns, printed, frozenset(range(1, 7)))


def _caption(data: RunData, found: Sequence[PicturesTest], baseline: str | None, test: str) -> str:
    made = [one for one in found if one.tests]
    pictures = max((one.pictures for one in made), default=0)
    sources = max((one.sources for one in made), default=0)
    what = (
        "DeLong's test of two ROC-AUCs"
        if test == "DeLong"
        else "McNemar's exact test of which pictures each classifies rightly"
    )
    row = METRICS.get(data.metric)
    rule = (
        f"The verdict on {label(data.metric)} rests on the test over seeds alone, since the other is of whole pictures."
        if row is not None and row.pixel
        else "The verdict is better or worse only where both corrected p are below .05, both tests point the same way "
        "and the interval of the difference leaves out 0; where pictures can't be tested, the test over seeds decides."
    )
    text = (
        f"The two tests of every variant against {printable(baseline)}. Left: the paired t-test over seeds, which asks "
        f"whether training with other seeds would show the difference on these pictures. Right: {what}"
        + (f", on {plural(pictures, 'test picture')} of each seed in common" if pictures else "")
        + ", which asks whether these trained models would differ on other pictures; p is twice the median over seeds "
        "(valid however the seeds depend on each other), so it is small only where at least half of the seeds' p are. "
        f"Both are Holm-corrected over the variants. {rule} A large p does not make two variants equal."
    )
    if 0 < sources < pictures:
        of = "source picture" if data.grouped else "different picture"
        several = "pictures of one" if data.grouped else "of them copies of one file"
        text += (
            f" {test} takes pictures as independent, but these come from {plural(sources, of)}, several {several}: "
            "its p-values are too small here. The intervals of the other tables keep what belongs together in one."
        )
    return text
