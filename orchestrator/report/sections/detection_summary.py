"""What came out of detection and what to beware of, in sentences."""

from collections.abc import Sequence

import numpy as np

from orchestrator.families import FAMILIES
from orchestrator.report.document.formatting import number, printable, words
from orchestrator.report.numbers.measured import Standing
from orchestrator.report.numbers.predictions import VariantScores
from orchestrator.report.numbers.run_data import RunData

MOST_VARIANTS = 12


def threshold_sentence(data: RunData, rows: Sequence[Standing]) -> list[str]:
    """TPR and TNR of every variant at its own chosen threshold, in the order of `rows`."""
    said = []
    for row in rows[:MOST_VARIANTS]:
        if {"tpr", "tnr"} <= row.estimates.keys():
            chosen = {one.threshold.strategy: None for one in data.completed[row.variant] if one.threshold is not None}
            by = f" ({words([printable(name) for name in chosen])})" if chosen else ""
            tpr, tnr = (number(row.estimates[name].mean) for name in ("tpr", "tnr"))
            said.append(f"{printable(row.variant)} {tpr} / {tnr}{by}")
    if not said:
        return []
    return [f"TPR / TNR on test, at the threshold that validation chose: {'; '.join(said)}."]


def losing_sentences(data: RunData, rows: Sequence[Standing]) -> list[str]:
    """Which deep families the baseline beats, and which do not beat it; a deep family must win to matter."""
    lost: list[str] = []
    behind: list[str] = []
    for row in rows:
        comparison, family = row.comparisons.get(data.metric), FAMILIES.get(row.family)
        if comparison is None or not comparison.difference.seeds or (family is not None and family.cheap):
            continue
        difference = comparison.difference.mean
        if comparison.outcome == "worse":
            lost.append(printable(row.variant))
        elif comparison.outcome == "not significant" and (difference <= 0 if data.mode == "max" else difference >= 0):
            behind.append(printable(row.variant))
    base = printable(data.baseline)
    lines = []
    if lost:
        lines.append(f"{words(lost, MOST_VARIANTS)} {'loses' if len(lost) == 1 else 'lose'} to the baseline {base}.")
    if behind:
        means = "its mean is" if len(behind) == 1 else "their means are"
        verb = "does" if len(behind) == 1 else "do"
        lines.append(
            f"{words(behind, MOST_VARIANTS)} {verb} not beat the baseline {base}: {means} not better, and the "
            "difference is not significant."
        )
    return lines


def has_normals_only(scores: dict[str, VariantScores]) -> bool | None:
    """Whether validation holds no anomaly; None where its scores were not kept."""
    kept = [one for found in scores.values() for one in found.validation if one is not None]
    return not any(bool(np.any(one.labels == 1)) for one in kept) if kept else None


def detection_notices(data: RunData, scores: dict[str, VariantScores]) -> list[str]:
    """What holds for every figure of this run."""
    lines = []
    if has_normals_only(scores):
        lines.append(
            "Validation holds normal pictures only: nothing was chosen by a detection metric, and every threshold is a "
            "rule on the scores of normals."
        )
    if data.moved_anomalies:
        together = ", whole source pictures together" if data.grouped else ""
        lines.append(
            f"{100 * data.moved_anomalies:g} % of the test part's anomalies were moved to validation{together}: "
            "thresholds and trials were chosen with them, and the test figures are of the rest."
        )
    return lines
