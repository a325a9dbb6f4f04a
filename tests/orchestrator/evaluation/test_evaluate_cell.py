"""Which trials win."""

from builders.provenance import PROVENANCE

from orchestrator.artifacts.endings import Status
from orchestrator.artifacts.records import TrialRecord
from orchestrator.evaluation.cells import winners
from orchestrator.experiment.experiment import Experiment

EXPERIMENT = Experiment.from_mapping({"data": {"path": "x"}, "families": [{"name": "v", "family": "pca_logistic"}]})


def trial(number: int, value: float | None, status: Status = "completed") -> TrialRecord:
    return TrialRecord.model_validate(
        {
            "stage": "search",
            "family": "pca_logistic",
            "variant": "v",
            "trial": number,
            "seed": 0,
            "split": "validation",
            "config": {"C": number},
            "metrics": {} if value is None else {"m": value},
            "status": status,
            "seconds": 1.0,
            "provenance": PROVENANCE,
        }
    )


def test_best_of_the_completed_wins_either_way() -> None:
    trials = [trial(0, 0.2), trial(1, 0.9, "pruned"), trial(2, 0.5), trial(3, None, "failed"), trial(4, 0.1)]
    assert winners(EXPERIMENT, trials, "m", "max")["v"].trial == 2
    assert winners(EXPERIMENT, trials, "m", "min")["v"].trial == 4


def test_the_first_of_equals_wins() -> None:
    assert winners(EXPERIMENT, [trial(0, 0.5), trial(1, 0.5)], "m", "max")["v"].trial == 0
    in_order_of_their_end = [trial(1, 0.5), trial(2, 0.5), trial(0, 0.5)]
    assert winners(EXPERIMENT, in_order_of_their_end, "m", "max")["v"].trial == 0
    assert winners(EXPERIMENT, in_order_of_their_end, "m", "min")["v"].trial == 0


def test_where_none_completed_the_best_that_reported_wins() -> None:
    trials = [trial(0, 0.2, "timed-out"), trial(1, 0.4, "timed-out"), trial(2, None, "failed")]
    assert winners(EXPERIMENT, trials, "m", "max")["v"].trial == 1


def test_a_variant_without_any_result_has_no_winner() -> None:
    assert winners(EXPERIMENT, [trial(0, None, "failed")], "m", "max") == {}
