"""How often 95 % intervals hold the truth, how often equal models are called different, and what is found.

Pictures, seeds and models are made up, so that the truth is known; everything after the scores is what reports call:
`resample_metrics` or `resample_detection`, `estimate`, `paired`, `corrected`. Whole, it takes hours; `--quick` tries
the hardest designs.

A classifier answers rightly where a margin is above 0: its skill, how hard the picture is (0.7 of this is common to all
models), what its seed adds to all pictures, and what it adds to this one. A detector's score is drawn alike, with the
anomalies' shifted. `stable`: seeds differ by 0.4 points of accuracy, and answer nearly alike; `net`: by 2 points;
`fixed`: a model without randomness.
"""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from orchestrator.scoring.bootstrap import resample_detection, resample_metrics
from orchestrator.scoring.comparisons import corrected, paired
from orchestrator.scoring.evidence import Evidence, Scale
from orchestrator.scoring.intervals import estimate
from orchestrator.scoring.judged import DrawnAnomalies, DrawnClasses
from orchestrator.scoring.metric_table import METRICS

Floats = NDArray[np.float64]
Kind = Literal["stable", "net", "fixed"]
CLASSES = ("a", "b")
COMMON = 0.7
"""The share of a picture's difficulty that all models have in common."""
OWN = {"stable": 0.01, "net": 0.15, "fixed": 0.0}
"""The share of a margin's variance that is each seed's own, picture by picture."""
BETWEEN = {"stable": 0.004, "net": 0.02, "fixed": 0.0}
"""The standard deviation over seeds of the figure on all pictures that there could be."""
CONSERVATIVE = 0.98
"""Intervals that hold the truth more often than this are wider than they need be."""
DRAWS = 400
"""A report takes 10,000; a variance is known to 7 % from these, too."""


