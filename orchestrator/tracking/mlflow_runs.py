"""MLflow: an experiment a run of ours, in it a parent run, and below that a run a training."""

import logging
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from orchestrator.artifacts.endings import Status
from orchestrator.artifacts.events import Outcome, Training
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.tracking.tracker import (
    Row,
    configuration,
    ended_at,
    facts,
    figures,
    name_of_run,
    taken_name,
)

QUICK_TO_TELL = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""By itself MLflow asks a server that is gone for minutes, prints an address a training, and reports its use."""
STATUS: dict[Status, str] = {"completed": "FINISHED", "pruned": "KILLED"}
"""Of a training; all others FAILED."""
OUTCOME: dict[Outcome, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
MARK, WHOLE = "orchestrator.training", "(whole run)"
"""The tag by which a run is found again; and its value of the parent."""
OF_THE_END = (
    "best_epoch",
    "seconds",
    "parameters",
    "peak_memory",
    "energy",
    "latency_ms",
    "memory_mb",
    "pictures_per_second",
)
"""Metrics that no epoch has."""
PAGE = 1_000
MOST_TEXT = 500


class MlflowRuns:
    """Talks to one tracking server or database, by a client of its own: what the process else logs is left alone."""

    def __init__(self, folder: RunFolder, destination: str) -> None:
        for key, value in QUICK_TO_TELL.items():
            os.environ.setdefault(key, value)
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._folder = folder
        self._uri = destination
        self._client = MlflowClient(tracking_uri=destination)
        self._experiment = ""
        self._known: dict[str, str] = {}
        """Runs that are there, by what they are of."""
        self._open: set[Training] = set()

    def begin(self) -> None:
        """Find or make the experiment and its parent run."""
        name = name_of_run(self._folder)
        found = self._client.get_experiment_by_name(name)
        place = _artifacts_beside(self._uri, name)
        self._experiment = found.experiment_id if found else self._client.create_experiment(name, place)
        token: str | None = ""
        while token is not None:
            page = self._client.search_runs([self._experiment], max_results=PAGE, page_token=token or None)
            self._known |= {run.data.tags.get(MARK, ""): run.info.run_id for run in page}
            token = page.token or None
        self._find_or_make(WHOLE, time.time(), {})

    def open(self, training: Training, began: float) -> int:
        """A run below the parent, running; the last step of any of its metrics."""
        tags = {"mlflow.parentRunId": self._known[WHOLE], "variant": training.variant, "stage": training.stage}
        there = self._find_or_make(training.name, began, tags)
        self._open.add(training)
        if there is None:
            return 0
        # Figures of the end stand at the chosen epoch; those of epochs have no part before a slash.
        names = [name for name in there.data.metrics if "/" not in name and name not in OF_THE_END]
        histories = (self._client.get_metric_history(there.info.run_id, name) for name in names[:1])
        return max((point.step for history in histories for point in history), default=0)

    def _find_or_make(self, name: str, began: float, tags: dict[str, str]) -> Run | None:
        """Have the run of that name run; the run as it was, where it was there."""
        if name in self._known:
            self._client.update_run(self._known[name], status="RUNNING")
            return self._client.get_run(self._known[name])
        called = self._folder.whole.name if name == WHOLE else name
        made = self._client.create_run(
            self._experiment, start_time=round(began * 1000), tags={**tags, MARK: name}, run_name=called
        )
        self._known[name] = made.info.run_id
        return None

    def epoch(self, training: Training, epoch: int, metrics: Row, moment: float) -> None:
        """One request an epoch."""
        points = [Metric(taken_name(name), value, round(moment * 1000), epoch) for name, value in metrics.items()]
        points = [point for point in points if math.isfinite(point.value)]
        self._client.log_batch(self._known[training.name], metrics=points)

    def end(self, training: Training, record: TrialRecord) -> None:
        """Parameters, figures and tags, then the status."""
        run, moment = self._known[training.name], round(ended_at(record) * 1000)
        found = figures(record).items()
        self._client.log_batch(
            run,
            metrics=[Metric(taken_name(name), value, moment, record.epoch or 0) for name, value in found],
            params=[
                Param(taken_name(key), str(value)[:MOST_TEXT]) for key, value in configuration(training, record).items()
            ],
            tags=[RunTag(key, value[:MOST_TEXT]) for key, value in facts(record).items()],
        )
        self._client.set_terminated(run, STATUS.get(record.status, "FAILED"), moment)
        self._open.discard(training)

    def files(self, kept: Mapping[str, Path]) -> None:
        """As artifacts of the parent run."""
        for name, path in kept.items():
            if path.is_dir():
                self._client.log_artifacts(self._known[WHOLE], str(path), name)
            else:
                self._client.log_artifact(self._known[WHOLE], str(path))

    def close(self, outcome: Outcome) -> None:
        """The parent's status; what was still running was killed."""
        for training in self._open:
            self._client.set_terminated(self._known[training.name], "KILLED")
        self._open.clear()
        self._client.set_terminated(self._known[WHOLE], OUTCOME[outcome])


def _artifacts_beside(uri: str, name: str) -> str | None:
    """Where artifacts go: beside a database's file, which by itself has them in the current folder, whatever that is;
    None: where the server says."""
    if not uri.startswith("sqlite:///"):
        return None
    return (Path(uri.removeprefix("sqlite:///")).absolute().parent / "mlartifacts" / name).as_uri()
