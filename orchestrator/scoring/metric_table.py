"""The one table of metrics: what each is called, which way is better, what it needs, and how it is computed.

A row says all of a metric. `value` is computed from pictures as they are, `resampled` on many draws of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainables.errors import InputError
from trainables.interface import Mode, Task
from trainables.own_code import OwnRow, described, installed, place_behind

if TYPE_CHECKING:
    from orchestrator.scoring.defects import BinnedRanks
    from orchestrator.scoring.judged import Classified, Detected, DrawnAnomalies, DrawnClasses

Floats = NDArray[np.float64]
Needs = Literal["scores", "threshold", "masks"]
Worth = Literal["pictures", "classes", "anomalies", "normals"]
GROUP = "anomaly_orchestrator.metrics"
"""The entry points by which an installed package offers metrics."""


@dataclass(frozen=True)
class Metric(OwnRow):
    """One number that a prediction is judged by."""

    name: str
    """As an experiment file, records and tables of numbers have it."""
    label: str
    """As prose has it."""
    task: Task
    mode: Mode
    """Which way is better."""
    meaning: str
    """One line for lists and captions."""
    value: Callable[[Any], float | None] | None
    """(a `Classified`, or a `Detected`) -> the figure; None, or NaN, where it is not defined. Of a row that was read
    from a run's folder, where no code is kept, None."""
    resampled: Callable[[Any], Floats | None] | None = None
    """(`DrawnClasses`, `DrawnAnomalies`, or of pixels `BinnedRanks`) -> the figure on each draw of the test pictures,
    (draws, seeds) or of pixels (draws,); None where it is not defined. Where there is no such function, `value` is
    computed on fewer draws, and of pixels on none."""
    needs: Needs = "scores"
    """scores alone; a threshold; or anomaly maps, and masks to judge them by."""
    bounds: tuple[float, float] = (0.0, 1.0)
    """What values it can take."""
    guessed: bool = False
    """Whether guessing among C classes gives about 1 / C."""
    quoted: bool = True
    """Whether tables that have room for few columns show it."""
    worth: Worth | None = None
    """What the figure counts rights and wrongs of: all pictures; the pictures of each class, averaged over classes; the
    anomalies; or the normal pictures. None: it does not count them, as losses and figures of pixels don't."""
    proportion: bool = False
    """Whether it is plainly the share of those that were right."""

    @property
    def thresholded(self) -> bool:
        """Whether it needs a threshold."""
        return self.needs == "threshold"

    @property
    def pixel(self) -> bool:
        """Whether it is of pixels."""
        return self.needs == "masks"


def _accuracy(one: Classified) -> float:
    return float((one.predicted == one.labels).mean())


def _log_loss(one: Classified) -> float:
    from sklearn.metrics import log_loss  # seconds, which a wrong key should not cost

    return float(log_loss(one.labels, one.probabilities, labels=np.arange(len(one.classes))))


def _roc_auc(one: Detected) -> float | None:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(one.labels, one.scores)) if one.both else None


def _average_precision(one: Detected) -> float | None:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(one.labels, one.scores)) if one.both else None


def _roc_auc_drawn(drawn: DrawnAnomalies) -> Floats | None:
    return None if drawn.ranked is None else drawn.ranked[0]


def _average_precision_drawn(drawn: DrawnAnomalies) -> Floats | None:
    return None if drawn.ranked is None else drawn.ranked[1]


def _rate(name: str, label: str, meaning: str, worth: Worth, proportion: bool = False, quoted: bool = True) -> Metric:
    """A figure at a threshold, as `confusion_counts.rates` has it."""

    def value(one: Detected) -> float | None:
        return one.rates.get(name)

    def resampled(drawn: DrawnAnomalies) -> Floats | None:
        return drawn.rates.get(name)

    return Metric(
        name,
        label,
        "detection",
        "max",
        meaning,
        value,
        resampled,
        needs="threshold",
        quoted=quoted,
        worth=worth,
        proportion=proportion,
    )


def _macro_precision_drawn(drawn: DrawnClasses) -> Floats:
    return np.asarray(drawn.share(drawn.hits, drawn.predicted).mean(axis=-1))


def _macro_recall_drawn(drawn: DrawnClasses) -> Floats:
    return np.asarray(drawn.share(drawn.hits, drawn.true).mean(axis=-1))


def _macro_f1_drawn(drawn: DrawnClasses) -> Floats:
    return np.asarray(drawn.share(2 * drawn.hits, drawn.true + drawn.predicted).mean(axis=-1))


def _accuracy_drawn(drawn: DrawnClasses) -> Floats:
    return drawn.share(drawn.hits.sum(axis=-1), drawn.true.sum(axis=-1))


def _log_loss_drawn(drawn: DrawnClasses) -> Floats:
    return drawn.losses


