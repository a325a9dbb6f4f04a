"""A run's events and trackers: what is told while it works, what is sent afterwards, and what a dead tracker costs."""

import json
import math
import shutil
import socket
from collections.abc import Callable, Iterator
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
    read_records,
    run,
    track,
)
from orchestrator.artifacts.events import Event, Events, Training
from orchestrator.experiment.of_a_run import differing
from orchestrator.machine.progress import Reporter
from orchestrator.tracking import trackers
from orchestrator.tracking.delivery import Delivery
from orchestrator.tracking.sender import Sender
from orchestrator.tracking.sent import Sent
from orchestrator.tracking.tracker import kept_files

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
        "cnn/trial-0",
        "cnn/trial-1",
        *(f"cnn/seed-0-{one.cell[:8]}" for one in records if one.stage == "evaluation"),
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
    assert f"orchestrate track {tracked.root} --mlflow {DEAD}" in missing


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: {one.step: one.value for one in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def check_scalars(folder: RunFolder) -> None:
    for record in read_records(folder.records):
        found = scalars(folder.tensorboard / training_of(record).name)
        for name in {name for row in record.history for name in row} - {"epoch"}:
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

    study = open_study(tracked.journal("cnn"), "cnn", "max")
    for record in (one for one in read_records(tracked.records) if one.stage == "search"):
        curve = {int(row["epoch"]): row["macro_f1"] for row in record.history}
        assert study.trials[record.trial].intermediate_values == curve


@pytest.fixture
def made(tmp_path: Path) -> RunFolder:
    """A run made without training, with trials that were pruned and that failed."""
    builder = RunBuilder(tmp_path / "made run", {"pca_logistic": 0.25, "resnet18": 0.9}, ("a", "b", "c"), 30)
    builder.experiment([0, 1])
    for number, status in enumerate(("completed", "pruned", "failed")):
        builder.trial("resnet18", number, status)
    builder.cell("resnet18", 0)
    builder.run.report.mkdir()
    (builder.run.report / "index.html").write_text("<p>a report", encoding="utf-8")
    return builder.run


def test_tensorboard_is_written_afterwards_and_once(made: RunFolder, orchestrate: Callable[..., Any]) -> None:
    called = orchestrate("track", made.root, "--tensorboard", "--json")
    assert called.code == 0
    assert json.loads(called.out) == {"tensorboard": 4}
    check_scalars(made)
    files = {path: path.stat().st_mtime_ns for path in made.tensorboard.rglob("*") if path.is_file()}
    assert track(made, tensorboard=True, reporter=QUIET) == {"tensorboard": 0}
    assert {path: path.stat().st_mtime_ns for path in made.tensorboard.rglob("*") if path.is_file()} == files


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An MLflow database; its tables take seconds to make."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'm.db'}"


def runs_of(database: str, folder: RunFolder) -> dict[str, Any]:
    """The run's MLflow runs, by what they are of."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=database)
    name = (folder.tracking / "name").read_text(encoding="ascii")
    experiment = client.get_experiment_by_name(name)
    return {run.data.tags["orchestrator.training"]: run for run in client.search_runs([experiment.experiment_id])}


def points(database: str, run: Any, metric: str) -> dict[int, float]:
    from mlflow import MlflowClient

    history = MlflowClient(tracking_uri=database).get_metric_history(run.info.run_id, metric)
    assert len({point.step for point in history}) == len(history), "each step once"
    return {point.step: point.value for point in history}


def test_mlflow_has_a_run_a_training_and_none_twice(made: RunFolder, database: str) -> None:
    from mlflow import MlflowClient

    assert track(made, mlflow=database, reporter=QUIET) == {"mlflow": 4}
    assert track(made, mlflow=database, reporter=QUIET) == {"mlflow": 0}
    found = runs_of(database, made)
    parent = found.pop("(whole run)")
    assert parent.info.status == "FINISHED"
    statuses = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
    records = {training_of(record).name: record for record in read_records(made.records)}
    assert found.keys() == records.keys()
    for name, record in records.items():
        one = found[name]
        assert one.info.status == statuses[record.status]
        assert one.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert one.data.tags["status"] == record.status
        assert one.data.params["variant"] == "resnet18"
        assert one.data.params["config.dropout"] == str(record.config["dropout"])
        if record.history:
            steps = {int(row["epoch"]): row["macro_f1"] for row in record.history}
            assert points(database, one, "macro_f1") == pytest.approx(steps)
    seed = next(name for name in records if "seed" in name)
    assert found[seed].data.metrics["test/macro_f1"] == pytest.approx(records[seed].metrics["macro_f1"])
    client = MlflowClient(tracking_uri=database)
    kept = {one.path for one in client.list_artifacts(parent.info.run_id)}
    assert kept == {"experiment.yaml", "models", "report"}
    assert [one.path for one in client.list_artifacts(parent.info.run_id, "models/resnet18/0")]
    assert not Path("mlruns").exists()


def test_what_was_broken_off_goes_on_where_it_was(made: RunFolder, database: str) -> None:
    """As a resume does: some epochs of a training are there, of a process that is gone."""
    record = next(iter(read_records(made.records)))
    training = training_of(record)
    for first, last in ((1, 3), (1, 5)):
        with Sent(made, "mlflow", database) as sent:
            delivery = Delivery("mlflow", database, made, sent)
            for row in record.history[first - 1 : last]:
                delivery.hear(EpochEnded(training, int(row["epoch"]), {"macro_f1": row["macro_f1"]}))
    (one,) = (run for name, run in runs_of(database, made).items() if name == training.name)
    assert one.info.status == "RUNNING"
    assert list(points(database, one, "macro_f1")) == [1, 2, 3, 4, 5]
    track(made, mlflow=database, reporter=QUIET)
    steps = {int(row["epoch"]): row["macro_f1"] for row in record.history}
    assert points(database, one, "macro_f1") == pytest.approx(steps)


def test_a_dead_server_is_told_of_and_the_next_call_sends_it(made: RunFolder) -> None:
    with pytest.raises(InputError, match=r"mlflow is down .* 4 trainings are not sent"):
        track(made, mlflow=DEAD, reporter=QUIET)


def test_while_a_run_works_epochs_come_first_and_the_end_brings_the_rest(made: RunFolder, database: str) -> None:
    said, heard = Told(), Listener()
    record, pruned, *_ = read_records(made.records)
    with Sent(made, "mlflow", database) as sent:
        sender = Sender(Delivery("mlflow", database, made, sent), made, said.say)
        events = Events([sender, heard])
        events.epochs(training_of(record), record.history[:5])
        events.epochs(training_of(pruned), pruned.history[1:])  # the first one was missed
        events.record(1, record)
        sender.end("finished")
        sender.join(60.0, 60.0)
    assert said.lines == []
    assert sum(isinstance(event, EpochEnded) for event in heard.events) == len(record.history + pruned.history[1:])
    found = runs_of(database, made)
    assert found.pop("(whole run)").info.status == "FINISHED"
    assert sorted(run.info.status for run in found.values()) == ["FAILED", "FINISHED", "FINISHED", "KILLED"]
    for one in (record, pruned):
        steps = {int(row["epoch"]): row["macro_f1"] for row in one.history}
        assert points(database, found[training_of(one).name], "macro_f1") == pytest.approx(steps)


@pytest.fixture
def deaf() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_tracker_that_hangs_is_waited_for_a_bounded_time(made: RunFolder, deaf: str) -> None:
    said = Told()
    with Sent(made, "mlflow", deaf) as sent:
        sender = Sender(Delivery("mlflow", deaf, made, sent), made, said.say)
        for record in read_records(made.records):
            sender(RecordWritten(training_of(record), record))
        sender.end("finished")
        assert not sender.done(0.5)
        sender.join(0.1, 60.0)
    assert said.lines == [
        f"mlflow: 4 trainings are not sent (it was waited for 60 s). Send them: orchestrate track '{made.root}' "
        f"--mlflow {deaf}"
    ]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """wandb without a network; its own process ends with the test."""
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    yield
    wandb.teardown()


@pytest.mark.usefixtures("offline")
def test_wandb_writes_its_runs_without_a_network(made: RunFolder) -> None:
    assert track(made, wandb="project", reporter=QUIET) == {"wandb": 4}
    runs = list((made.tracking / "wandb").glob("offline-run-*"))
    assert len(runs) == 5  # and one of the whole run
    assert all(list(one.glob("*.wandb")) for one in runs)
    assert track(made, wandb="project", reporter=QUIET) == {"wandb": 0}
    assert len(list((made.tracking / "wandb").glob("offline-run-*"))) == 5


def test_names_in_a_strangers_records_lead_out_of_no_folder_and_links_are_not_sent(
    made: RunFolder, tmp_path: Path
) -> None:
    outside, model = tmp_path / "trial-0", made.model("resnet18", 0)
    outside.mkdir()
    assert Training(1, "search", "../..", "trial", 0).name == "_._../trial-0"
    assert Training(1, "search", "..", "trial", 0).name == "_./trial-0"
    assert set(kept_files(made, model)) == {"experiment.yaml", "report", "models/resnet18/0"}
    assert set(kept_files(made, made.models / ".." / ".." / "trial-0")) == {"experiment.yaml", "report"}
    assert set(kept_files(made, outside)) == {"experiment.yaml", "report"}
    (made.report / "figures").symlink_to(outside)
    assert set(kept_files(made, model)) == {"experiment.yaml", "models/resnet18/0"}
    shutil.move(made.models / "resnet18", outside / "resnet18")
    (made.models / "resnet18").symlink_to(outside / "resnet18")
    assert set(kept_files(made, model)) == {"experiment.yaml"}


def test_repeated_splits_are_sent_under_their_numbers(made: RunFolder) -> None:
    other = made.of_split(2)
    other.root.mkdir(parents=True)
    other.experiment.write_bytes(made.experiment.read_bytes())
    other.records.write_bytes(made.records.read_bytes())
    assert track(other.root, tensorboard=True, reporter=QUIET) == {"tensorboard": 8}
    assert scalars(made.tensorboard / "split-2" / "resnet18" / "trial-0")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "Nothing says where to send"),
        ({"mlflow": "http://me:HIDDEN@host"}, "let the environment hold it"),
        ({"mlflow": "nonsense://x"}, "MLflow does not take"),
        ({"wandb": "project"}, "Set WANDB_API_KEY"),
    ],
)
def test_what_can_t_be_used_is_said_before_anything_is_sent(
    made: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: dict[str, str], words: str
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(InputError, match=words) as caught:
        track(made, reporter=QUIET, **asked)  # type: ignore[arg-type]
    assert "HIDDEN" not in str(caught.value)
    assert not made.tracking.exists()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_package_that_is_not_there_is_named_before_any_work(
    series_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda asked: None)
    experiment = Experiment.from_mapping(
        {
            "data": {"path": str(series_tree)},
            "families": ["pca_logistic"],
            "tracking": {name: True if name == "tensorboard" else "http://x"},
        }
    )
    with pytest.raises(InputError, match=rf"pip install 'anomaly-orchestrator\[{name}\]'"):
        run(experiment, tmp_path / "run", reporter=QUIET)
    assert not (tmp_path / "run").exists()


def test_tracking_is_no_part_of_what_a_run_is(series_tree: Path) -> None:
    values: dict[str, Any] = {"data": {"path": str(series_tree)}, "families": ["pca_logistic"]}
    without = Experiment.from_mapping(values)
    with_all = Experiment.from_mapping({**values, "tracking": {"tensorboard": True, "mlflow": DEAD, "wandb": "p"}})
    assert with_all.fingerprint == without.fingerprint
    assert with_all.placed_fingerprint == without.placed_fingerprint
    assert differing(without, with_all) == []
