"""The trackers that there are, and what an experiment asks of them: checked before any work, in a second."""

import os
import re
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.sections import Tracking
from orchestrator.tracking.tracker import Tracker
from trainables.credentials import masked
from trainables.errors import InputError


@dataclass(frozen=True)
class Kind:
    """One kind of tracker."""

    name: str
    """Of its key in the experiment, of its option, of its package and of our extra."""
    module: str
    made: str
    """The class in the module; called with the run's folder and where to send."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind("tensorboard", "orchestrator.tracking.tensorboard_files", "TensorBoardFiles"),
        Kind("mlflow", "orchestrator.tracking.mlflow_runs", "MlflowRuns"),
        Kind("wandb", "orchestrator.tracking.wandb_runs", "WandbRuns"),
    )
}


def destinations(asked: Tracking) -> dict[str, str]:
    """Where to send, by the name of the tracker."""
    found = {"tensorboard": "files"} if asked.tensorboard else {}
    if asked.mlflow is not None:
        found["mlflow"] = _absolute(asked.mlflow)
    return found if asked.wandb is None else {**found, "wandb": asked.wandb}


def option(name: str, destination: str) -> str:
    """What asks `orchestrate track` for this tracker."""
    return f"--{name}" if name == "tensorboard" else f"--{name} {destination}"


def check_tracking(asked: Tracking) -> None:
    """InputError where a tracker that is asked for can't be used here, so far as that shows without asking a server."""
    for name, destination in destinations(asked).items():
        if find_spec(name) is None:
            raise InputError(
                f"tracking.{name} is asked for, and the package {name} is not installed. Install it: "
                f"pip install 'anomaly-orchestrator[{name}]', or leave tracking.{name} out."
            )
        if name == "mlflow" and not destination.startswith(("http:", "https:", "sqlite:")):
            _check_store(destination)
        if name == "wandb":
            _check_key()


def open_tracker(name: str, destination: str, folder: RunFolder) -> Tracker:
    """The tracker of that name; nothing is sent yet."""
    kind = KINDS[name]
    return cast(Tracker, getattr(import_module(kind.module), kind.made)(folder, destination))


def _check_store(uri: str) -> None:
    """MLflow knows which kinds of stores it takes: newer versions take no folders unless told to."""
    from mlflow import MlflowClient

    try:
        MlflowClient(tracking_uri=uri)
    except Exception as error:  # of its own classes, and of what it imports
        raise InputError(
            f"tracking.mlflow is {uri!r}, which MLflow does not take: {masked(str(error)).split('. ')[0]}. Give "
            "http://HOST:PORT of a server, or sqlite:///FILE."
        ) from None


def _check_key() -> None:
    """wandb would ask for a key on the terminal, in the middle of a run."""
    os.environ.setdefault("WANDB_SILENT", "true")  # it would say where it has the key from
    import wandb

    if wandb.setup().settings.mode in ("offline", "disabled") or wandb.login(prompt=False, verify=False):
        return
    raise InputError(
        "tracking.wandb is asked for, and no key is known. Set WANDB_API_KEY or run `wandb login`; or set "
        "WANDB_MODE=offline, by which wandb writes to the run's folder, for `wandb sync` to send later."
    )


def _absolute(uri: str) -> str:
    """The same for any current folder: `track` may be called from another one."""
    if database := re.fullmatch(r"sqlite:///(?!/)(.+)", uri):
        return f"sqlite:///{Path(database[1]).absolute()}"
    if ":" in uri or uri.split("/")[0] in ("databricks", "databricks-uc", "uc"):
        return uri
    return Path(uri).expanduser().absolute().as_uri()
