"""What a run seeks: its task, which class is normal, the metric of the search and that of the tables."""

import math
import shlex
from dataclasses import dataclass, replace

from orchestrator.data.layouts.listing import Listing
from orchestrator.data.layouts.names import same_name
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.messages import unknown_key
from orchestrator.families import FAMILIES, family_row
from orchestrator.scoring.metric_table import (
    GROUP,
    METRICS,
    Metric,
    default_metric,
    metric_mode,
    metric_row,
    metrics_of,
)
from orchestrator.scoring.thresholds import DEFAULT_STRATEGIES, parse_strategy, usable
from trainables.errors import InputError
from trainables.interface import Mode, Task
from trainables.own_code import installed, is_own
from trainables.speed import NO_LIMITS, Limits

VALIDATION_LOSS = "validation_loss"
"""Not a metric of scores: what training itself minimises, the one figure that needs no known anomalies."""
WAYS_OUT = (
    f"Search by objective.metric: {VALIDATION_LOSS}, or move a share of the test anomalies to validation, such as "
    "data.split.anomalies_to_validation: 0.3 (every table then says so)."
)


@dataclass(frozen=True)
class Goal:
    """What a run seeks, with nothing left unset."""

    task: Task
    normal: str | None
    """Detection: the class that is normal."""
    metric: str
    """Sought on validation."""
    mode: Mode
    test_metric: str
    """What tables rank by."""
    strategies: tuple[str, ...]
    """Detection: the threshold strategies that validation allows, in the order of preference."""
    anomalies: bool
    """Detection: whether validation holds anomalies."""
    own: tuple[Metric, ...] = ()
    """The metrics of one's own among these."""
    limits: Limits = NO_LIMITS
    """What a winner may take at most."""

    @property
    def thresholded(self) -> bool:
        """Whether `metric` depends on where the line is drawn; a loss does not."""
        row = self.row(self.metric)
        return row is not None and row.thresholded

    @property
    def pixel(self) -> bool:
        """Whether `metric` is of pixels."""
        row = self.row(self.metric)
        return row is not None and row.pixel

    def row(self, name: str) -> Metric | None:
        """What is known of a metric; None for validation_loss."""
        return next((one for one in self.own if one.name == name), METRICS.get(name))

    def few_normals(self, count: int) -> list[str]:
        """What to say where a percentile of so many normal validation scores is as good as the largest of them."""
        if len(self.strategies) > 1 and self.anomalies:
            return []  # cross-fitting chooses among them
        rule = parse_strategy(self.strategies[0])
        if rule.name != "percentile" or rule.argument is None or rule.argument >= 100:
            return []
        # Of n scores, n (1 - q / 100) are expected above their q-th percentile.
        least = math.ceil(round(100 / (100 - rule.argument), 6))
        if count >= least:
            return []
        return [
            f"The threshold is {rule.text} of {count} normal validation pictures: of fewer than {least} that is the "
            "largest score or nearly, so one odd picture decides it. Add normal pictures, or raise "
            "data.split.validation."
        ]

    def settle(self, experiment: Experiment) -> Experiment:
        """The experiment with what was unset written out, so that its file says what was done."""
        places = {one.name: one.asked for one in self.own}
        metric, test = (places.get(name, name) for name in (self.metric, self.test_metric))
        filled = {"metric": metric, "mode": self.mode, "test_metric": test}
        update: dict[str, object] = {"objective": experiment.objective.model_copy(update=filled)}
        if self.task == "detection":
            update["threshold"] = experiment.threshold.model_copy(update={"strategies": self.strategies})
            update["data"] = experiment.data.model_copy(update={"normal": self.normal})
        return experiment.model_copy(update=update)


def task_of(experiment: Experiment) -> Task:
    """The one task of all variants; InputError where they have several."""
    tasks: dict[Task, list[str]] = {}
    for variant in experiment.families:
        tasks.setdefault(family_row(variant.family).task, []).append(variant.name)
    if len(tasks) > 1:
        sides = "; ".join(f"{task}: {', '.join(names)}" for task, names in tasks.items())
        raise InputError(f"Families of one task can be compared, and these have two ({sides}). Make two experiments.")
    return next(iter(tasks))


def check_task(experiment: Experiment, task: Task, listing: Listing) -> None:
    """InputError where the data are for families of the other task, with those that fit."""
    names = ", ".join(variant.name for variant in experiment.families)
    if task == "classification" and listing.normal is not None:
        raise InputError(
            f"{names}: for classification, and the layout {listing.layout.name} is for detection: its train part holds "
            f"normal pictures only, of which no classes can be learnt. {_that_fit('detection', listing)}"
        )
    if task == "detection" and listing.normal is None and experiment.data.normal is None:
        classes = ", ".join(sorted({file.class_name for file in listing.files}))
        raise InputError(
            f"{names}: for detection, which must know which class is normal. Set data.normal to one of: {classes}. "
            f"Or tell the classes apart: {_that_fit('classification', listing)}"
        )


def _that_fit(task: Task, listing: Listing) -> str:
    """The families of a task, and what writes a file with them."""
    fitting = ", ".join(row.name for row in FAMILIES.values() if row.task == task)
    return (
        f"Families for {task}: {fitting}. A file that fits these data: orchestrate init FILE --data "
        f"{shlex.quote(str(listing.root))}"
    )


