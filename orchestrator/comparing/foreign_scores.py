"""The columns of another tool's file -> scores and verdicts of one model on the run's test pictures, each checked."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.comparing.foreign_table import SHOWN, ForeignTable, NotOfThisRun, said
from orchestrator.data.files.csv_table import column_key
from orchestrator.report.document.formatting import plural, printable, words
from orchestrator.report.numbers.predictions import VariantScores
from orchestrator.scoring.confusion_counts import verdict_rates
from orchestrator.scoring.judged import Classified, Detected
from orchestrator.scoring.metric_table import graded, metrics_of
from orchestrator.scoring.metrics import SUM_TOLERANCE, check_scores
from trainables.interface import Task

VERDICTS = ("verdict", "prediction")
NORMAL = frozenset({"0", "0.0", "false", "normal", "good", "ok"})
ANOMALOUS = frozenset({"1", "1.0", "true", "anomaly", "anomalous", "abnormal", "defect", "defective"})


@dataclass(frozen=True)
class Answers:
    """What one model answered once, on all test pictures of the run, in their order."""

    scores: NDArray[np.float64]
    """Classification (N, C): probabilities, or 1 for the class that was named. Detection (N,): anomaly scores, or 1 for
    what was called an anomaly."""
    verdicts: NDArray[np.bool_] | None
    """Detection: (N,) what is called an anomaly; None: the file does not say."""
    metrics: dict[str, float]


@dataclass(frozen=True)
class ScoreColumns:
    """Which columns of a file hold what, for one run's test part."""

    table: ForeignTable
    task: Task
    truth: VariantScores
    """The run's own, for its pictures, labels and classes."""

    def check(self) -> None:
        """NotOfThisRun where the columns hold no answers that this task can be judged by."""
        table, classes = self.table, self.truth.classes
        if self.task == "detection":
            if table.first_of("score", *VERDICTS) is None:
                raise NotOfThisRun(
                    f"{table.name}: it holds no answers. Of detection a file needs, beside `path`, a column `score` "
                    "(higher is stranger), with `threshold` or `verdict` where there is a line; or `verdict` "
                    f"alone (normal or anomaly). {self._has()}"
                )
            return
        missing = [name for name in classes if self._column(name) not in table.columns]
        if missing and (len(missing) < len(classes) or table.first_of(*VERDICTS) is None):
            raise NotOfThisRun(
                f"{table.name}: it holds no probability of {words([printable(name) for name in missing], 12)}. Of this "
                "run a file needs, beside `path`, one column a class with its probability, named as the run's classes "
                f"({words([printable(name) for name in classes], 12)}); or a column `prediction` with the class that "
                f"was named. {self._has()}"
            )

    def _column(self, name: str) -> str:
        """The key of a class's column: its name, or what `orchestrate predict` makes of it."""
        plain, ours = column_key(name), column_key(f"probability_{name}")
        return ours if ours in self.table.columns and plain not in self.table.columns else plain

    def _has(self) -> str:
        return f"It has the columns {words(list(self.table.headed.values()), 12)}."

    @property
    def used(self) -> set[str]:
        """The keys of the columns that say something here."""
        answers = (
            {"score", "threshold"} if self.task == "detection" else {self._column(one) for one in self.truth.classes}
        )
        return {"path", "label", *VERDICTS, *answers}

    @property
    def _as_kept(self) -> NDArray[np.int64]:
        """The pictures in the order in which the run judged its own: the same numbers then add up to the same bits."""
        return np.argsort(self.truth.orders[0])

    def answers(self, rows: Sequence[int]) -> Answers:
        """What stands in these rows, one a test picture in their order. InputError where it breaks a rule."""
        self._check_labels(rows)
        return self._detected(rows) if self.task == "detection" else self._classified(rows)

    def _check_labels(self, rows: Sequence[int]) -> None:
        """The file's labels must be the run's: else other things were judged."""
        if "label" not in self.table.columns:
            return
        given = self._named("label", rows)
        wrong = np.flatnonzero(given != self.truth.labels)
        if len(wrong):
            names = self.truth.classes or ("normal", "anomaly")
            examples = [
                f"{printable(os.fsdecode(self.truth.paths[place]))} is {printable(names[given[place]])} there and "
                f"{printable(names[self.truth.labels[place]])} here"
                for place in wrong[:SHOWN]
            ]
            raise self.table.refused(
                f"its labels are not the run's for {plural(len(wrong), 'test picture')} of {len(rows)}: "
                f"{'; '.join(examples)}. Both must be judged by the same truth."
            )

    def _named(self, key: str, rows: Sequence[int]) -> NDArray[np.int64]:
        """The class that a cell names, as its place in the run's classes."""
        cells, classes = self.table.texts(key, rows), self.truth.classes
        places = {said(name): place for place, name in enumerate(classes)}
        if self.task == "detection":
            places |= dict.fromkeys(NORMAL, 0) | dict.fromkeys(ANOMALOUS, 1)
        found = [places.get(said(cell)) for cell in cells]
        bad = [row for row, place in zip(rows, found, strict=True) if place is None]
        if bad:
            allowed = "normal or anomaly, or 0 or 1" if self.task == "detection" else "a class of the run: "
            allowed += "" if self.task == "detection" else words([printable(name) for name in classes], 12)
            raise self.table.refused(
                f"column `{self.table.headed[key]}` holds {printable(self.table.columns[key][bad[0]])!r} "
                f"({self.table.rows(bad)}); it must be {allowed}."
            )
        return np.array(found, dtype=np.int64)

    def _classified(self, rows: Sequence[int]) -> Answers:
        classes, key = self.truth.classes, self.table.first_of(*VERDICTS)
        named = None if key is None else self._named(key, rows)
        if all(self._column(name) in self.table.columns for name in classes):
            # Laid out as a run keeps its own, for the same reason as `_as_kept`.
            columns = [self.table.numbers(self._column(name), rows) for name in classes]
            scores = np.ascontiguousarray(np.stack(columns, axis=1))
            self._check_probabilities(scores, rows)
            if named is not None:
                self._check_named(named, scores, rows)
            return Answers(scores, None, self._graded(scores))
        assert named is not None
        scores = np.eye(len(classes))[named]
        # A class that was named has no probability: only what counts rights and wrongs is defined.
        counts = {row.name for row in metrics_of("classification") if row.worth is not None}
        return Answers(scores, None, {name: one for name, one in self._graded(scores).items() if name in counts})

    def _graded(self, scores: NDArray[np.float64]) -> dict[str, float]:
        order, classes = self._as_kept, self.truth.classes
        labels = self.truth.labels[order]
        return graded("classification", Classified(check_scores(scores[order], labels, classes), labels, classes))

    def _check_probabilities(self, given: NDArray[np.float64], rows: Sequence[int]) -> None:
        sums = given.sum(axis=1)
        bad = np.flatnonzero((given < 0).any(axis=1) | (np.abs(sums - 1) > SUM_TOLERANCE))
        if len(bad):
            raise self.table.refused(
                f"the probabilities of {plural(len(bad), 'row')} are negative or do not sum to 1 "
                f"({self._rows(rows, bad)}; the first sum is {sums[bad[0]]:.4g}). Logits need a softmax first; or "
                "leave them out and give `prediction`."
            )

    def _check_named(self, named: NDArray[np.int64], scores: NDArray[np.float64], rows: Sequence[int]) -> None:
        """The class that was named must be a most probable one: else there are two answers."""
        wrong = np.flatnonzero(scores[np.arange(len(rows)), named] < scores.max(axis=1))
        if len(wrong):
            raise self.table.refused(
                f"`{self.table.first_of(*VERDICTS)}` is not the most probable class in {plural(len(wrong), 'row')} "
                f"({self._rows(rows, wrong)}). Leave out one of the two answers."
            )

    def _rows(self, rows: Sequence[int], places: NDArray[np.intp]) -> str:
        """Those of the rows that stand in these places, in words."""
        return self.table.rows(rows[int(place)] for place in places)

    def _detected(self, rows: Sequence[int]) -> Answers:
        order, table = self._as_kept, self.table
        labels = self.truth.labels[order]
        scores = table.numbers("score", rows) if "score" in table.columns else None
        key = table.first_of(*VERDICTS)
        verdicts = None if key is None else self._named(key, rows) == 1
        if scores is not None and "threshold" in table.columns:
            lines = table.numbers("threshold", rows)
            above = scores > lines
            if verdicts is not None:
                # On the line itself tools differ, and the verdict says what this one does.
                unlike = np.flatnonzero((above != verdicts) & (scores != lines))
                if len(unlike):
                    raise table.refused(
                        f"`{table.headed[key or '']}` and `threshold` disagree in {plural(len(unlike), 'row')} "
                        f"({self._rows(rows, unlike)}): a score above the threshold is an anomaly. "
                        "Leave out one of the two."
                    )
            verdicts = above if verdicts is None else verdicts
        found: dict[str, float] = {} if scores is None else graded("detection", Detected(scores[order], labels))
        found |= {} if verdicts is None else verdict_rates(verdicts[order], labels)
        ordered = {row.name: found[row.name] for row in metrics_of("detection") if row.name in found}
        if scores is None:
            assert verdicts is not None
            scores = verdicts.astype(np.float64)
        return Answers(scores, verdicts, ordered)
