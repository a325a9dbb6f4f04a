"""ASHA: rungs rebuilt from records decide as those of the undisturbed search."""

from typing import Any

import numpy as np
import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.search_methods import SCHEDULERS
from orchestrator.search.asha import asha

EPOCHS = 12


class Reporting:
    """As much of a Tune trial as a scheduler looks at."""

    def __init__(self, number: int) -> None:
        self.trial_id = f"trial-{number}"
        self.config = {"number": number}


def curves(count: int, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.uniform(0.2, 1) * np.linspace(0.3, 1, EPOCHS) + random.normal(0, 0.05, EPOCHS) for _ in range(count)]


def play(scheduler: Any, numbers: range, values: list[np.ndarray], mode: str) -> dict[int, int]:
    """One trial after the other; after how many epochs each is stopped."""
    best = np.maximum if mode == "max" else np.minimum
    stopped = {}
    for number in numbers:
        trial: Trial = Reporting(number)  # type: ignore[assignment]
        scheduler.on_trial_add(None, trial)
        told = best.accumulate(values[number])
        for epoch in range(1, EPOCHS + 1):
            decision = scheduler.on_trial_result(None, trial, {"epoch": epoch, "objective": told[epoch - 1]})
            stopped[number] = epoch
            if decision == ASHAScheduler.STOP:
                break
    return stopped


def record(number: int, values: np.ndarray, epochs: int) -> TrialRecord:
    rows = [{"epoch": float(epoch + 1), "roc_auc": float(values[epoch])} for epoch in range(epochs)]
    origin = dict.fromkeys(("experiment", "data", "split", "code", "device", "host", "finished"), "")
    return TrialRecord.model_validate(
        {
            "stage": "search", "family": "f", "variant": "v", "trial": number, "seed": 0, "split": "validation",
            "config": {}, "history": rows, "status": "completed", "seconds": 1.0,
            "provenance": {**origin, "packages": {}},
        }
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("killed_after", [1, 4, 9])
def test_a_resumed_search_stops_what_the_undisturbed_one_stops(mode: Any, killed_after: int) -> None:
    values = curves(16, 3)

    def fresh(earlier: tuple[TrialRecord, ...] = ()) -> Any:
        found = asha(EPOCHS, "roc_auc", mode, earlier)
        found.set_search_properties("objective", mode)
        return found

    whole = play(fresh(), range(16), values, mode)
    assert len(set(whole.values())) > 1, "some are stopped and some are not"
    records = tuple(record(number, values[number], whole[number]) for number in range(killed_after))
    rest = play(fresh(records), range(killed_after, 16), values, mode)
    assert rest == {number: whole[number] for number in range(killed_after, 16)}


def test_a_spared_trial_runs_to_its_end_and_the_others_are_stopped_as_ever() -> None:
    values = curves(16, 3)

    def stops(spared: tuple[int, ...]) -> dict[int, int]:
        found: Any = asha(EPOCHS, "roc_auc", "max", (), spared)
        found.set_search_properties("objective", "max")
        return play(found, range(16), values, "max")

    whole = stops(())
    number = min(whole, key=lambda one: (whole[one], one))
    assert whole[number] < EPOCHS
    spared = stops((number,))
    assert spared[number] == EPOCHS
    before = range(number)
    assert [spared[one] for one in before] == [whole[one] for one in before]
    assert set(spared.values()) > {EPOCHS}


def test_one_epoch_is_never_stopped() -> None:
    assert isinstance(SCHEDULERS["asha"].make(1, "roc_auc", "max", ()), FIFOScheduler)
    assert isinstance(SCHEDULERS["none"].make(30, "roc_auc", "max", ()), FIFOScheduler)
