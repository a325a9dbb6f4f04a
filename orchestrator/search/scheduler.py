"""ASHA whose rungs are rebuilt from the records, so that a resumed search stops what the undisturbed one would have."""

from collections.abc import Iterable
from typing import Literal

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from orchestrator.artifacts.records import TrialRecord
from trainables.interface import Mode

GRACE_SHARE = 4
"""ASHA stops no trial in the first quarter of the epochs: plateau schedules and warm BatchNorm need that long."""
REDUCTION = 3
"""One trial in so many goes on from each rung."""


def scheduler(
    kind: Literal["asha", "none"],
    epochs: int,
    metric: str,
    mode: Mode,
    earlier: Iterable[TrialRecord] = (),
) -> TrialScheduler:
    """ASHA by epochs (Li et al. 2020, arXiv 1810.05934) that knows the `earlier` trials, or none.

    A one-epoch family is never stopped by it.
    """
    if kind == "none" or epochs < 2:
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    asha = ASHAScheduler(
        time_attr="epoch", max_t=epochs, grace_period=max(1, epochs // GRACE_SHARE), reduction_factor=REDUCTION
    )
    sign = 1.0 if mode == "max" else -1.0
    for bracket in asha._brackets:
        for milestone, recorded in bracket._rungs:
            for record in earlier:
                values = [row[metric] for row in record.history[: int(milestone)] if metric in row]
                if len(record.history) >= milestone and values:
                    # What a trial reports is its best value so far.
                    recorded[f"record {record.trial}"] = max(sign * value for value in values)
    return asha
