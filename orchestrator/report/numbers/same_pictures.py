"""Whether these very models differ on other pictures: DeLong's or McNemar's test, seed by seed.

It says nothing of other trainings, so no verdict rests on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from orchestrator.report.document.formatting import printable
from orchestrator.report.numbers.predictions import VariantScores
from orchestrator.scoring.comparisons import holm
from orchestrator.scoring.paired_tests import PairedTest, delong, mcnemar, merged_p
from trainables.interface import Task


@dataclass(frozen=True)
class PicturesTest:
    """One variant against the baseline, seed by seed on the same pictures: DeLong's or McNemar's, merged over seeds."""

    tests: Mapping[int, PairedTest] = field(default_factory=dict)
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


def name_of_test(task: Task) -> str:
    """Whose test compares two models on the same pictures."""
    return "DeLong" if task == "detection" else "McNemar"


def compared_on_pictures(task: Task, ours: VariantScores, base: VariantScores) -> PicturesTest:
    """One variant against the baseline by the scores that both gave the same pictures; not corrected yet."""
    if not ours.same_pictures(base) or ours.classes != base.classes:
        return PicturesTest(reason="its test pictures are not those of the baseline")
    common = sorted(set(ours.seeds) & set(base.seeds))
    tests = {}
    for seed in common:
        mine, theirs = (kept.scores[kept.seeds.index(seed)] for kept in (ours, base))
        try:
            if task == "detection":
                tests[seed] = delong(mine, theirs, ours.labels)
            else:
                tests[seed] = mcnemar(*(scores.argmax(axis=1) == ours.labels for scores in (mine, theirs)))
        except ValueError as error:
            return PicturesTest(reason=printable(error).rstrip("."))
    values = [one.p for one in tests.values() if one.p is not None]
    reason = "" if values else "no seed in common with the baseline" if not tests else "the scores leave no variance"
    return PicturesTest(tests, len(ours.labels), len(np.unique(ours.groups)), merged_p(values), reason=reason)


def holm_corrected(found: Mapping[str, PicturesTest]) -> dict[str, PicturesTest]:
    """The same with Holm's correction over all that have a p."""
    known = {name: one.p for name, one in found.items() if one.p is not None}
    after = dict(zip(known, holm(list(known.values())), strict=True))
    return {name: replace(one, p_corrected=after.get(name)) for name, one in found.items()}