def check_names(experiment: Experiment) -> tuple[Task, tuple[Metric, ...]]:
    """The task, and the metrics of one's own that are sought; InputError where objective or threshold name what their
    task does not have. Needs no data."""
    task = task_of(experiment)
    known = [metric.name for metric in metrics_of(task)]
    wanted = experiment.objective
    own = {}
    for key, name, more in (("metric", wanted.metric, [VALIDATION_LOSS]), ("test_metric", wanted.test_metric, [])):
        if name is not None and (is_own(name) or name in installed(GROUP)):
            own[name] = row = metric_row(name)
            if row.task != task:
                raise InputError(f"objective.{key}: {name} is for {row.task}, and these families do {task}.")
        elif name is not None and name not in (*known, *more):
            if (other := METRICS.get(name)) is not None:
                raise InputError(
                    f"objective.{key}: {name} is for {other.task}, and these families do {task}. Known metrics: "
                    f"{', '.join([*known, *more])}."
                )
            raise InputError(f"objective.{key}: {unknown_key(name, [*known, *more], noun=('metric', 'metrics'))}")
    if task == "classification" and (experiment.threshold.strategies or experiment.threshold.search):
        raise InputError("threshold is for detection, and these families classify. Leave the section out.")
    sought = None if wanted.metric is None else own.get(wanted.metric, METRICS.get(wanted.metric))
    if experiment.threshold.search and wanted.metric is not None and (sought is None or not sought.thresholded):
        names = ", ".join(metric.name for metric in metrics_of(task) if metric.thresholded)
        raise InputError(
            f"threshold.search draws a strategy as a hyperparameter, and {wanted.metric} does not depend on it. "
            f"Set objective.metric to one that does: {names}."
        )
    return task, tuple(own.values())


def goal_of(
    experiment: Experiment, listing: Listing, task: Task, own: tuple[Metric, ...] = ()
) -> tuple[Goal, list[str]]:
    """What is sought on these data, with remarks; InputError where validation can't tell it.

    `task` and `own`: what `check_names` has given of this experiment.
    """
    wanted, remarks = experiment.objective, list[str]()
    names: dict[str | None, str] = {one.asked: one.name for one in own}
    given, given_test = (names.get(name, name) for name in (wanted.metric, wanted.test_metric))
    normal: str | None = None
    strategies: tuple[str, ...] = ()
    anomalies, default = False, default_metric(task)
    if task == "detection":
        normal = _normal_class(experiment, listing)
        anomalies = has_validation_anomalies(experiment, listing, normal)
        strategies = _strategies(experiment, anomalies)
        default = "balanced_accuracy" if experiment.threshold.search else default
    elif experiment.data.normal is not None:
        remarks.append("data.normal changes nothing: these families classify.")
    metric = given or (default if task == "classification" or anomalies else VALIDATION_LOSS)
    if task == "detection" and metric != VALIDATION_LOSS and not anomalies:
        raise InputError(f"objective.metric is {metric}, and validation holds normal pictures only. {WAYS_OUT}")
    if task == "detection" and given is None and metric == VALIDATION_LOSS:
        remarks.append(
            f"Validation holds normal pictures only: trials are judged by {VALIDATION_LOSS}, and the threshold is "
            f"{strategies[0]} of normals. No detection metric chooses anything."
        )
    test = given_test or (default_metric(task) if metric == VALIDATION_LOSS else metric)
    found = Goal(task, normal, metric, "max", test, strategies, anomalies, own, wanted.limits)
    if found.limits.given and experiment.sampler != "tpe":
        remarks.append(
            f"The sampler {experiment.sampler} learns nothing of objective.constraints: it draws as without, and the "
            "winner is chosen among the trials that keep them."
        )
    row = found.row(metric)
    found = replace(found, mode=wanted.mode or (metric_mode(metric) if row is None else row.mode))
    if wanted.default_first and (row is None or row.pixel):
        allowed = ", ".join(one.name for one in metrics_of(task) if not one.pixel)
        raise InputError(
            f"objective.winner is {wanted.winner}, which asks on draws of the validation pictures how far a lead is "
            f"chance, and objective.metric is {metric}, of which no draws can be made. Search by one of {allowed}"
            f"{'' if task == 'classification' or anomalies else ', with known anomalies in validation'}; or leave "
            "objective.winner out."
        )
    masks = any(file.mask is not None for file in listing.files)
    for key, name in (("objective.metric", metric), ("objective.test_metric", test)):
        row = found.row(name)
        if row is not None and row.pixel and not masks:
            raise InputError(f"{key} is {name}, which needs masks of the defects, and {listing.root} has none.")
    return found, remarks


def has_validation_anomalies(experiment: Experiment, listing: Listing, normal: str) -> bool:
    """Whether the split will put known anomalies into validation."""
    if experiment.data.split.anomalies_to_validation > 0:
        return True
    return any(file.class_name != normal and file.part in (None, "validation") for file in listing.files)


def _normal_class(experiment: Experiment, listing: Listing) -> str:
    classes = sorted({file.class_name for file in listing.files})
    given = experiment.data.normal
    if listing.normal is not None and given not in (None, listing.normal):
        raise InputError(
            f"data.normal is {given!r}, and in the layout {listing.layout.name} the normal class is "
            f"{listing.normal!r}. Leave data.normal out."
        )
    normal = given or listing.normal
    assert normal is not None, "check_task has refused it"
    known = same_name(normal, classes)
    if known is None:
        raise InputError(f"data.normal: {unknown_key(normal, classes, noun=('class', 'classes'))}")
    return known


def _strategies(experiment: Experiment, anomalies: bool) -> tuple[str, ...]:
    given = experiment.threshold.strategies
    fitting = tuple(strategy.text for strategy in usable(given or DEFAULT_STRATEGIES, anomalies))
    refused = [text for text in given if text not in fitting]
    if refused:
        raise InputError(
            f"threshold.strategies: known anomalies are needed for {', '.join(refused)}, and validation holds normal "
            "pictures only. Use percentile(q), mean_std(k) or max_normal, or move a share of the test anomalies to "
            "validation (data.split.anomalies_to_validation: 0.3)."
        )
    return fitting
