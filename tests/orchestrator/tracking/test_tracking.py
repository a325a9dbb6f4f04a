"""A run's events and trackers: what is told while it works, what is sent afterwards, and what a dead tracker costs."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders.classification_runs import RunBuilder
from builders.told import Told

from orchestrator import (
    EpochEnded,
    Experiment,
    InputError,
    RecordWritten,
    RunBegan,
    RunEnded,
    RunFolder,
    StageBegan,
    StageEnded,
    TrialRecord,
    open_run,
    read_records,
    run,
    track,
)
from orchestrator.artifacts.events import Event, Training
from orchestrator.machine.progress import Reporter
from orchestrator.tracking.trackers import check_tracking

QUIET = Reporter(quiet=True)
DEAD = "http://127.0.0.1:9"
pytestmark = [
    # SQLAlchemy's own, of what MLflow asks of it.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]


class Listener:
    """Keeps every event, and raises at each."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        raise ZeroDivisionError("mine")


@pytest.fixture(scope="module")
def heard() -> Listener:
    return Listener()


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def tracked(
    ray_session: None, series_tree: Path, tmp_path_factory: pytest.TempPathFactory, heard: Listener, told: Told
) -> RunFolder:
    """A small run that TensorBoard is told of, and an MLflow that is not there; tests only read it."""
    values = {
        "data": {"path": str(series_tree), "size": 32, "style": "plain"},
        "families": [
            "pca_logistic",
            {
                "name": "cnn",
                "family": "plot_classifier",
                "fixed": {"backbone": "squeezenet1_1", "weights": "none", "batch_size": 8},
            },
        ],
        "budget": {"trials": 2, "epochs": 2, "concurrent": 1},
        "seeds": [0],
        "scheduler": "none",
        "tracking": {"tensorboard": True, "mlflow": DEAD},
    }
    out = tmp_path_factory.mktemp("runs") / "first"
    return run(Experiment.from_mapping(values), out, on_event=heard, reporter=told)


def training_of(record: TrialRecord) -> Training:
    return Training.of(1, record)


def test_who_listens_hears_all_in_its_order(tracked: RunFolder, heard: Listener) -> None:
    first, last = heard.events[0], heard.events[-1]
    assert first == RunBegan(tracked, "sweep")
    assert last == RunEnded(tracked, "finished", "")
    stages = [event.stage for event in heard.events if isinstance(event, StageBegan)]
    assert stages == ["render", "search", "evaluate", "report"]
    assert stages == [event.stage for event in heard.events if isinstance(event, StageEnded)]
    records = list(read_records(tracked.records))
    written = [event for event in heard.events if isinstance(event, RecordWritten)]
    assert [event.record for event in written] == records
    assert {event.training.name for event in written} == {
        *(f"{name}/trial-{number}" for name in ("pca_logistic", "cnn") for number in (0, 1)),
        *(f"{one.variant}/seed-0-{one.cell[:8]}" for one in records if one.stage == "evaluation"),
    }
    for event in written:
        before = heard.events[: heard.events.index(event)]
        epochs = [one for one in before if isinstance(one, EpochEnded) and one.training == event.training]
        assert [{"epoch": float(one.epoch), **one.metrics} for one in epochs] == event.record.history
    assert sum(isinstance(event, EpochEnded) for event in heard.events) == sum(len(one.history) for one in records)


def test_trials_epochs_are_told_as_they_end(tracked: RunFolder, heard: Listener) -> None:
    trial = Training(1, "search", "cnn", "trial", 0)
    places = [place for place, event in enumerate(heard.events) if getattr(event, "training", None) == trial]
    assert [type(heard.events[place]) for place in places] == [EpochEnded, EpochEnded, RecordWritten]


def test_what_a_listener_raises_costs_a_word_once(tracked: RunFolder, heard: Listener, told: Told) -> None:
    assert len(heard.events) > 10
    (word,) = [line for line in told.lines if "on_event" in line]
    assert "ZeroDivisionError (mine)" in word


def test_a_dead_tracker_costs_a_word(tracked: RunFolder, told: Told) -> None:
    records = list(read_records(tracked.records))
    assert {record.status for record in records} == {"completed"}
    assert (tracked.report / "index.html").exists()
    down, missing = [line for line in told.lines if "mlflow" in line]
    assert "is down" in down
    assert "Connection refused" in down
    assert missing.startswith(f"mlflow: {len(records)} trainings are not sent")
    assert f"orchestrate track {tracked} --mlflow {DEAD}" in missing


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: {one.step: one.value for one in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def check_scalars(folder: RunFolder) -> None:
    for record in read_records(folder.records):
        found = scalars(folder.tensorboard / training_of(record).name)
        for name in record.history[0].keys() - {"epoch"}:
            steps = {int(row["epoch"]): row[name] for row in record.history}
            assert found[name] == pytest.approx(steps, rel=1e-5)
        part = "test" if record.split == "test" else "best"
        for name, value in record.metrics.items():
            if math.isfinite(value):
                assert found[f"{part}/{name}"] == pytest.approx({record.epoch: value}, rel=1e-5)


def test_tensorboard_has_every_epoch_as_a_step(tracked: RunFolder) -> None:
    check_scalars(tracked)


def test_the_studies_hold_every_epoch(tracked: RunFolder) -> None:
    from orchestrator.search.journal import open_study

    for name in ("pca_logistic", "cnn"):
        study = open_study(tracked.journal(name), name, "max")
        for record in (one for one in read_records(tracked.records) if (one.stage, one.variant) == ("search", name)):
            curve = {int(row["epoch"]): row["macro_f1"] for row in record.history}
            assert study.trials[record.trial].intermediate_values == curve


@pytest.fixture
def made(tmp_path: Path) -> RunFolder:
    """A run made without training, with trials that were pruned and failed."""
    return built(tmp_path / "made")


def built(root: Path) -> RunFolder:
    builder = RunBuilder(root, {"pca_logistic": 0.25, "resnet18": 0.9}, ("a", "b", "c"), 30)
    builder.experiment([0, 1])
    return builder.run
