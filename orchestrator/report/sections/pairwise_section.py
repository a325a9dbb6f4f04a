"""What a test of the very same models on other pictures says: DeLong's or McNemar's."""

from collections.abc import Sequence

import pandas as pd

from orchestrator.report.document.document import Table, TableCell
from orchestrator.report.document.formatting import label, number, p_value, plural, printable
from orchestrator.report.numbers.measured import Standing
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.same_pictures import PicturesTest, name_of_test
from trainables.interface import Task

TITLE = "Would these very models differ on other pictures?"


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
    """The test of each variant on the baseline's test pictures; None without a variant to test."""
    metric = label("roc_auc" if data.task == "detection" else "accuracy")
    test = name_of_test(data.task)
    tested = [(row, row.pictures_test) for row in rows if row.pictures_test is not None]
    if not tested:
        return None
    printed = [
        [
            TableCell(printable(row.variant)),
            TableCell(number(one.difference, signed=True), f"{plural(len(one.tests), 'seed')}" if one.tests else ""),
            TableCell(p_value(one.p)),
            TableCell(p_value(one.p_corrected), one.reason and f"no test: {one.reason}"),
        ]
        for row, one in tested
    ]
    columns = ["Variant", f"Δ {metric}", f"p ({test})", "p (Holm)"]
    return Table(
        name, _caption(data, [one for _, one in tested], baseline, test), columns, printed, frozenset({1, 2, 3})
    )


def _caption(data: RunData, found: Sequence[PicturesTest], baseline: str | None, test: str) -> str:
    made = [one for one in found if one.tests]
    pictures = max((one.pictures for one in made), default=0)
    sources = max((one.sources for one in made), default=0)
    what = (
        "DeLong's test of two ROC-AUCs"
        if test == "DeLong"
        else "McNemar's exact test of which pictures each classifies rightly"
    )
    text = (
        f"Every variant against {printable(baseline)} by {what}"
        + (f", on {plural(pictures, 'test picture')} of each seed in common" if pictures else "")
        + ": it asks whether these trained models, as they are, would differ on other pictures. What other seeds would "
        "give it leaves out, so no verdict rests on it. p is twice the median over seeds (valid however the seeds "
        "depend on each other), so it is small only where at least half of the seeds' p are; Holm-corrected over the "
        "variants of this table. A large p does not make two models equal."
    )
    if 0 < sources < pictures:
        of = "source picture" if data.grouped else "different picture"
        several = "pictures of one" if data.grouped else "of them copies of one file"
        text += (
            f" {test} takes pictures as independent, but these come from {plural(sources, of)}, several {several}: "
            "its p-values are too small here. The intervals of the other tables keep what belongs together in one."
        )
    return text