def _pixel_roc_auc(one: Detected) -> float | None:
    return None if one.pixels is None else one.pixels.roc_auc()


def _pro_auc(one: Detected) -> float | None:
    return None if one.pixels is None else one.pixels.overlap()


def _pixel_roc_auc_drawn(drawn: BinnedRanks) -> Floats:
    return drawn.roc_auc()


def _pro_auc_drawn(drawn: BinnedRanks) -> Floats:
    return drawn.overlap()


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "macro_f1", "macro F1", "classification", "max",
            "F1 of each class, averaged with equal weight",
            lambda one: one.macro[2], _macro_f1_drawn, guessed=True, worth="pictures",
        ),
        Metric(
            "accuracy", "accuracy", "classification", "max",
            "share of samples whose most probable class is the true one",
            _accuracy, _accuracy_drawn, guessed=True, worth="pictures", proportion=True,
        ),
        Metric(
            "macro_precision", "macro precision", "classification", "max",
            "precision of each class, averaged with equal weight",
            lambda one: one.macro[0], _macro_precision_drawn, worth="pictures",
        ),
        Metric(
            "macro_recall", "macro recall", "classification", "max",
            "recall of each class, averaged with equal weight",
            lambda one: one.macro[1], _macro_recall_drawn, guessed=True, worth="classes",
        ),
        Metric(
            "log_loss", "log loss", "classification", "min",
            "mean negative log probability of the true class, in nats",
            _log_loss, _log_loss_drawn, bounds=(0.0, math.inf),
        ),
        Metric(
            "roc_auc", "ROC-AUC", "detection", "max",
            "chance that an anomaly scores higher than a normal sample",
            _roc_auc, _roc_auc_drawn, worth="classes",
        ),
        Metric(
            "average_precision", "average precision", "detection", "max",
            "precision averaged over the anomalies, from the highest score down",
            _average_precision, _average_precision_drawn, quoted=False, worth="classes",
        ),
        _rate("balanced_accuracy", "balanced accuracy", "mean of TPR and TNR at the threshold", "classes"),
        _rate("f1", "F1", "F1 of the anomalies at the threshold", "pictures", quoted=False),
        _rate("tpr", "TPR", "share of anomalies above the threshold", "anomalies", True),
        _rate("tnr", "TNR", "share of normal samples not above the threshold", "normals", True),
        Metric(
            "pixel_roc_auc", "pixel ROC-AUC", "detection", "max",
            "chance that a defect pixel scores higher than a normal one",
            _pixel_roc_auc, _pixel_roc_auc_drawn, needs="masks",
        ),
        Metric(
            "pro_auc", "PRO-AUC", "detection", "max",
            "mean share of each defect region found, over pixel FPR 0 to 0.3",
            _pro_auc, _pro_auc_drawn, needs="masks",
        ),
    )
}  # fmt: skip
"""Every metric by name, in the order of tables; of each task the first is what is sought unless told otherwise."""


def metrics_of(task: Task) -> list[Metric]:
    """The metrics of one task, in the order of tables."""
    return [metric for metric in METRICS.values() if metric.task == task]


def default_metric(task: Task) -> str:
    """What is sought, and ranked by, where an experiment says nothing."""
    return metrics_of(task)[0].name


def metric_row(name: str) -> Metric:
    """The metric of the table, of an installed package, or of one's own; InputError where there is none.

    The code of one's own is run.
    """
    if name in METRICS:
        return METRICS[name]
    place = place_behind(name, GROUP)
    if not place:
        raise InputError(f"Unknown metric {name!r}. Known metrics: {', '.join([*METRICS, *installed(GROUP)])}.")
    row = Metric.load(place, name)
    if row.name in METRICS or not row.name.isidentifier():
        raise InputError(
            f"{name!r} is a metric called {row.name!r}; it must be called otherwise than those of the package, by "
            "letters, digits and underscores."
        )
    return row


def metric_code(name: str) -> str:
    """What a metric's code is known by beside the package's version; empty: by nothing more. Runs no code."""
    place = "" if name in METRICS else place_behind(name, GROUP)
    return described(place) if place else ""


def metric_mode(name: str) -> Mode:
    """Which way a metric is better; unknown ones that name a loss or an error are better when smaller."""
    if name in METRICS:
        return METRICS[name].mode
    return "min" if "loss" in name or "error" in name else "max"


def graded(task: Task, judged: Classified | Detected, own: Sequence[Metric] = ()) -> dict[str, float]:
    """Every metric of a task, and one's `own`, that is defined, by name, in the order of tables. What is not finite is
    not defined."""
    rows = [*metrics_of(task), *own]
    found = {metric.name: metric.value(judged) for metric in rows if metric.value is not None}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}
