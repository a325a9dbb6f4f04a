"""What may stop a trial before its last epoch: ASHA whose rungs are rebuilt from the records, or nothing."""

from collections.abc import Collection, Iterable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.search_methods import GRACE_SHARE, REDUCTION
from trainables.interface import Mode


def asha(
    epochs: int, metric: str, mode: Mode, earlier: Iterable[TrialRecord], spared: Collection[int] = ()
) -> TrialScheduler:
    """ASHA by epochs (Li et al. 2020, arXiv 1810.05934) that knows the `earlier` trials.

    So a resumed search stops what the undisturbed one would have. `spared`: the numbers of trials that it never stops,
    though others are measured by them.
    """
    if epochs < 2:
        return no_scheduler(epochs, metric, mode, earlier)  # what is done after one epoch can't be stopped before
    scheduler = Sparing(
        time_attr="epoch", max_t=epochs, grace_period=max(1, epochs // GRACE_SHARE), reduction_factor=REDUCTION
    )
    scheduler.spared = spared
    sign = 1.0 if mode == "max" else -1.0
    for bracket in scheduler._brackets:
        for milestone, recorded in bracket._rungs:
            for record in earlier:
                values = [row[metric] for row in record.history[: int(milestone)] if metric in row]
                if len(record.history) >= milestone and values:
                    # What a trial reports is its best value so far.
                    recorded[f"record {record.trial}"] = max(sign * value for value in values)
    return scheduler


class Sparing(ASHAScheduler):
    """ASHA that lets some trials run to their end."""

    spared: Collection[int] = ()
    """Their numbers."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """What is to be done with a trial after an epoch."""
        asked: str = super().on_trial_result(tune_controller, trial, result)
        spared = bool(self.spared) and trial.config["number"] in self.spared
        return TrialScheduler.CONTINUE if spared else asked


def no_scheduler(
    epochs: int, metric: str, mode: Mode, earlier: Iterable[TrialRecord], spared: Collection[int] = ()
) -> TrialScheduler:
    """Every trial runs to its end."""
    return FIFOScheduler()  # type: ignore[no-untyped-call]
