"""The sections that only a report of detection has."""

from collections.abc import Sequence
from functools import cached_property

import pandas as pd

from orchestrator.report.document.document import Block, Charts, Fold, Section
from orchestrator.report.document.formatting import plural, printable, words
from orchestrator.report.figures.curve_figures import curve_charts, curve_frame, read_curves
from orchestrator.report.figures.score_figures import score_chart
from orchestrator.report.numbers import thresholds
from orchestrator.report.numbers.predictions import VariantScores, pixel_histograms, read_scores
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.sections.audit import audit_section, groups_near_duplicates
from orchestrator.report.sections.detection_summary import detection_notices, has_normals_only
from orchestrator.report.sections.kinds import kind_frame, kind_tables


def how_detection(data: RunData) -> tuple[str, ...]:
    """How the figures of detection are made."""
    if data.grouped:
        drawn = "whole source pictures, so that patches of one picture stay together"
    elif groups_near_duplicates(data):
        drawn = "whole groups of near-duplicates, so that pictures that show all but the same stay together"
    else:
        drawn = "pictures, copies of one file together"
    return (
        "A picture is called an anomaly where its score is above the threshold. Each cell's threshold is the chosen "
        "strategy, fitted to this cell's own validation scores; TPR, TNR, balanced accuracy and F1 are at that "
        "threshold, ROC-AUC and average precision need none.",
        f"The bootstrap draws {drawn}; a draw without normals or without anomalies is drawn again.",
        "Pixel ROC-AUC and PRO-AUC compare anomaly maps with masks, over pictures whose mask is known. PRO-AUC is the "
        "mean overlap of each 8-connected defect region, integrated over pixel false-positive rates from 0 to 0.3 and "
        "divided by 0.3; its bootstrap works on histograms of the maps.",
    )


class Detection:
    """What the kept scores of one run give, read once."""

    def __init__(self, data: RunData, variants: Sequence[str]) -> None:
        """`variants`: those with figures on test, best first."""
        self.data, self.variants = data, list(variants)
        read = {name: read_scores(data, data.completed[name])[0] for name in variants}
        self.scores: dict[str, VariantScores] = {name: kept for name, kept in read.items() if kept is not None}
        self.folds = thresholds.compared_by(data, self.scores)
        self.curves = read_curves(self.scores)
        self.frames: dict[str, pd.DataFrame] = {
            "thresholds": thresholds.threshold_frame(data, self.scores),
            "per_kind": kind_frame(data),
            "curves": curve_frame(self.curves),
        }

    @cached_property
    def notices(self) -> list[str]:
        """What holds for every figure of this run."""
        return detection_notices(self.data, self.scores)

    @cached_property
    def facts(self) -> list[tuple[str, str]]:
        """What the kept scores say of the data."""
        facts: list[tuple[str, str]] = []
        for kept in list(self.scores.values())[:1]:
            normal, anomalous = int((kept.labels == 0).sum()), int((kept.labels == 1).sum())
            sources = len(set(kept.groups.tolist()))
            unit = "source picture" if self.data.grouped else "different picture"
            unit = "group of near-duplicates" if groups_near_duplicates(self.data) else unit
            of = "" if sources == len(kept.labels) else f", of {plural(sources, unit)}"
            facts.append(("Test pictures", f"{normal} normal, {anomalous} anomalous{of}"))
            for one in [one for one in kept.validation if one is not None][:1]:
                normal, anomalous = int((one.labels == 0).sum()), int((one.labels == 1).sum())
                facts.append(("Validation pictures", f"{normal} normal, {anomalous} anomalous"))
        for name in self.scores:
            histograms, _ = pixel_histograms(self.data, self.data.completed[name])
            if histograms:
                first = histograms[0]
                text = f"{plural(len(first.regions), 'defect region')}"
                if first.pictures_left_out:
                    text += f"; {plural(first.pictures_left_out, 'picture')} without a known mask left out"
                if first.dropped:
                    text += f"; {plural(first.dropped, 'mask')} with nothing in it at this size dropped"
                facts.append(("Pixel metrics", text))
                break
        return facts

    @cached_property
    def results(self) -> list[Section]:
        """Thresholds, scores and kinds, those that have something to show."""
        found = (self._thresholds(), self._scores(), self._kinds())
        return [section for section in found if section is not None]

    @cached_property
    def audit(self) -> Section:
        """Who read the test part, and which part chose what."""
        return audit_section(self.data, has_normals_only(self.scores), self.folds)

    def _thresholds(self) -> Section | None:
        frame = self.frames["thresholds"]
        if frame.empty:
            return None
        names = [name for name in self.variants if name in set(frame["variant"])]
        folds = [
            Fold(printable(name), [thresholds.variant_table(self.data, frame, name)], opened=name == names[0])
            for name in names
        ]
        why = thresholds.how_chosen(self.data, has_normals_only(self.scores), self.folds)
        text = [
            "A strategy turns validation scores into a threshold, and costs no training.",
            f"Of the one in use: {why}. The figures here are of the test part, and chose nothing.",
        ]
        missing = [printable(name) for name in names if all(one is None for one in self.scores[name].validation)]
        if missing:
            text.append(f"Only the threshold in use is known, since validation scores were not kept: {words(missing)}.")
        table = thresholds.overview_table(self.data, frame, names)
        return Section("thresholds", "Thresholds", [" ".join(text)], [table, *folds])

    def _scores(self) -> Section | None:
        histograms = [
            score_chart(self.data, name, kept, f"scores{place}")
            for place, (name, kept) in enumerate(self.scores.items())
        ]
        shown = [chart for chart in histograms if chart is not None]
        curves = curve_charts(self.data, self.scores, self.curves)
        blocks: list[Block] = [Charts(charts) for charts in (curves, shown) if charts]
        return Section("scores", "Scores", blocks=blocks) if blocks else None

    def _kinds(self) -> Section | None:
        frame = self.frames["per_kind"]
        tables = [] if frame.empty else kind_tables(self.data, frame, self.variants)
        return Section("kinds", "Kinds of anomalies", blocks=tables) if tables else None
