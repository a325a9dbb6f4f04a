"""What may stop a trial before its last epoch: ASHA whose rungs are rebuilt from the records, or nothing."""

from collections.abc import Iterable

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from orchestrator.artifacts.records import TrialRecord
from trainables.interface import Mode

GRACE_SHARE = 4
"""ASHA stops no trial in the first quarter of the epochs: plateau schedules and warm BatchNorm need that long."""
REDUCTION = 3
"""One trial in so many goes on from each rung."""


def asha(epochs: int, metric: str, mode: Mode, earlier: Iterable[TrialRecord]) -> TrialScheduler:
    """ASHA by epochs (Li et al. 2020, arXiv 1810.05934) that knows the `earlier` trials.

    So a resumed search stops what the undisturbed one would have.
    """
    if epochs < 2:
        return no_scheduler(epochs, metric, mode, earlier)  # what is done after one epoch can't be stopped before
    scheduler = ASHAScheduler(
        time_attr="epoch", max_t=epochs, grace_period=max(1, epochs // GRACE_SHARE), reduction_factor=REDUCTION
    )
    sign = 1.0 if mode == "max" else -1.0
    for bracket in scheduler._brackets:
        for milestone, recorded in bracket._rungs:
            for record in earlier:
                values = [row[metric] for row in record.history[: int(milestone)] if metric in row]
                if len(record.history) >= milestone and values:
                    # What a trial reports is its best value so far.
                    recorded[f"record {record.trial}"] = max(sign * value for value in values)
    return scheduler


def no_scheduler(epochs: int, metric: str, mode: Mode, earlier: Iterable[TrialRecord]) -> TrialScheduler:
    """Every trial runs to its end."""
    return FIFOScheduler()  # type: ignore[no-untyped-call]