@dataclass(frozen=True)
class Cell:
    """One design."""

    metric: str
    figure: float
    """The truth: accuracy, or ROC-AUC; macro F1 follows from an accuracy that is alike in both classes."""
    pictures: int
    balance: int
    """Pictures of the first class for each one of the second."""
    seeds: int
    kind: Kind
    sources: int | None = None
    """Source pictures, each with equally many patches, half of whose difficulty is the source's; None: no patches."""

    @property
    def detection(self) -> bool:
        return self.metric == "roc_auc"

    def labels(self) -> NDArray[np.int64]:
        rare = max(2, round(self.pictures / (1 + self.balance)))
        return np.repeat(np.array([0, 1]), [self.pictures - rare, rare])

    def groups(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.sources is None:
            return np.arange(len(labels))
        rare = max(2, round(self.sources * labels.mean()))
        numbers = np.arange(len(labels))
        of_rare = self.sources - rare + numbers % rare
        groups: NDArray[np.int64] = np.where(labels == 1, of_rare, numbers % (self.sources - rare))
        return groups


def skill(figure: float, detection: bool) -> float:
    """The mean margin that gives the figure."""
    return float(stats.norm.ppf(figure) * (np.sqrt(2) if detection else 1))


def between(cell: Cell, figure: float) -> float:
    """The standard deviation over seeds of the margin."""
    place = stats.norm.ppf(figure)
    slope = stats.norm.pdf(place) / (np.sqrt(2) if cell.detection else 1)
    return float(BETWEEN[cell.kind] / slope) if BETWEEN[cell.kind] < 1 - figure else float((1 - figure) / slope)


def truth(cell: Cell, figure: float) -> float:
    """The mean over all seeds and pictures that there could be, by quadrature."""
    place, weight = np.polynomial.hermite_e.hermegauss(40)
    margins = skill(figure, cell.detection) + between(cell, figure) * place
    right = stats.norm.cdf(margins / (np.sqrt(2) if cell.detection else 1))
    if cell.metric == "macro_f1":
        rare = cell.labels().mean()
        right = (
            sum(
                2 * share * right / (2 * share * right + (1 - right) * share + (1 - right) * (1 - share))
                for share in (rare, 1 - rare)
            )
            / 2
        )
    return float(right @ weight / weight.sum())


def models(cell: Cell, figures: Sequence[float], generator: np.random.Generator) -> Iterator[Evidence]:
    """What a report would know of each of several models, on the same pictures."""
    labels = cell.labels()
    groups = cell.groups(labels)
    hard = [difficulty(groups, cell, generator) for _ in range(len(figures) + 1)]
    for figure, own in zip(figures, hard[1:], strict=True):
        of_picture = np.sqrt(COMMON) * hard[0] + np.sqrt(1 - COMMON) * own
        noise = generator.standard_normal((1 if cell.kind == "fixed" else cell.seeds, len(labels)))
        shift = between(cell, figure) * generator.standard_normal((len(noise), 1))
        spread = np.sqrt(1 - OWN[cell.kind]) * of_picture + np.sqrt(OWN[cell.kind]) * noise
        margins = np.broadcast_to(skill(figure, cell.detection) + shift, noise.shape)
        scores = margins * labels + spread if cell.detection else margins + spread
        yield evidence(cell, np.broadcast_to(scores, (cell.seeds, len(labels))), labels, groups)


def difficulty(groups: NDArray[np.int64], cell: Cell, generator: np.random.Generator) -> Floats:
    own = generator.standard_normal(len(groups))
    if cell.sources is None:
        return own
    return np.asarray((own + generator.standard_normal(int(groups.max()) + 1)[groups]) / np.sqrt(2))


def evidence(cell: Cell, scores: Floats, labels: NDArray[np.int64], groups: NDArray[np.int64]) -> Evidence:
    """The way of a report from scores (S, N), here margins or anomaly scores, to what is known of the metric."""
    row = METRICS[cell.metric]
    assert row.resampled is not None
    if cell.detection:
        once: DrawnAnomalies | DrawnClasses = DrawnAnomalies(scores, labels == 1, np.ones((1, len(labels))), None)
        drawn = resample_detection(scores, labels, groups, None, DRAWS)
    else:
        right = 1 / (1 + np.exp(-scores))
        probabilities = np.stack([np.where(labels == place, right, 1 - right) for place in (0, 1)], axis=2)
        cells = labels * 2 + probabilities.argmax(axis=2)
        counts = np.stack([np.bincount(one, minlength=4).reshape(2, 2) for one in cells])
        once = DrawnClasses(counts[None].astype(np.float64), np.zeros((1, len(scores))))
        drawn = resample_metrics(probabilities, labels, CLASSES, groups, DRAWS)
    figures = row.resampled(once)
    assert figures is not None
    by_seed = {seed: float(value) for seed, value in enumerate(figures[0])}
    return Evidence(by_seed, drawn[cell.metric], Scale.of(cell.metric, row.bounds, labels))


def coverage(cell: Cell, repeats: int) -> tuple[float, float]:
    """The share of intervals that hold the truth, and their mean width; NaN where no interval is given."""
    generator, expected = np.random.default_rng(1), truth(cell, cell.figure)
    found = [estimate(one) for _ in range(repeats) for one in models(cell, [cell.figure], generator)]
    if np.isnan([one.low for one in found]).any():
        return np.nan, np.nan
    held = np.mean([one.low <= expected <= one.high for one in found])
    return float(held), float(np.mean([one.high - one.low for one in found]))


def claims(cell: Cell, comparisons: Sequence[int], repeats: int, ahead: float = 0.0) -> list[float]:
    """How often at least one of so many models is called better or worse than a baseline, for each number of them.

    `ahead`: how much better each of them is than the baseline in truth; 0 counts false claims.
    """
    generator = np.random.default_rng(2)
    hits = np.zeros(len(comparisons))
    for _ in range(repeats):
        baseline, *others = models(cell, [cell.figure, *[cell.figure + ahead] * max(comparisons)], generator)
        found = [paired(one, baseline, "max") for one in others]
        for place, asked in enumerate(comparisons):
            family = {str(number): one for number, one in enumerate(found[:asked])}
            hits[place] += any(one.outcome in ("better", "worse") for one in corrected(family, "max").values())
    return list(hits / repeats)


def designs() -> list[Cell]:
    """Every design of the table, by metric."""
    kinds: tuple[Kind, ...] = ("stable", "net", "fixed")
    steady: tuple[Kind, ...] = ("stable", "fixed")
    plain = [
        Cell(metric, figure, pictures, balance, seeds, kind)
        for (metric, figure), seeds, pictures, balance, kind in itertools.product(
            (("accuracy", 0.8), ("accuracy", 0.98), ("macro_f1", 0.8), ("roc_auc", 0.9), ("roc_auc", 0.99)),
            (3, 5, 10), (50, 150, 1000), (1, 10), kinds,
        )
        if not (kind == "fixed" and seeds != 5)
    ]  # fmt: skip
    patches = [
        Cell("accuracy", figure, sources * each, 1, 5, kind, sources)
        for figure in (0.8, 0.98)
        for sources, each in ((5, 10), (10, 15), (20, 10))
        for kind in steady
    ]
    return plain + patches


def edges() -> list[Cell]:
    """The designs that are hardest, one for each row that once failed."""
    return [
        Cell("roc_auc", 0.99, 50, 1, 5, "stable"),
        Cell("roc_auc", 0.99, 50, 10, 5, "fixed"),
        Cell("roc_auc", 0.9, 50, 10, 5, "net"),
        Cell("roc_auc", 0.9, 150, 10, 5, "stable"),
        Cell("accuracy", 0.98, 50, 1, 5, "fixed"),
        Cell("accuracy", 0.98, 150, 10, 3, "net"),
        Cell("macro_f1", 0.8, 150, 10, 5, "stable"),
        Cell("accuracy", 0.8, 150, 1, 5, "stable", 10),
        Cell("accuracy", 0.8, 50, 1, 5, "fixed", 5),
    ]


def why_wide(cell: Cell, held: float) -> str:
    """Why intervals are wider than they need be; empty where they are not."""
    if held <= CONSERVATIVE:
        return ""
    rare = int(cell.labels().sum())
    if rare <= 5:
        return f"{rare} of a class: its spread is known by {rare - 1} degrees of freedom"
    if cell.seeds == 3:
        return "3 seeds: Student's quantile of 2 degrees of freedom, beside what pictures leave open"
    return "near 1: no narrower than so many answers can tell"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only the hardest designs")
    parser.add_argument("--repeats", type=int, default=1_000, help="made-up experiments a cell")
    asked = parser.parse_args()
    cells = edges() if asked.quick else designs()
    print("| metric | truth | pictures | balance | seeds | kind | sources | coverage | width | conservative, since |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for cell in cells:
        held, width = coverage(cell, asked.repeats)
        shown = "no interval | | " if np.isnan(held) else f"{held:.3f} | {width:.3f} | {why_wide(cell, held)}"
        print(
            f"| {cell.metric} | {cell.figure} | {cell.pictures} | 1:{cell.balance} | {cell.seeds} | {cell.kind} | "
            f"{cell.sources or ''} | {shown} |",
            flush=True,
        )
    print("\n| metric | pictures | seeds | kind | comparisons | false claims | .05 ahead, found |")
    print("|---|---|---|---|---|---|---|")
    for cell in cells:
        if (cell.figure > 0.95 and not asked.quick) or (cell.balance == 10 and cell.pictures == 1000):
            continue
        found = claims(cell, [1], asked.repeats, 0.05)[0] if cell.figure <= 0.9 else np.nan
        for comparisons, false in zip((1, 5, 10), claims(cell, (1, 5, 10), asked.repeats), strict=True):
            power = "" if np.isnan(found) or comparisons > 1 else f"{found:.3f}"
            print(
                f"| {cell.metric} {cell.figure}, 1:{cell.balance} | {cell.pictures} | {cell.seeds} | {cell.kind} | "
                f"{comparisons} | {false:.3f} | {power} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
