"""How often the test over repeated splits calls equal learners different, and how often its intervals hold the truth.

Data sets are drawn anew from one distribution; two learners see disjoint halves of the features, which tell the classes
apart equally well, so that neither is better in truth though they differ on every data set. Splits are those of
`make_split`, figures and verdicts those that reports call. Beside them stands the t test that takes splits for
independent, as papers often do.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from orchestrator.data.layouts.listing import ListedFile
from orchestrator.data.split.make_split import Split, SplitSettings, UndrawnFiles, make_split
from orchestrator.scoring.comparisons import corrected
from orchestrator.scoring.evidence import Scale
from orchestrator.scoring.repeated_splits import SplitEvidence, estimate_over_splits, paired_over_splits

Floats = NDArray[np.float64]
FEATURES = 12
"""Of each learner."""


@dataclass(frozen=True)
class Design:
    """Pictures of two classes, in equal parts, and how they are divided."""

    pictures: int
    settings: SplitSettings
    apart: float
    """How far the classes' means lie from each other, in standard deviations of each learner's features together."""

    @property
    def name(self) -> str:
        folds = f"{self.settings.folds} folds" if self.settings.folds else "random"
        return f"{self.settings.repeats} × {folds}"


def drawn(count: int, apart: float, generator: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Features (N, 2 * FEATURES), the learners' halves side by side, and labels (N,)."""
    labels = np.arange(count) % 2
    shift = apart / np.sqrt(FEATURES) * (labels - 0.5)
    return generator.standard_normal((count, 2 * FEATURES)) + shift[:, None], labels


def accuracy(train: tuple[Floats, NDArray[np.int64]], test: tuple[Floats, NDArray[np.int64]]) -> float:
    """Of the nearest class mean."""
    means = [train[0][train[1] == label].mean(axis=0) for label in (0, 1)]
    far = [((test[0] - mean) ** 2).sum(axis=1) for mean in means]
    return float(((far[1] < far[0]) == test[1]).mean())


def splits_of(design: Design, seed: int) -> list[Split]:
    files = UndrawnFiles.of([ListedFile(f"{n % 2}/{n}.png", str(n % 2), None) for n in range(design.pictures)])
    settings = design.settings.model_copy(update={"seed": seed})
    return [
        make_split(files, settings.model_copy(update={"number": number})) for number in range(1, settings.several + 1)
    ]


def one_experiment(design: Design, seed: int, ahead: float) -> tuple[list[SplitEvidence], float]:
    """What is known of both learners, and the first one's accuracy on pictures that nobody has seen."""
    generator = np.random.default_rng(seed)
    features, labels = drawn(design.pictures, design.apart, generator)
    if ahead:
        features[:, :FEATURES] += ahead / np.sqrt(FEATURES) * (labels - 0.5)[:, None]
    fresh = drawn(2_000, design.apart, generator)
    figures: list[dict[int, dict[int, float]]] = [{}, {}]
    true = []
    found = splits_of(design, seed)
    for number, split in enumerate(found, start=1):
        for place, half in enumerate((slice(0, FEATURES), slice(FEATURES, None))):
            train, test = ((features[rows][:, half], labels[rows]) for rows in (split.train, split.test))
            figures[place][number] = {0: accuracy(train, test)}
            if not place:
                true.append(accuracy(train, (fresh[0][:, half], fresh[1])))
    tested = max(split.tested or 0.0 for split in found)
    scale = Scale.of("accuracy", (0.0, 1.0), labels)
    return [SplitEvidence(one, tested, scale) for one in figures], float(np.mean(true))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1_000, help="made-up data sets a design")
    asked = parser.parse_args()
    print("| pictures | splits | accuracy | coverage | false claims | of the plain t test | ahead, found |")
    print("|---|---|---|---|---|---|---|")
    for pictures in (60, 150, 500):
        for settings in (
            SplitSettings(repeats=5),
            SplitSettings(repeats=10),
            SplitSettings(folds=5),
            SplitSettings(folds=10),
            SplitSettings(folds=5, repeats=2),
        ):
            for apart in (1.5, 4.0):
                row(Design(pictures, settings, apart), asked.repeats)


def row(design: Design, repeats: int) -> None:
    """Measure and print one design."""
    held, claimed, plain, found, true, estimates = 0, 0, 0, 0, [], []
    for seed in range(repeats):
        (ours, theirs), of_first = one_experiment(design, seed, 0.0)
        true.append(of_first)
        estimates.append(estimate_over_splits(ours))
        verdict = corrected({"": paired_over_splits(ours, theirs, "max")}, "max")[""]
        claimed += verdict.outcome in ("better", "worse")
        numbers = list(ours.by_split)
        differences = ours.of_splits(numbers) - theirs.of_splits(numbers)
        plain += bool(np.ptp(differences) > 0 and stats.ttest_1samp(differences, 0).pvalue < 0.05)
        (better, theirs), _ = one_experiment(design, seed, 0.6)
        found += corrected({"": paired_over_splits(better, theirs, "max")}, "max")[""].outcome == "better"
    expected = float(np.mean(true))
    held = sum(one.low <= expected <= one.high for one in estimates)
    print(
        f"| {design.pictures} | {design.name} | {expected:.3f} | {held / repeats:.3f} | {claimed / repeats:.3f} | "
        f"{plain / repeats:.3f} | {found / repeats:.3f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
