"""Tests of every variant against the baseline on the same test pictures: DeLong's or McNemar's, merged over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from orchestrator.report.document.document import Section, Table, TableCell
from orchestrator.report.document.formatting import label, number, p_value, plural, printable
from orchestrator.report.numbers.leaderboard import Lineup, Standing, evaluated
from orchestrator.report.numbers.predictions import VariantScores, read_scores
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.paired_tests import PairedTest, delong, mcnemar, merged_p
from orchestrator.scoring.statistics import holm


@dataclass(frozen=True)
class PicturesTest:
    """One variant against the baseline, seed by seed on the same pictures."""

    tests: Mapping[int, PairedTest]
    """By seed."""
    pictures: int = 0
    sources: int = 0
    """Source pictures: as many as pictures where each is its own."""
    p: float | None = None
    """Merged over seeds; None without a test."""
    p_corrected: float | None = None
    """After Holm, over the variants."""
    reason: str = ""
    """Why there is no test."""

    @property
    def difference(self) -> float | None:
        """Mean over seeds."""
        return float(np.mean([one.difference for one in self.tests.values()])) if self.tests else None


def pictures_tests(data: RunData, lineup: Lineup) -> dict[str, PicturesTest]:
    """Every variant but the baseline, tested against it; empty without an evaluated baseline."""
    base, reason = read_scores(data, lineup.cells.get(lineup.baseline or "", ()))
    found: dict[str, PicturesTest] = {}
    for name, cells in lineup.cells.items():
        if name == lineup.baseline or not cells or not lineup.cells.get(lineup.baseline or ""):
            continue
        ours, wrong = read_scores(data, cells)
        if ours is None or base is None:
            found[name] = PicturesTest({}, reason=wrong or f"of the baseline, {reason}")
        else:
            found[name] = _tested(data, ours, base)
    known = [name for name, one in found.items() if one.p is not None]
    corrected = holm([p for name in known if (p := found[name].p) is not None])
    return found | {name: replace(found[name], p_corrected=p) for name, p in zip(known, corrected, strict=True)}


def _tested(data: RunData, ours: VariantScores, base: VariantScores) -> PicturesTest:
    if not ours.same_pictures(base) or ours.classes != base.classes:
        return PicturesTest({}, reason="its test pictures are not those of the baseline")
    common = sorted(set(ours.seeds) & set(base.seeds))
    tests = {}
    for seed in common:
        mine, theirs = (kept.scores[kept.seeds.index(seed)] for kept in (ours, base))
        try:
            if data.task == "detection":
                tests[seed] = delong(mine, theirs, ours.labels)
            else:
                tests[seed] = mcnemar(*(scores.argmax(axis=1) == ours.labels for scores in (mine, theirs)))
        except ValueError as error:
            return PicturesTest({}, reason=printable(error).rstrip("."))
    values = [one.p for one in tests.values() if one.p is not None]
    reason = "" if values else "no seed in common with the baseline" if not tests else "the scores leave no variance"
    return PicturesTest(tests, len(ours.labels), len(np.unique(ours.groups)), merged_p(values), reason=reason)


def pairwise_frame(found: Mapping[str, PicturesTest], baseline: str | None, task: str) -> pd.DataFrame:
    """A row a variant and seed: the difference, and the p-value before any merging and after all of it."""
    test = "DeLong" if task == "detection" else "McNemar"
    rows = [
        [name, baseline, test, seed, one.difference, one.error, one.p, tested.p, tested.p_corrected]
        for name, tested in found.items()
        for seed, one in tested.tests.items()
    ]
    columns = ["variant", "baseline", "test", "seed", "difference", "error", "p", "p_merged", "p_holm"]
    return pd.DataFrame(rows, columns=columns)


def pairwise_table(
    data: RunData, rows: Sequence[Standing], found: Mapping[str, PicturesTest], baseline: str | None, name: str
) -> Table | None:
    """Both tests side by side; None without a variant to test."""
    if not found:
        return None
    metric = "roc_auc" if data.task == "detection" else "accuracy"
    test = "DeLong" if data.task == "detection" else "McNemar"
    printed = []
    for row in rows:
        one = found.get(row.variant)
        if one is None:
            continue
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
            ]
        )
    columns = [
        "Variant", f"Δ {label(data.metric)}", "p (t-test)", "p (Holm)", f"Δ {label(metric)}", f"p ({test})", "p (Holm)",
    ]  # fmt: skip
    return Table(name, _caption(found, baseline, test, data.grouped), columns, printed, frozenset(range(1, 7)))


def _caption(found: Mapping[str, PicturesTest], baseline: str | None, test: str, grouped: bool) -> str:
    made = [one for one in found.values() if one.tests]
    pictures = max((one.pictures for one in made), default=0)
    sources = max((one.sources for one in made), default=0)
    what = (
        "DeLong's test of two ROC-AUCs"
        if test == "DeLong"
        else "McNemar's exact test of which pictures each classifies rightly"
    )
    text = (
        f"Every variant against {printable(baseline)}. Left: the paired t-test over seeds, which asks whether training "
        f"with other seeds would show the difference on these pictures. Right: {what}"
        + (f", on {plural(pictures, 'test picture')} of each seed in common" if pictures else "")
        + ", which asks whether these trained models would differ on other pictures; p is twice the median over seeds "
        "(valid however the seeds depend on each other), so it is small only where at least half of the seeds' p are. "
        "Both are Holm-corrected over the variants. Only where both are small would new seeds and new pictures be "
        "likely to show the difference; a large p does not make two variants equal."
    )
    if 0 < sources < pictures:
        of = "source picture" if grouped else "different picture"
        several = "pictures of one" if grouped else "of them copies of one file"
        text += (
            f" {test} takes pictures as independent, but these come from {plural(sources, of)}, several {several}: "
            "its p-values are too small here. The intervals of the other tables keep what belongs together in one."
        )
    return text


def pairwise_section(data: RunData, rows: Sequence[Standing]) -> tuple[Section | None, pd.DataFrame]:
    """The section of the run's variants, and its full numbers."""
    found = pictures_tests(data, evaluated(data))
    table = pairwise_table(data, rows, found, data.baseline, "pairwise")
    frame = pairwise_frame(found, data.baseline, data.task)
    return (None if table is None else Section("pairwise", "Tests on the same test pictures", blocks=[table])), frame
